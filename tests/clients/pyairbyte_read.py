"""Read all streams into PyAirbyte's default cache. Runs in PyAirbyte's environment.

Usage: pyairbyte_read.py EXECUTABLE CONFIG CACHE RESULT. Writes the rows of every table to the file RESULT.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import airbyte as ab
from airbyte.caches import DuckDBCache

executable, config, cache, result = sys.argv[1:]
source = ab.get_source(
    "source-msghistory",
    config=json.loads(Path(config).read_text(encoding="utf-8")),
    local_executable=Path(executable),
    install_if_missing=False,
)
source.check()
source.select_all_streams()
streams = source.read(DuckDBCache(db_path=cache)).streams
tables = {name: dataset.to_pandas().to_dict("records") for name, dataset in streams.items()}
Path(result).write_text(json.dumps(tables, default=str), encoding="utf-8")
