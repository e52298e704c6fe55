"""Errors that a user can fix."""

from __future__ import annotations


class ReportError(Exception):
    """The report cannot be made. The text says how to fix it, and contains no credential."""
