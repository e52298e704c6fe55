"""A local test server that emulates both vendors' APIs with synthetic but realistic data.

It is not the vendors' own software. It follows their public documentation; where that is silent or
contradictory, an option selects the behaviour. It shares no code with the tap, so that each can be checked
against the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msghistory_sandbox.clock import Clock
from msghistory_sandbox.faults import Faults
from msghistory_sandbox.history import History, Message
from msghistory_sandbox.options import EdnaOptions, ExportOptions, GatewayOptions

if TYPE_CHECKING:
    from msghistory_sandbox.server import Sandbox

__all__ = [
    "Clock",
    "EdnaOptions",
    "ExportOptions",
    "Faults",
    "GatewayOptions",
    "History",
    "Message",
    "Sandbox",
]


def __getattr__(name: str) -> Any:
    """Import `Sandbox` on first use, because its server needs the packages of the extra `sandbox`."""
    if name != "Sandbox":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from msghistory_sandbox.server import Sandbox  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ImportError(
            f"The sandbox needs the package {error.name}. Install tap-msghistory with its extra 'sandbox', "
            "for example in a checkout: pip install '.[sandbox]'"
        ) from error
    return Sandbox
