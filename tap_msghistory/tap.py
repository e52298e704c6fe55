"""The tap: its settings, streams, catalog, state and command."""

from __future__ import annotations

import threading
from copy import deepcopy
from functools import cached_property, partial
from typing import IO, TYPE_CHECKING, Any, ClassVar

import click
from singer_sdk import Tap
from singer_sdk.exceptions import (
    AbortedSyncFailedException,
    AbortedSyncPausedException,
    ConfigValidationError,
)
from singer_sdk.helpers._catalog import get_selected_schema
from singer_sdk.helpers._classproperty import classproperty
from singer_sdk.helpers.capabilities import PluginCapabilities, TapCapabilities
from singer_sdk.plugin_base import _ConfigInput
from singer_sdk.tap_base import CliTestOptionValue

from tap_msghistory import signals, vendors
from tap_msghistory.cli import files
from tap_msghistory.cli.command import DISABLED, TapCommand
from tap_msghistory.cli.display import displayed
from tap_msghistory.cli.plan_table import plan_table
from tap_msghistory.config import validation
from tap_msghistory.config.account import Account
from tap_msghistory.config.environment import read_environment
from tap_msghistory.config.settings import SETTINGS
from tap_msghistory.errors import StoppedBySignal, TapError
from tap_msghistory.reconciling import FORMATS
from tap_msghistory.streams import (
    HISTORY_STREAMS,
    MessageHistoryStream,
    RejectedMessagesStream,
    SyncContext,
    SyncWindowsStream,
    catalogs,
)
from tap_msghistory.streams.writer import Writer
from tap_msghistory.syncing.run import SyncRun

if TYPE_CHECKING:
    from singer_sdk import Stream
    from singer_sdk.helpers.capabilities import CapabilitiesEnum
    from singer_sdk.singerlib import Catalog

#: A dry run of the SDK is complete.
_ABORTS = (AbortedSyncFailedException, AbortedSyncPausedException)


