"""The command line: the SDK's, with every failure that explains itself told in one line, exit code 1."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import click
import simplejson
from singer_sdk.exceptions import ConfigValidationError, MapExpressionError, StreamMapConfigError
from singer_sdk.plugin_base import SingerCommand
from singer_sdk.tap_base import CliTestOptionValue

from tap_msghistory.errors import StoppedBySignal, StreamsFailedError, TapError, explained, way_to

#: Loggers of libraries that quote messages or what a server says, and the level from which they do not.
_QUOTING = {"singer_sdk.mapper": logging.INFO, "urllib3.connection": logging.ERROR}

#: The value of `--test` where it is not given.
DISABLED = CliTestOptionValue.Disabled.value
_HELP = """Read the message histories of edna Pulse and of the Qlara partner gateway, and write them to
stdout as Singer messages.

Settings come from JSON files (--config config.json), from environment variables (--config ENV, as
TAP_MSGHISTORY_START_DATE), or both; --about lists them. Logs go to stderr."""


class TapCommand(SingerCommand):
    """Runs the tap, and turns what stops it into a line on stderr and an exit code."""

    _syncs = False  # rather than checks the settings, or shows something

    @classmethod
    def wrap(cls, command: click.Command, *, logger: logging.Logger) -> TapCommand:
        """Return `command` of the SDK as one of this class."""
        return cls(
            name=command.name,
            callback=command.callback,
            params=command.params,
            context_settings=command.context_settings,
            help=_HELP,
            logger=logger,
        )

    def invoke(self, ctx: click.Context) -> Any:
        """Run the callback; errors are told by `main`, which also sees those of options."""
        logging.captureWarnings(capture=True)
        for name, level in _QUOTING.items():
            logging.getLogger(name).setLevel(level)
        self._syncs = not ctx.params["plan"] and ctx.params["test"] == DISABLED
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
        except (json.JSONDecodeError, simplejson.JSONDecodeError) as error:
            self._fail(f"A file given with --config, --catalog or --state is not JSON: {error}")
        except OSError as error:
            self._fail(str(error))
        except (MapExpressionError, StreamMapConfigError) as error:
            self._fail(f"Setting stream_maps: {error}")
        except Exception as error:  # noqa: BLE001 - whatever it is, its text may quote a key or a message
            for place in way_to(error):
                self.logger.debug("by way of %s", place)
            self._fail(explained(error))
        except StoppedBySignal as stopped:
            self._fail(stopped.explain(resumes=self._syncs), code=128 + stopped.signum)

    def _fail(self, *lines: str, code: int = 1) -> None:
        for line in lines:
            self.logger.error(line)
        sys.exit(code)
