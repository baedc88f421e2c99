"""Ended runs in memory: a slim entry of each, for the status and the history limits of what it was a run of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..domain.ended_runs import EndedRun, ended_run, untold
from ..domain.status import is_terminal
from ..resources.common import Resource

Key = tuple[str, str]  # namespace and owner
Run = Resource[Any, Any]


class EndedRuns:
    """Those of one kind of runs: as many as there are objects, which their owners' limits bound. Filled as they are
    seen."""

    def __init__(self, owner_of: Callable[[Any], str | None]) -> None:
        self._owner_of = owner_of
        self._by_owner: dict[Key, dict[str, EndedRun]] = {}  # name → run
        self._open: set[str] = set()  # UIDs of those that have not ended
        self._news: set[str] = set()  # UIDs of those that were seen to end, until that is told

    def put(self, run: Run) -> None:
        """Know a run, if it has ended and is one of an owner."""
        owner, uid = self._owner_of(run), run.metadata.uid
        ended = ended_run(run, owner)
        if ended is None and owner is not None and not is_terminal(run.status):
            self._open.add(uid)
        if ended is not None:
            if uid in self._open:
                self._open.remove(uid)
                self._news.add(uid)
            self._by_owner.setdefault((ended.namespace, ended.owner), {})[ended.name] = ended

    def drop(self, run: Run) -> None:
        """Forget a run whose object is gone."""
        self._open.discard(run.metadata.uid)
        ended = ended_run(run, self._owner_of(run))
        if ended is not None:
            self.forget(ended)

    def forget(self, ended: EndedRun) -> None:
        """Forget the run of an object that is gone, and not its successor of the same name."""
        self._news.discard(ended.uid)
        runs = self._by_owner.get((ended.namespace, ended.owner), {})
        known = runs.get(ended.name)
        if known is not None and known.uid == ended.uid:
            del runs[ended.name]
        if not runs:
            self._by_owner.pop((ended.namespace, ended.owner), None)

    def of_owner(self, namespace: str, owner: str) -> list[EndedRun]:
        """The ended runs of an object."""
        return list(self._by_owner.get((namespace, owner), {}).values())

    def untold(self, owner: Run) -> list[EndedRun]:
        """Those that the owner's status does not know of yet, or whose end nobody has told."""
        meta = owner.metadata
        return untold(owner.status.last_execution, self.of_owner(meta.namespace, meta.name), self._news)

    def tell(self, ended: EndedRun) -> None:
        """Its end has been told."""
        self._news.discard(ended.uid)