class TapMessageHistory(Tap):
    """Message histories of edna Pulse and of the Qlara partner gateway, with each message's latest status."""

    name = "tap-msghistory"
    config_jsonschema: ClassVar[dict[str, Any]] = deepcopy(SETTINGS)  # the SDK adds its own settings
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

    def discover_streams(self) -> list[Stream]:
        """Return the enabled streams of each configured vendor, or of all vendors if none is configured."""
        run = self.sync_run
        rejected_messages = RejectedMessagesStream(self, run)
        sync_windows = SyncWindowsStream(self, run.sync_windows)
        context = SyncContext(
            run=run,
            writer=self.message_writer if isinstance(self.message_writer, Writer) else None,
            rejected_messages=rejected_messages,
            sync_windows=sync_windows,
        )
        enabled = vendors.enabled_sources(self.config)
        streams: list[Stream] = [
            rejected_messages,
            sync_windows,
            *(stream(self, context) for stream in HISTORY_STREAMS if stream.source_type in enabled),
        ]
        if self.input_catalog is not None:
            catalogs.complete(self.input_catalog, streams)
            self._warn_about_absent({stream.name for stream in streams}, self.input_catalog)
        return streams

    @cached_property
    def account(self) -> Account:
        """Access to the vendors with the settings' credentials."""
        return Account(self.config)

    @cached_property
    def sync_run(self) -> SyncRun:
        """The bookkeeping of this run."""
        return SyncRun(self.account, aborts=_ABORTS)

    # Settings

    @classproperty
    def _env_var_config(cls) -> dict[str, Any]:  # noqa: N805
        """Read environment variables.

        The SDK's own parser accepts empty variables and reads any text as a boolean.
        """
        cls.append_builtin_config(cls.config_jsonschema)
        return read_environment(cls.config_jsonschema, cls._env_var_prefix)

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Check all settings. The errors of the SDK's own check contain values, including keys."""
        schema = self.config_jsonschema
        self.append_builtin_config(schema)
        self._config = validation.with_defaults(self._config, schema)
        errors = validation.errors(self._config, schema)
        if errors and raise_errors:
            raise ConfigValidationError("Config validation failed", errors=errors, schema=schema)
        for warning in () if errors else validation.warnings(self._config, schema):
            self.logger.warning(warning)
        return errors

    # Catalog and state

    def setup_mapper(self) -> None:
        """Set up stream maps. A deselected stream keeps its columns: a map for all streams needs its key."""
        super(Tap, self).setup_mapper()
        for name, entry in self.catalog.items():
            if name not in self.streams:
                continue
            selection, schema = entry.metadata.resolve_selection(), entry.schema.to_dict()
            if selection[()]:
                schema = get_selected_schema(name, schema, selection)
            self.mapper.register_raw_stream_schema(name, schema, entry.key_properties)

    def _warn_about_absent(self, present: set[str], catalog: Catalog) -> None:
        """Warn about selected streams that do not exist; the SDK ignores them."""
        for name, entry in catalog.items():
            if name not in present and entry.metadata.root.selected:
                self.logger.warning(str(self.sync_run.absent_stream_error(name)))

    def load_state(self, state: dict[str, Any]) -> None:
        """Load the state of an earlier run. Raises `TapError` if it is not readable."""
        bookmarks = state.get("bookmarks", {})
        if not isinstance(bookmarks, dict) or not all(
            isinstance(bookmark, dict) for bookmark in bookmarks.values()
        ):
            raise TapError("The state is not readable: bookmarks must be an object with an object per stream")
        self.sync_run.warn_about_unknown_bookmarks(bookmarks)
        super().load_state(state)

    # Runs

    def sync_all(self) -> None:  # type: ignore[misc] # declared final by the SDK
        """Sync all streams. Raises the failures of streams after the others have been read."""
        self.sync_run.warn_if_nothing_is_selected([stream.name for stream in self._selected_histories])
        super().sync_all()
        self.sync_run.failures.raise_if_any()

    def run_connection_test(self) -> bool:  # type: ignore[misc] # declared final by the SDK
        """Request one small page per selected stream, and print a line for each to stdout.

        Raises the failures of streams after the others have been checked.
        """
        failures = self.sync_run.failures
        if not self._selected_histories:
            click.echo("no message history is selected")
        for stream in self._selected_histories:
            check = partial(_print_check, stream)
            failures.guard(stream.name, stream.source.client, check, skips_others=True)
        failures.raise_if_any()
        return True

    def print_plan(self) -> None:
        """Print a table of the ranges of a sync, estimated from a few small requests."""
        click.echo(plan_table([stream.estimate() for stream in self._selected_histories]))

    @property
    def _selected_histories(self) -> list[MessageHistoryStream]:
        return [
            stream
            for stream in self.streams.values()
            if isinstance(stream, MessageHistoryStream) and stream.selected
        ]

    def _setup_signal_handlers(self) -> None:
        """Stop after a complete line. The SDK's own handlers interrupt the line and exit with code 0.

        No final state is needed, because a state is emitted whenever a window is complete.
        """
        if threading.current_thread() is threading.main_thread():
            signals.install(self._stop)

    def _stop(self, reason: StoppedBySignal) -> None:
        if not isinstance(self.message_writer, Writer):
            raise reason
        self.message_writer.stop(reason)

    # Command line

    @classmethod
    def cb_config(cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]) -> Any:  # noqa: ARG003
        """Read the settings files; `ENV` is not a file. Raises `TapError` if one is not a JSON object."""
        config = files.read_config(path for path in value if path != "ENV")
        return _ConfigInput(config=config, parse_env="ENV" in value)

    @classmethod
    def invoke(  # type: ignore[override]
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        config: _ConfigInput | None = None,
        state: IO[str] | None = None,
        catalog: IO[str] | None = None,
        plan: bool = False,
        reconcile: IO[str] | None = None,
        reconcile_format: str = FORMATS[0],
        reconcile_from: str | None = None,
        test: str = DISABLED,
    ) -> None:
        """Run the tap, check its settings or a warehouse, or show what a run would read.

        Raises `TapError` if a file is not valid.
        """
        super(Tap, cls).invoke(about=about, about_format=about_format)
        cls.print_version(print_fn=cls.logger.info)
        config = config or _ConfigInput()
        content = files.read_catalog(catalog)
        tap = cls(
            config=config.config,
            state=files.read_state(state),
            catalog=catalogs.parse(content) if content else None,
            parse_env_config=config.parse_env,
            validate_config=True,
        )
        if test == CliTestOptionValue.Schema.value:
            tap.write_schemas()
            return
        if plan or test != DISABLED:
            tap.account.limit_waits()
        if test != DISABLED:
            tap.run_connection_test()
        elif plan:
            tap.print_plan()
        elif reconcile is not None:
            from tap_msghistory.reconciling.command import check_warehouse  # noqa: PLC0415 - slow to import

            check_warehouse(tap.account, reconcile, format_=reconcile_format, start=reconcile_from)
        else:
            with displayed(tap.sync_run.progress):
                tap.sync_all()

    @classmethod
    def get_singer_command(cls) -> click.Command:
        """Return the SDK's command with `--plan` and `--reconcile`, and with errors without a traceback."""
        return TapCommand.wrap(super().get_singer_command(), logger=cls.logger)


def _print_check(stream: MessageHistoryStream) -> None:
    click.echo(f"{stream.name}: {stream.check()}")
