"""How the sandbox serves: each option is declared once, for Python, the command line and its help."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeVar, get_args

T = TypeVar("T")

GatewayShape = Literal["reference", "guide", "translated"]
HeaderStyle = Literal["words", "camel", "snake"]
Unclear = Literal["reset", "error", "unreadable"]
Break = Literal["connection", "line", "row", "quote", "gzip", "refuse", "redirect"]


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


@dataclass(slots=True)
class ExportOptions:
    """What the gateway's pages leave open of exports, and what can go wrong with them.

    What says `next` counts down.
    """

    polls: int = option(1, "how often a job is listed as pending")
    seconds: float = option(0.0, "that a job takes, by the sandbox's clock")
    lag: int = option(0, "how often the list is given without a new job")
    hide_range: bool = option(False, "do not list for which range a job is")
    oldest_first: bool = option(False, "order of the list of jobs; newest first otherwise")
    only_named: bool = option(
        False, "leave out messages without a customerMessageId, as if the web console had sent them"
    )
    rows: int | None = option(
        None, "a file has so many made-up rows in no order, whatever the history has", kind=int
    )
    host: str = option("localhost", "host name in links")
    header: HeaderStyle = option(  # noqa: RUF009 - a text is immutable
        "words", "Message ID, messageId or message_id", choices=get_args(HeaderStyle)
    )
    semicolons: bool = option(False, "separate columns by semicolons; by commas otherwise")
    decimal_comma: bool = option(False, "write costs with a decimal comma")
    bom: bool = option(False, "begin files with a byte order mark")
    crlf: bool = option(False, "end lines with CR LF; with LF otherwise")
    fail_next: int = option(0, "jobs (next) that fail")
    expire_next: int = option(0, "links asked for (next) that are answered 400, as the file is gone")
    expire_listed_next: int = option(0, "jobs (next) that are listed as expired as soon as they are done")
    unclear_next: int = option(0, "queue requests (next) that get no clear answer")
    unclear: Unclear = option(  # noqa: RUF009
        "reset", "what they get: a reset connection, 500, or a 202 that is no JSON", choices=get_args(Unclear)
    )
    others: int = option(0, "jobs that other programs queue just before such a request")
    unclear_lost: bool = option(False, "they queue no job either")
    break_next: int = option(0, "downloads (next) that go wrong")
    break_how: Break = option(  # noqa: RUF009
        "connection",
        "the connection ends half way, the file ends within a line, with a short row, within a quoted text "
        "or within its gzip stream, or the link is refused (403) or redirected",
        choices=get_args(Break),
    )
