"""The commands to compare, each with its settings for a served history."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from bench.serving import Served
from demo.processes import Command

Vendor = Literal["edna", "gateway"]
TAP = Path(sys.executable).with_name("tap-msghistory")
AIRBYTE_SOURCE = Path(sys.executable).with_name("source-msghistory")
STREAMS: dict[Vendor, list[str]] = {
    "edna": ["edna_history"],
    "gateway": [f"partner_gateway_history_{channel}" for channel in ("sms", "rcs", "whatsapp")],
}
ANY_KEY = "any"


@dataclass(frozen=True, slots=True)
class Commands:
    """Builds the commands, and writes their settings to files in `directory`."""

    directory: Path

    def tap(self, served: Served, vendor: Vendor = "edna", **settings: Any) -> Command:
        """Return the command of tap-msghistory; `settings` override the defaults."""
        return [TAP, "--config", self._config("tap", _settings(served, vendor, settings))]

    def airbyte_source(self, served: Served, vendor: Vendor = "edna") -> Command:
        """Return the command of the Airbyte source, reading all streams of a vendor incrementally."""
        streams = [
            {"stream": {"name": name}, "sync_mode": "incremental", "destination_sync_mode": "append_dedup"}
            for name in [*STREAMS[vendor], "rejected_messages", "sync_windows"]
        ]
        catalog = self._config("catalog", {"streams": streams})
        config = self._config("airbyte", _settings(served, vendor, {}))
        return [AIRBYTE_SOURCE, "read", "--config", config, "--catalog", catalog]

    def stock_tap(self, served: Served, vendor: Vendor = "edna") -> Command:
        """Return the command of the tap written with the stock SDK."""
        settings = {
            "vendor": vendor,
            "base_url": served.url,
            "api_key": ANY_KEY,
            "start_date": served.start_date,
            "end_date": served.end_date,
        }
        return [sys.executable, "-m", "bench.stock_tap", "--config", self._config("stock", settings)]

    def plain_script(self, served: Served, vendor: Vendor = "edna") -> Command:
        """Return the command of the plain script."""
        script = [sys.executable, "-m", "bench.plain_script"]
        return [*script, vendor, served.url, served.start_date, served.end_date]

    def _config(self, name: str, settings: dict[str, Any]) -> Path:
        number = len(list(self.directory.iterdir()))
        path = self.directory / f"{name}-{number}.json"
        path.write_text(json.dumps(settings))
        return path


@contextmanager
def temporary_commands() -> Iterator[Commands]:
    """Yield commands whose settings are in a temporary directory."""
    with TemporaryDirectory(prefix="msghistory-bench-") as name:
        yield Commands(Path(name))


def _settings(served: Served, vendor: Vendor, settings: Mapping[str, Any]) -> dict[str, Any]:
    credentials: dict[Vendor, dict[str, Any]] = {
        "edna": {"edna_api_key": ANY_KEY, "edna_base_url": served.url},
        "gateway": {
            "partner_gateway_api_key": ANY_KEY,
            "partner_gateway_base_url": f"{served.url}/api",
            # High enough that the rate limit does not affect the measurement.
            "partner_gateway_requests_per_second": 10_000,
            "partner_gateway_requests_per_minute": 600_000,
        },
    }
    dates = {"start_date": served.start_date, "end_date": served.end_date}
    return {**credentials[vendor], **dates, **settings}
