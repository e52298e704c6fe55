"""The typed values of a valid config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tap_msghistory.planning import rereads
from tap_msghistory.planning.plan import Schedule
from tap_msghistory.planning.rereads import RereadRange
from tap_msghistory.timestamps import floor, parse_datetime, parse_duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The values of a valid config. Durations are `timedelta`, times are aware and in UTC."""

    end_date: datetime | None
    visibility_lag: timedelta
    schedule: Schedule
    rereads: tuple[RereadRange, ...]
    concurrency: int
    export_concurrency: int
    export_timeout: float
    assume_timezone: ZoneInfo
    request_timeout: float
    max_retry_seconds: float

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Settings:
        """Convert a config for which `validation.errors` is empty."""
        end_date = config.get("end_date")
        return cls(
            end_date=parse_datetime(end_date) if end_date else None,
            visibility_lag=parse_duration(config["visibility_lag"]),
            schedule=Schedule(
                start_date=parse_datetime(config["start_date"]),
                revisit_after=tuple(sorted(set(map(parse_duration, config["revisit_after"])))),
                lookback=parse_duration(config.get("lookback") or "PT0S"),
            ),
            rereads=rereads.parse(config.get("reread", [])),
            concurrency=config["concurrency"],
            export_concurrency=config["export_concurrency"],
            export_timeout=float(config["export_timeout"]),
            assume_timezone=ZoneInfo(config["assume_timezone"]),
            request_timeout=float(config["request_timeout"]),
            max_retry_seconds=float(config["max_retry_seconds"]),
        )

    def read_until(self, now: datetime) -> datetime:
        """Return the send time up to which a run that starts at `now` reads."""
        visible = self.visible_until(now)
        return min(self.end_date, visible) if self.end_date else visible

    def visible_until(self, now: datetime) -> datetime:
        """Return the send time up to which messages are complete in the vendor's API at `now`."""
        return floor(now - self.visibility_lag)
