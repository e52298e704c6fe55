"""The commands of Airbyte's protocol: spec, check, discover and read."""

from __future__ import annotations

import json
import logging
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from airbyte_protocol_dataclasses import models as protocol

from tap_msghistory.airbyte import catalogs, specification, states
from tap_msghistory.airbyte.errors import failure_type
from tap_msghistory.airbyte.messages import MessageWriter, error_message
from tap_msghistory.airbyte.reading import Reading
from tap_msghistory.cli.display import displayed
from tap_msghistory.config.account import Account
from tap_msghistory.errors import StoppedBySignal, TapError, describe_error
from tap_msghistory.output import OutputError
from tap_msghistory.syncing.history_sync import HistorySync
from tap_msghistory.syncing.run import SyncRun

logger = logging.getLogger("tap-msghistory.airbyte")


def spec(_: Namespace, writer: MessageWriter) -> bool:
    """Write the form of the settings."""
    writer.write(protocol.AirbyteMessage(protocol.Type.SPEC, spec=specification.specification()))
    return True


def check(arguments: Namespace, writer: MessageWriter) -> bool:
    """Send one small request to each configured vendor, and write whether the settings are right."""
    try:
        errors = [*_check_vendors(_account(arguments))]
    except OutputError:
        raise
    except Exception as error:  # noqa: BLE001 - every failure is the result of the check
        errors = [describe_error(error)]
    status = protocol.AirbyteConnectionStatus(protocol.Status.SUCCEEDED)
    if errors:
        status = protocol.AirbyteConnectionStatus(protocol.Status.FAILED, "; ".join(dict.fromkeys(errors)))
    writer.write(protocol.AirbyteMessage(protocol.Type.CONNECTION_STATUS, connectionStatus=status))
    return True  # the failure is in the message


def discover(arguments: Namespace, writer: MessageWriter) -> bool:
    """Write the catalog of the streams that the settings enable. Sends no request."""
    declared = catalogs.declarations(SyncRun(_account(arguments)))
    writer.write(protocol.AirbyteMessage(protocol.Type.CATALOG, catalog=catalogs.discovered(declared)))
    return True


def read(arguments: Namespace, writer: MessageWriter) -> bool:
    """Write the messages of the configured streams. Return whether all were read to their end."""
    run = SyncRun(_account(arguments))
    selected = catalogs.configured(_content(arguments.catalog, "--catalog"))
    known_states = states.read(_content(arguments.state, "--state") if arguments.state else [])
    reading = Reading(run, catalogs.declarations(run), selected, known_states, writer)
    with displayed(run.progress):
        reading.read()
    # After all streams, because some consumers stop at the first error.
    for name, error in reading.errors.items():
        text = f"{name}: {describe_error(error)}"
        writer.write(error_message(text, failure_type(error), name))
    return not reading.errors


_COMMANDS = {"spec": spec, "check": check, "discover": discover, "read": read}


def run(arguments: Namespace, writer: MessageWriter) -> int:
    """Run a command, write the error that ends it, and return the exit code.

    Raises `OutputError`, and `StoppedBySignal` after a complete line.
    """
    try:
        return 0 if _COMMANDS[arguments.command](arguments, writer) else 1
    except OutputError:
        raise
    except StoppedBySignal as stopped:
        writer.write(error_message(stopped.describe(resumes=True), failure_type(stopped)))
        raise
    except Exception as error:  # noqa: BLE001 - its text may quote a key or a message
        writer.write(error_message(describe_error(error), failure_type(error)))
        return 1


def _check_vendors(account: Account) -> Iterator[str]:
    """Yield one line per vendor that cannot be read."""
    # Whatever ranges a read would request, the credentials are checked.
    account = Account({name: value for name, value in account.config.items() if name != "reread"})
    account.limit_waits()
    run, checked = SyncRun(account), set()
    for stream in catalogs.declarations(run).values():
        source = stream.source
        if source is None or source.vendor in checked:
            continue
        checked.add(source.vendor)
        try:
            sync = HistorySync(source, run)
            logger.info("%s: %s", source.name, sync.check(sync.bookmark({})))
        except Exception as error:  # noqa: BLE001 - the other vendor is checked regardless
            yield describe_error(error)


def _account(arguments: Namespace) -> Account:
    """Return the account of the config. Raises `TapError`."""
    return Account(specification.settings(_content(arguments.config, "--config")))


def _content(path: Path, option: str) -> Any:
    """Return the content of a JSON file. Raises `TapError`."""
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        # The error's text contains a position, but not the content.
        raise TapError(f"The file given with {option} is not JSON: {error}") from error
    except OSError as error:
        raise TapError(f"The file given with {option} cannot be read: {error.strerror}") from error
