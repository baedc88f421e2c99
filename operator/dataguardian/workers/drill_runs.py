"""The ended runs of RestoreDrills in memory: a slim entry of each, for the drill's status and its history limits."""

from __future__ import annotations

from ..domain.drills import DrillRun, drill_run_of, untold
from ..domain.status import is_terminal
from ..resources.drill import RestoreDrill
from ..resources.restore import RestoreRequest

Key = tuple[str, str]  # namespace and drill


class DrillRuns:
    """As many as there are objects, and those of a drill are bounded by its limits. Filled as they are seen."""

    def __init__(self) -> None:
        self._by_drill: dict[Key, dict[str, DrillRun]] = {}  # name → run
        self._open: set[str] = set()  # UIDs of those that have not ended
        self._news: set[str] = set()  # UIDs of those that were seen to end, until that is told

    def put(self, request: RestoreRequest) -> None:
        """Know a request, if it is the ended run of a drill."""
        run, uid = drill_run_of(request), request.metadata.uid
        if run is None and not is_terminal(request.status) and request.spec.restore_drill_ref:
            self._open.add(uid)
        if run is not None:
            if uid in self._open:
                self._open.remove(uid)
                self._news.add(uid)
            self._by_drill.setdefault((run.namespace, run.drill), {})[run.name] = run

    def drop(self, request: RestoreRequest) -> None:
        """Forget a request that is gone."""
        self._open.discard(request.metadata.uid)
        run = drill_run_of(request)
        if run is not None:
            self.forget(run)

    def forget(self, run: DrillRun) -> None:
        """Forget the run of an object that is gone, and not its successor of the same name."""
        self._news.discard(run.uid)
        runs = self._by_drill.get((run.namespace, run.drill), {})
        known = runs.get(run.name)
        if known is not None and known.uid == run.uid:
            del runs[run.name]
        if not runs:
            self._by_drill.pop((run.namespace, run.drill), None)

    def of_drill(self, namespace: str, drill: str) -> list[DrillRun]:
        """The ended runs of a drill."""
        return list(self._by_drill.get((namespace, drill), {}).values())

    def untold(self, drill: RestoreDrill) -> list[DrillRun]:
        """Those that the drill's status does not know of yet, or whose end nobody has told."""
        meta = drill.metadata
        return untold(drill, self.of_drill(meta.namespace, meta.name), self._news)

    def tell(self, run: DrillRun) -> None:
        """Its end has been told."""
        self._news.discard(run.uid)
