"""What the tap costs: measured beside the stock SDK way and beside a plain script, on one machine.

`python -m bench` takes every measure, prints the tables and writes `docs/benchmarks.md`. The server that all
read from is a process of its own, on loopback, and so lean that it is not what limits them.
"""
