"""Where the record schemas are, however the tap is installed."""

from __future__ import annotations

from pathlib import Path

from singer_sdk.schema.source import SchemaDirectory

_PACKAGE = Path(__file__).parent
#: In a wheel the schemas lie in the package, in a checkout (an editable install) beside it.
_DIRECTORIES = (_PACKAGE / "schemas", _PACKAGE.parent / "schemas")

SCHEMAS = SchemaDirectory(next(path for path in _DIRECTORIES if path.is_dir()))
