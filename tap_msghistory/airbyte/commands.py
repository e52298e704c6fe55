"""The commands of Airbyte's protocol: spec, check, discover and read."""

from __future__ import annotations

from argparse import Namespace

from airbyte_protocol_dataclasses import models as protocol

from tap_msghistory.airbyte import catalogs, specification, states
from tap_msghistory.airbyte.messages import MessageWriter, error_message, status_message
from tap_msghistory.airbyte.streams import StreamOutput
from tap_msghistory.cli.display import displayed
from tap_msghistory.cli.files import read_json
from tap_msghistory.config.account import Account
from tap_msghistory.errors import StoppedBySignal, TapError, describe_error
from tap_msghistory.output import OutputError
from tap_msghistory.syncing.credentials import check_vendors
from tap_msghistory.syncing.delivery import deliver
from tap_msghistory.syncing.run import SyncRun


def spec(_: Namespace, writer: MessageWriter) -> bool:
    """Write the form of the settings."""
    writer.write(protocol.AirbyteMessage(protocol.Type.SPEC, spec=specification.specification()))
    return True


def check(arguments: Namespace, writer: MessageWriter) -> bool:
    """Send one small request to each configured vendor, and write whether the settings are valid."""
    try:
        errors = check_vendors(_account(arguments))
    except OutputError:
        raise
    except Exception as error:  # noqa: BLE001 - every failure is the result of the check
        errors = [error]
    status = protocol.AirbyteConnectionStatus(protocol.Status.SUCCEEDED)
    if errors:
        reasons = "; ".join(dict.fromkeys(map(describe_error, errors)))
        status = protocol.AirbyteConnectionStatus(protocol.Status.FAILED, reasons)
    writer.write(protocol.AirbyteMessage(protocol.Type.CONNECTION_STATUS, connectionStatus=status))
    return True  # the failure is in the message


def discover(arguments: Namespace, writer: MessageWriter) -> bool:
    """Write the catalog of the streams that the settings enable. Sends no request."""
    catalog = catalogs.discovered(SyncRun(_account(arguments)).streams)
    writer.write(protocol.AirbyteMessage(protocol.Type.CATALOG, catalog=catalog))
    return True


def read(arguments: Namespace, writer: MessageWriter) -> bool:
    """Write the messages of the configured streams. Return whether all were read to their end."""
    run = SyncRun(_account(arguments))
    selected = catalogs.configured(read_json(arguments.catalog, "--catalog"))
    known_states = states.read(read_json(arguments.state, "--state") if arguments.state else [])
    run.warn_about_unknown_bookmarks(known_states)
    run.warn_if_nothing_is_selected([stream.name for stream in selected])
    if any(stream.is_full_refresh for stream in selected):
        run.refuse_rereads("a full refresh")
    outputs: dict[str, StreamOutput] = {}
    unread: dict[str, Exception] = {}
    for stream in selected:
        try:
            outputs[stream.name] = StreamOutput(run, stream, known_states.get(stream.name, {}), writer)
        except TapError as error:  # the stream does not exist
            unread[stream.name] = error
            writer.write(status_message(stream.name, protocol.AirbyteStreamStatus.INCOMPLETE))
    with displayed(run.progress):
        deliver(run, outputs, writer.check)
    unread |= run.failures.unread
    # After all streams, because some consumers stop at the first error.
    for name, cause in unread.items():
        writer.write(error_message(f"{name}: {describe_error(cause)}", cause, name))
    return not unread


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
        text = stopped.describe(resumes=arguments.command == "read")
        writer.write(error_message(text, stopped))
        raise
    except Exception as error:  # noqa: BLE001 - its text may quote a key or a message
        writer.write(error_message(describe_error(error), error))
        return 1


def _account(arguments: Namespace) -> Account:
    """Return the account of the config. Raises `TapError`."""
    return Account(specification.settings(read_json(arguments.config, "--config")))
