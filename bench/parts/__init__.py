"""The benchmarks, one per module. Each has a function `run` that returns a section of the report."""
