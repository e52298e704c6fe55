"""Options of the emulated APIs, declared once for Python and for the command line with its help texts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeVar, get_args

T = TypeVar("T")

GatewayShape = Literal["reference", "guide", "translated"]
HeaderStyle = Literal["words", "camel", "snake"]
AmbiguousOutcome = Literal["reset", "error", "unreadable"]
Break = Literal["connection", "line", "row", "quote", "gzip", "refuse", "redirect"]


def option(
    default: T,
    text: str,
    *,
    choices: tuple[str, ...] | None = None,
    kind: type | None = None,
) -> T:
    """Declare a dataclass field that is also a command-line option; `text` is its help text.

    `kind` is the type of the value, required if the default is None.
    """
    return field(default=default, metadata={"help": text, "choices": choices, "kind": kind})


@dataclass(slots=True)
class EdnaOptions:
    """The accepted API key, and behaviour that edna's documentation leaves open."""

    key: str = option("sandbox-edna-key", "accepted x-api-key")
    exclusive_from: bool = option(False, "exclude messages sent exactly at dateFrom")
    exclusive_to: bool = option(False, "exclude messages sent exactly at dateTo")
    created_lead_ms: int = option(
        0,
        "filter by a creation time up to this many ms before sentOrReceivedAt",
    )
    requests_per_minute: int | None = option(
        None, "rate limit; unlimited by default, because edna documents no limit", kind=int
    )
    requests_per_second: int | None = option(
        None, "rate limit; unlimited by default, because edna documents no limit", kind=int
    )


@dataclass(slots=True)
class GatewayOptions:
    """The accepted credentials, and behaviour that the gateway's documentation leaves open or contradicts."""

    key: str = option("sandbox-gateway-key", "accepted X-Api-Key")
    username: str = option("sandbox-user", "accepted username (HTTP Basic)")
    password: str = option("sandbox-password", "accepted password (HTTP Basic)")
    refuse_ip: bool = option(False, "respond 403, as to a client that is not on the IP allowlist")
    shape: GatewayShape = option(  # noqa: RUF009 - strings are immutable
        "reference",
        "format of the rows: as in the API reference, in the worked example (guide), or in the translated "
        "documentation",
        choices=get_args(GatewayShape),
    )
    oldest_first: bool = option(False, "return the oldest rows first; default: newest first")
    whole_seconds: bool = option(False, "truncate times in responses to seconds; filters still use ms")
    requests_per_minute: int | None = option(
        1000, "rate limit, by default that of production; 0 for unlimited", kind=int
    )
    requests_per_second: int | None = option(
        50, "burst limit, by default that of production; 0 for unlimited", kind=int
    )


@dataclass(slots=True)
class ExportOptions:
    """Export behaviour that the gateway's documentation leaves open, and export failures.

    Fields whose names end in `next` count down.
    """

    polls: int = option(1, "number of times that a job is listed as pending")
    seconds: float = option(0.0, "duration of a job in seconds, by the sandbox's clock")
    lag: int = option(0, "number of list responses that omit a new job")
    hide_range: bool = option(False, "omit the time range of jobs from the list")
    oldest_first: bool = option(False, "list the oldest jobs first; default: newest first")
    only_named: bool = option(
        False, "exclude messages without a customerMessageId, as if they were sent from the web console"
    )
    rows: int | None = option(
        None, "number of synthetic rows in a file, unordered and independent of the history", kind=int
    )
    host: str = option("localhost", "host name in download links")
    header: HeaderStyle = option(  # noqa: RUF009 - strings are immutable
        "words", "column names: Message ID, messageId or message_id", choices=get_args(HeaderStyle)
    )
    semicolons: bool = option(False, "separate columns with semicolons; default: commas")
    decimal_comma: bool = option(False, "write costs with a decimal comma")
    bom: bool = option(False, "start files with a byte order mark")
    crlf: bool = option(False, "end lines with CR LF; default: LF")
    fail_next: int = option(0, "number of upcoming jobs that fail")
    expire_next: int = option(
        0, "number of upcoming link requests that get a 400 because the file has expired"
    )
    expire_listed_next: int = option(
        0, "number of upcoming jobs that are listed as expired instead of completed"
    )
    unclear_next: int = option(0, "number of upcoming queue requests with an ambiguous outcome")
    unclear: AmbiguousOutcome = option(  # noqa: RUF009 - strings are immutable
        "reset",
        "the ambiguous outcome: a reset connection, a 500, or a 202 that is not JSON",
        choices=get_args(AmbiguousOutcome),
    )
    others: int = option(
        0, "number of jobs that other clients queue just before a request with an ambiguous outcome"
    )
    unclear_lost: bool = option(False, "requests with an ambiguous outcome do not queue a job")
    break_next: int = option(0, "number of upcoming downloads that fail")
    break_how: Break = option(  # noqa: RUF009 - strings are immutable
        "connection",
        "how downloads fail: the connection closes midway, the file ends within a line, with a short row, "
        "within a quoted field or within its gzip stream, or the link is refused (403) or redirected",
        choices=get_args(Break),
    )
