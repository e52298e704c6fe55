"""The SDK's command with `--plan` and `--reconcile`.

Failures are reported without a traceback. The exit code is 1, or 128 + n after signal n; click exits with 2
for wrong options. `--reconcile` exits with 3 if numbers of messages differ.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import click
from click.core import ParameterSource
from singer_sdk.exceptions import ConfigValidationError, MapExpressionError, StreamMapConfigError
from singer_sdk.plugin_base import SingerCommand
from singer_sdk.tap_base import CliTestOptionValue

from tap_msghistory.errors import (
    StoppedBySignal,
    StreamsFailedError,
    TapError,
    describe_error,
    traceback_locations,
)
from tap_msghistory.reconciling import FORMATS

#: Loggers of libraries that quote messages or responses, and the level from which they do not.
_QUOTING = {"singer_sdk.mapper": logging.INFO, "urllib3.connection": logging.ERROR}

#: The value of `--test` if it is not given.
DISABLED = CliTestOptionValue.Disabled.value
_HELP = """Read the message histories of edna Pulse and of the Qlara partner gateway, and write them to
stdout as Singer messages.

Settings are read from JSON files (--config config.json), from environment variables (--config ENV; for
example TAP_MSGHISTORY_START_DATE), or both; --about lists them. Logs are written to stderr."""
_TEXT_FILE = click.File(encoding="utf-8-sig", errors="replace")
_TEST_HELP = (
    "Check the settings: send one small request per selected stream, and print a line for each. "
    "--test=schema prints the schemas and sends no request."
)
_RECONCILE_HELP = (
    "Compare the numbers of messages in a warehouse with the vendor's; emits no records. FILE (- for stdin) "
    "is CSV or JSON lines with stream, from, to and messages. Exit code: 0 if all are equal, 3 if any differ."
)
_RECONCILE_FORMAT_HELP = "The table lists the ranges that are not ok; json and csv list all."
_RECONCILE_FROM_HELP = (
    "Skip ranges that end at or before this time, for example to resume an interrupted check."
)
_PLAN_HELP = "Show what a sync would read, estimated from a few small requests. Emits no records."


class TapCommand(SingerCommand):
    """Runs the tap, and reports failures on stderr and with the exit code."""

    _is_sync = False  # not --test, --plan or --reconcile

    @classmethod
    def wrap(cls, command: click.Command, *, logger: logging.Logger) -> TapCommand:
        """Return the SDK's command as a `TapCommand`."""
        for option in command.params:
            if option.name == "test":
                # The SDK's callback runs the test before the other options are read.
                option.callback, option.expose_value = None, True
                option.help, option.metavar = _TEST_HELP, "[all|schema]"
                option.type = click.Choice([value.value for value in CliTestOptionValue])
        return cls(
            name=command.name,
            callback=command.callback,
            params=[
                *command.params,
                click.Option(["--plan"], is_flag=True, help=_PLAN_HELP),
                click.Option(["--reconcile"], type=_TEXT_FILE, metavar="FILE", help=_RECONCILE_HELP),
                click.Option(
                    ["--reconcile-format"],
                    type=click.Choice(FORMATS),
                    default=FORMATS[0],
                    help=_RECONCILE_FORMAT_HELP,
                ),
                click.Option(["--reconcile-from"], metavar="TIME", help=_RECONCILE_FROM_HELP),
            ],
            context_settings=command.context_settings,
            help=_HELP,
            logger=logger,
        )

    def invoke(self, ctx: click.Context) -> Any:
        """Run the callback. `main` reports errors, including those of options."""
        logging.captureWarnings(capture=True)
        for name, level in _QUOTING.items():
            logging.getLogger(name).setLevel(level)
        others = [ctx.params["plan"], ctx.params["reconcile"] is not None, ctx.params["test"] != DISABLED]
        if sum(others) > 1:
            raise click.UsageError("--plan, --reconcile and --test cannot be combined", ctx)
        if ctx.params["about_format"] and not ctx.params["about"]:
            raise click.UsageError("--format requires --about", ctx)
        if not ctx.params["about"] and ctx.get_parameter_source("config") is ParameterSource.DEFAULT:
            raise TapError(
                "No settings were given: use --config FILE, or --config ENV to read environment variables"
            )
        self._is_sync = not any(others)
        return click.Command.invoke(self, ctx)

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command line."""
        try:
            return super().main(*args, **kwargs)
        except ConfigValidationError as error:
            self._fail(*error.errors)
        except StreamsFailedError as error:
            self._fail(*error.lines)
        except TapError as error:
            self._fail(str(error))
        except OSError as error:
            self._fail(str(error))
        except (MapExpressionError, StreamMapConfigError) as error:
            self._fail(f"Setting stream_maps: {error}")
        except Exception as error:  # noqa: BLE001 - its text may quote a key or a message
            for location in traceback_locations(error):
                self.logger.debug("  at %s", location)
            self._fail(describe_error(error))
        except StoppedBySignal as stopped:
            self._fail(stopped.describe(resumes=self._is_sync), code=128 + stopped.signum)

    def _fail(self, *lines: str, code: int = 1) -> None:
        for line in lines:
            self.logger.error(line)
        sys.exit(code)
