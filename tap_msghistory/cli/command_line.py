"""What the command's options do: the SDK's, with files checked, a progress display, and `--plan`."""

from __future__ import annotations

import json
from typing import IO, TYPE_CHECKING, Any, cast

import click
from singer_sdk import Tap
from singer_sdk.helpers._util import read_json_file
from singer_sdk.plugin_base import _ConfigInput
from singer_sdk.tap_base import CliTestOptionValue

from tap_msghistory.cli.command import DISABLED, TapCommand
from tap_msghistory.cli.display import shown
from tap_msghistory.errors import TapError
from tap_msghistory.streams import catalogs

if TYPE_CHECKING:
    from tap_msghistory.tap import TapMessageHistory

#: The longest that a request is retried where somebody waits for the result of a check.
_CHECK_SECONDS = 10.0
_TEST_HELP = (
    "Check the settings: request one small page per selected stream, and print a line for each. "
    "--test=schema prints schemas and sends no request."
)


class CommandLineTap(Tap):
    """A tap whose options are checked before anything is read."""

    @classmethod
    def cb_config(cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]) -> Any:
        """Read the files of settings. Raises `TapError` for one that holds none."""
        for path in value:
            if path != "ENV" and not isinstance(read_json_file(path), dict):
                raise TapError(f"The file {path}, given with --config, must hold a JSON object")
        return super().cb_config(ctx, param, value)

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
        test: str = DISABLED,
    ) -> None:
        """Run the tap, check its settings, or show what a run would read.

        Raises `TapError` and `ValueError` for files.
        """
        super(Tap, cls).invoke(about=about, about_format=about_format)
        cls.print_version(print_fn=cls.logger.info)
        config = config or _ConfigInput()
        tap = cast("type[TapMessageHistory]", cls)(
            config=config.config,
            state=_state(state),
            catalog=catalogs.parse(content) if (content := _object(catalog, "catalog", "streams")) else None,
            parse_env_config=config.parse_env,
            validate_config=True,
        )
        if test == CliTestOptionValue.Schema.value:
            tap.write_schemas()
            return
        if plan or test != DISABLED:
            tap.account.limit_retries(_CHECK_SECONDS)
        if test != DISABLED:
            tap.run_connection_test()
            return
        if plan:
            click.echo(tap.forecast())
            return
        with shown(tap.progress):
            tap.sync_all()

    @classmethod
    def get_singer_command(cls) -> click.Command:
        """Return the SDK's command line, with errors as one line each."""
        command = super().get_singer_command()
        for option in command.params:
            if option.name == "test":
                # The SDK's callback runs the test before the other options are read.
                option.callback, option.expose_value = None, True
                option.help = _TEST_HELP
        command.params.append(
            click.Option(
                ["--plan"],
                is_flag=True,
                help="Show what a sync would read, with estimates from a few small requests; emit nothing.",
            )
        )
        return TapCommand.wrap(command, logger=cls.logger)


def _state(file: IO[str] | None) -> dict[str, Any] | None:
    """Read a Singer state, or one in the form in which `meltano state get` prints it."""
    content = _json(file)
    for name in ("completed", "singer_state"):
        if isinstance(content, dict) and "bookmarks" not in content and isinstance(content.get(name), dict):
            content = content[name]
    return _checked(content, "state", "bookmarks")


def _object(file: IO[str] | None, option: str, member: str) -> dict[str, Any] | None:
    return _checked(_json(file), option, member)


def _json(file: IO[str] | None) -> Any:
    """Return what a file given on the command line holds. Raises `ValueError` where it is not JSON."""
    return json.load(file) if file else None


def _checked(content: Any, option: str, member: str) -> dict[str, Any] | None:
    """Return an object, which would count as empty if it were something else. Raises `TapError`."""
    if content is None:
        return None
    if not isinstance(content, dict) or (content and member not in content):
        raise TapError(f"The file given with --{option} must hold a JSON object with {member!r}")
    return content
