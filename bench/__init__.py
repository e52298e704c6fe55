"""Benchmarks of the tap, next to a tap written with the stock SDK and a plain script, on one machine.

`python -m bench` runs all measurements, prints the tables and writes `docs/benchmarks.md`. All commands read
from a local server in a separate process, which is fast enough not to be the bottleneck.
"""
