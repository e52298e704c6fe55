"""Export runs against a sandbox, and the requests that they send."""

from __future__ import annotations

from msghistory_sandbox.export import QUEUE_PATH
from tap_msghistory.errors import TapError
from tests.impatient import ImpatientTap
from tests.support import EXPORT, GATEWAY_STREAMS, REJECTED, config, in_send_order, selecting, sync, truth

#: The number of export windows of at most 30 days between the tests' start date and end date.
WINDOWS = 3


def export(sandbox, *, state=None, catch=None, **settings):
    """Run the tap with only the export and the rejected messages selected."""
    return sync(
        config(sandbox, edna_api_key=None, partner_gateway_export=True, **settings),
        state=state,
        catalog=selecting(EXPORT, REJECTED),
        catch=catch,
        tap_class=ImpatientTap,
    )


def failing_export(sandbox, **settings):
    """Run an export that fails; return its output and the error."""
    errors: list[TapError] = []
    output = export(sandbox, catch=errors.append, **settings)
    (error,) = errors
    return output, error


def all_messages(sandbox):
    """Return the records of all channels in send order."""
    return in_send_order(
        EXPORT, [record for name in GATEWAY_STREAMS.values() for record in truth(sandbox, name)]
    )


def requests_to(sandbox, method, path):
    """Return the requests to a path, or below it."""
    return [
        request
        for request in sandbox.requests
        if request.method == method and (request.path == path or request.path.startswith(f"{path}/"))
    ]


def queue_requests(sandbox):
    return requests_to(sandbox, "POST", QUEUE_PATH)
