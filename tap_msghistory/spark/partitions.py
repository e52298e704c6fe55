"""Partitions of a read: the windows of one task each."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql.datasource import InputPartition

from tap_msghistory.planning.windows import Window
from tap_msghistory.reading.parts import divided
from tap_msghistory.reading.source import HistorySource
from tap_msghistory.timestamps import MILLISECOND


@dataclass
class HistoryPartition(InputPartition):
    """The windows of one task. It contains no credential, only the index of the account in the options."""

    account: int
    windows: list[Window]
    shares_start_boundary: bool  #: another partition ends where this one starts
    shared_by: int = 1  #: partitions with the same credential, including this one


def partition(
    source: HistorySource, windows: list[Window], account: int, num_partitions: int
) -> list[HistoryPartition]:
    """Split windows into partitions. Sends small requests if `num_partitions` is greater than 1.

    Raises `TapError`.
    """
    partitions: list[HistoryPartition] = []
    for group in divided(source, windows, num_partitions):
        # Requests start a millisecond early, so windows a millisecond apart share an instant too.
        shares = bool(partitions) and group[0].start <= partitions[-1].windows[-1].end + MILLISECOND
        partitions.append(HistoryPartition(account, group, shares_start_boundary=shares))
    return partitions
