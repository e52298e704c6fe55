"""The tap: settings in, streams out."""

from __future__ import annotations

import signal
import threading
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar, cast

import click
from singer_sdk import Tap
from singer_sdk.configuration._dict_config import parse_environment_config
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.helpers._catalog import get_selected_schema
from singer_sdk.helpers._classproperty import classproperty
from singer_sdk.helpers.capabilities import PluginCapabilities, TapCapabilities

from tap_msghistory import vendors as histories
from tap_msghistory.cli.command_line import CommandLineTap
from tap_msghistory.config import validation as checks
from tap_msghistory.config.account import Account
from tap_msghistory.config.settings import SETTINGS
from tap_msghistory.errors import StoppedBySignal, TapError
from tap_msghistory.planning import estimate as forecast
from tap_msghistory.streams import MessageHistoryStream, RejectedMessagesStream, SyncWindowsStream, catalogs
from tap_msghistory.streams.failures import Failures
from tap_msghistory.streams.progress import Progress
from tap_msghistory.streams.writer import Writer

if TYPE_CHECKING:
    from types import FrameType

    from singer_sdk import Stream
    from singer_sdk.helpers.capabilities import CapabilitiesEnum
    from singer_sdk.singerlib import Catalog


class TapMessageHistory(CommandLineTap):
    """Message histories of edna Pulse and of the Qlara partner gateway, with each message's latest status."""

    name = "tap-msghistory"
    config_jsonschema: ClassVar[dict[str, Any]] = SETTINGS
    message_writer_class = Writer
    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        TapCapabilities.CATALOG,
        TapCapabilities.DISCOVER,
        TapCapabilities.STATE,
        PluginCapabilities.ABOUT,
        PluginCapabilities.BATCH,
        PluginCapabilities.FLATTENING,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.STRUCTURED_LOGGING,
    ]

    @classproperty
    def _env_var_config(cls) -> dict[str, Any]:  # noqa: N805
        """Read environment variables, numbers as text: those that are none get a clear error later."""
        schema = cls.config_jsonschema
        cls.append_builtin_config(schema)
        texts = {
            name: it if {"array", "object", "boolean"} & set(it["type"]) else {"type": ["string"]}
            for name, it in schema["properties"].items()
        }
        return parse_environment_config({"properties": texts}, cls._env_var_prefix)

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Check all settings. The SDK's own check shows values in its errors, keys among them."""
        schema = self.config_jsonschema
        self.append_builtin_config(schema)
        self._config = checks.normalized(self._config, schema)
        errors = checks.problems(self._config, schema)
        if errors and raise_errors:
            raise ConfigValidationError("Config validation failed", errors=errors, schema=schema)
        for oddity in () if errors else checks.oddities(self._config, schema):
            self.logger.warning(oddity)
        return errors

    def setup_mapper(self) -> None:
        """Set up stream maps. A deselected stream keeps its columns: a map for all would find no key."""
        super(Tap, self).setup_mapper()
        for name, entry in self.catalog.items():
            if name not in self.streams:
                continue
            selection, schema = entry.metadata.resolve_selection(), entry.schema.to_dict()
            if selection[()]:
                schema = get_selected_schema(name, schema, selection)
            self.mapper.register_raw_stream_schema(name, schema, entry.key_properties)

    @cached_property
    def account(self) -> Account:
        """What the settings give access to."""
        return Account(self.config)

    def forecast(self) -> str:
        """Return what a sync would read, as a table; asks the vendors a few small questions."""
        return forecast.table([*map(forecast.of, self._selected_histories)])

    @property
    def _selected_histories(self) -> list[MessageHistoryStream]:
        return [
            stream
            for stream in self.streams.values()
            if isinstance(stream, MessageHistoryStream) and stream.selected
        ]

    def check_output(self) -> None:
        """Raise `OutputError` if nobody reads what is written."""
        if isinstance(self.message_writer, Writer):
            self.message_writer.check()

    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """End behind a whole line. The SDK's own handler writes into the middle of one, and exits with 0.

        The state needs no last word: it was written when what it covers was complete.
        """
        reason = StoppedBySignal(signum)
        if not isinstance(self.message_writer, Writer):
            raise reason
        self.message_writer.stop(reason)

    def _setup_signal_handlers(self) -> None:
        """Handle SIGHUP like SIGTERM, unless the process was started with SIGHUP ignored, as by nohup."""
        super()._setup_signal_handlers()
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self._handle_termination)

    def sync_all(self) -> None:  # type: ignore[misc] # which the SDK declares final
        """Sync all streams. Raises the failures of streams once the others have been read."""
        super().sync_all()
        self.failures.raise_if_any()

    def run_connection_test(self) -> bool:  # type: ignore[misc] # which the SDK declares final
        """Request one small page per selected stream, and print a line for each to stdout.

        Raises the failures of streams once the others have been checked.
        """
        for stream in self._selected_histories:
            self.failures.guard(stream.name, stream.history.client, partial(_print_check, stream))
        self.failures.raise_if_any()
        return True

    @cached_property
    def failures(self) -> Failures:
        """The streams of this run that failed."""
        return Failures(self.progress)

    @property
    def rejected_messages(self) -> RejectedMessagesStream:
        """The stream that takes what cannot be shaped."""
        return cast("RejectedMessagesStream", self.streams[RejectedMessagesStream.name])

    @property
    def sync_windows(self) -> SyncWindowsStream:
        """The stream that has a row for each window that was read."""
        return cast("SyncWindowsStream", self.streams[SyncWindowsStream.name])

    @cached_property
    def progress(self) -> Progress:
        """How far this run has got."""
        return Progress()

    def discover_streams(self) -> list[Stream]:
        """Return the streams of each vendor whose credentials are set; without any, all of them."""
        streams: list[Stream] = [RejectedMessagesStream(self), SyncWindowsStream(self)]
        streams += [MessageHistoryStream(self, it) for it in histories.of_account(self.account)]
        if self.input_catalog is not None:
            catalogs.complete(self.input_catalog, streams)
            self._warn_of_absent({stream.name for stream in streams}, self.input_catalog)
        return streams

    def _warn_of_absent(self, present: set[str], catalog: Catalog) -> None:
        """Say which streams the catalog selects in vain: for the SDK they are simply not there."""
        for name, entry in catalog.items():
            if name not in present and entry.metadata.root.selected:
                self.logger.warning(
                    "The catalog selects %s, which is not there: its name is unknown, or the credentials of "
                    "its vendor (edna_api_key; partner_gateway_api_key) are not set",
                    name,
                )

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over an earlier run's state. Raises `TapError` where it is not readable."""
        bookmarks = state.get("bookmarks", {})
        if not isinstance(bookmarks, dict) or not all(isinstance(it, dict) for it in bookmarks.values()):
            raise TapError("The state is not readable: bookmarks must be an object with an object per stream")
        known = histories.schemas().keys() | self.streams.keys()
        for name in bookmarks.keys() - known:
            self.logger.warning("The state has a bookmark for %s, which is not a stream of this tap", name)
        super().load_state(state)


def _print_check(stream: MessageHistoryStream) -> None:
    click.echo(f"{stream.name}: {stream.check()}")
