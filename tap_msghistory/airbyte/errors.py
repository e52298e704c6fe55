"""Airbyte's classification of errors."""

from __future__ import annotations

from http import HTTPStatus

from airbyte_protocol_dataclasses.models import FailureType

from tap_msghistory.errors import ApiError, StoppedBySignal, TapError


def failure_type(error: BaseException) -> FailureType:
    """Return whether the user, another attempt or a change of the software can fix an error."""
    if isinstance(error, ApiError):
        # Only a response that no retry can change has a status: mostly one that refuses the settings.
        is_refused = error.status is not None and error.status < HTTPStatus.INTERNAL_SERVER_ERROR
        return FailureType.config_error if is_refused else FailureType.transient_error
    if isinstance(error, TapError):
        return FailureType.config_error
    if isinstance(error, (OSError, StoppedBySignal)):
        return FailureType.transient_error
    return FailureType.system_error
