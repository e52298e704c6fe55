"""The state of a sandbox, shared by the server and the request handlers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from msghistory_sandbox.clock import Clock
from msghistory_sandbox.faults import Faults
from msghistory_sandbox.gateway import CHANNELS
from msghistory_sandbox.history import History
from msghistory_sandbox.journal import Journal
from msghistory_sandbox.options import EdnaOptions, ExportOptions, GatewayOptions


@dataclass(slots=True)
class SandboxState:
    """Histories, options, clock, faults and journal of two emulated vendors.

    `gateway` maps the channels SMS, RCS and WHATSAPP to their histories; a missing channel is empty. While
    the sandbox is running, `clock` and `faults` can be replaced, and the contents of the histories and
    options can be changed.
    """

    edna: History = field(default_factory=History)
    gateway: Mapping[str, History] = field(default_factory=dict)
    clock: Clock = field(default_factory=Clock)
    faults: Faults = field(default_factory=Faults)
    edna_options: EdnaOptions = field(default_factory=EdnaOptions)
    gateway_options: GatewayOptions = field(default_factory=GatewayOptions)
    export_options: ExportOptions = field(default_factory=ExportOptions)
    journal: Journal = field(default_factory=Journal)
    monotonic: Callable[[], float] = time.monotonic
    """Clock of the rate limits and of `ReceivedRequest.at`, seconds; tests can replace it."""
    url: str = field(default="", init=False)
    """Base URL without a trailing slash; empty while the sandbox is not running."""

    def __post_init__(self) -> None:
        """Add an empty history for each missing channel."""
        self.gateway = {channel: self.gateway.get(channel, History()) for channel in CHANNELS}
