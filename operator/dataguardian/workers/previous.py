"""Databases that Swaps keep for a while, in memory: found again in the objects after a restart."""

from __future__ import annotations

from datetime import datetime

from ..domain.previous import Previous, previous_of
from ..domain.status import is_terminal
from ..resources.sync import DatabaseSyncExecution


class PreviousDatabases:
    """What ended DatabaseSyncExecutions have left on the servers of their targets, until it is dropped."""

    def __init__(self) -> None:
        self._by_execution: dict[str, Previous] = {}  # by UID

    def put(self, execution: DatabaseSyncExecution) -> None:
        """Know an execution once it has ended."""
        if not is_terminal(execution.status):
            return  # it has left nothing yet; a version of before its end may also come late
        left = previous_of(execution)
        if left is None:
            self.forget(execution.metadata.uid)
        else:
            self._by_execution[left.uid] = left

    def forget(self, uid: str) -> None:
        """Its database is dropped, or the execution is gone."""
        self._by_execution.pop(uid, None)

    def is_kept(self, uid: str) -> bool:
        """Whether the execution has one that is not dropped."""
        return uid in self._by_execution

    def due(self, at: datetime) -> list[Previous]:
        """Those whose time is over, the longest first."""
        return sorted((each for each in self._by_execution.values() if each.due <= at), key=lambda each: each.due)
