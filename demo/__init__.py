"""Demo: both vendors' APIs through Meltano into PostgreSQL, on one machine.

`python -m demo` runs it and prints the loaded data. The end-to-end tests use the same modules.
"""
