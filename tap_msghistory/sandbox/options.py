"""How the sandbox serves: each option is declared once, for Python, the command line and its help."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeVar, get_args

T = TypeVar("T")

GatewayShape = Literal["reference", "guide", "translated"]


def option(
    default: T,
    text: str,
    *,
    choices: tuple[str, ...] | None = None,
    kind: type | None = None,
) -> T:
    """Declare a dataclass field that is an option of the command line too.

    `kind` is the type of a value whose default does not say it (None).
    """
    return field(default=default, metadata={"help": text, "choices": choices, "kind": kind})


@dataclass(slots=True)
class EdnaOptions:
    """What edna's page leaves open, and the account."""

    key: str = option("sandbox-edna-key", "the x-api-key to accept")
    exclusive_from: bool = option(False, "leave messages of the very instant dateFrom out")
    exclusive_to: bool = option(False, "leave messages of the very instant dateTo out")
    created_lead_ms: int = option(
        0,
        "filter by a creation time up to this many ms before sentOrReceivedAt",
    )
    requests_per_minute: int | None = option(
        None, "rate limit; none by default, as none is documented", kind=int
    )
    requests_per_second: int | None = option(
        None, "rate limit; none by default, as none is documented", kind=int
    )


@dataclass(slots=True)
class GatewayOptions:
    """What the gateway's pages leave open or show in several ways, and the account."""

    key: str = option("sandbox-gateway-key", "the X-Api-Key to accept")
    username: str = option("sandbox-user", "the user to accept with HTTP Basic")
    password: str = option("sandbox-password", "the password to accept with HTTP Basic")
    refuse_ip: bool = option(False, "answer 403, as to a caller that is not on the IP list")
    shape: GatewayShape = option(  # noqa: RUF009 - a text is immutable
        "reference",
        "rows as the reference has them, as its worked example (guide), or as its translated page",
        choices=get_args(GatewayShape),
    )
    oldest_first: bool = option(False, "order of the rows; newest first otherwise")
    whole_seconds: bool = option(False, "cut times in answers to seconds, though ms are filtered")
    requests_per_minute: int | None = option(
        1000, "rate limit, production's by default; 0 for none", kind=int
    )
    requests_per_second: int | None = option(50, "burst limit, production's by default; 0 for none", kind=int)
