"""A server to try the tap on: both vendors' APIs on loopback, with made-up but life-like data.

It is ours, not the vendors': it does what their public pages say, and where these are silent or
contradict each other, an option chooses. It shares no code with the tap, so that one can be held
against the other.
"""

from tap_msghistory.sandbox.clock import Clock
from tap_msghistory.sandbox.faults import Faults
from tap_msghistory.sandbox.history import History, Message
from tap_msghistory.sandbox.options import EdnaOptions, ExportOptions, GatewayOptions

try:
    from tap_msghistory.sandbox.server import Sandbox
except ModuleNotFoundError as missing:
    raise ImportError(
        f"The sandbox needs the package {missing.name}. Install tap-msghistory with its extra 'sandbox', for "
        "example in a checkout: pip install '.[sandbox]'"
    ) from missing

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
