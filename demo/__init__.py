"""The road from both vendors' APIs through Meltano into PostgreSQL, on one machine.

`python -m demo` walks it and shows what it brings; the end-to-end test walks it with the same parts.
"""
