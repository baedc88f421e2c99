"""The ended runs of RestoreDrills in memory: a slim entry of each, for the drill's status and its history limits."""

from __future__ import annotations

from ..domain.drills import DrillRun, drill_run_of
from ..resources.restore import RestoreRequest

Key = tuple[str, str]  # namespace and drill


class DrillRuns:
    """As many as there are objects, and those of a drill are bounded by its limits. Filled as they are seen."""

    def __init__(self) -> None:
        self._by_drill: dict[Key, dict[str, DrillRun]] = {}  # name → run

    def put(self, request: RestoreRequest) -> None:
        """Know a request, if it is the ended run of a drill."""
        run = drill_run_of(request)
        if run is not None:
            self._by_drill.setdefault((run.namespace, run.drill), {})[run.name] = run

    def drop(self, request: RestoreRequest) -> None:
        """Forget a request that is gone."""
        run = drill_run_of(request)
        if run is not None:
            self.forget(run)

    def forget(self, run: DrillRun) -> None:
        """Forget the run of an object that is gone, and not its successor of the same name."""
        runs = self._by_drill.get((run.namespace, run.drill), {})
        known = runs.get(run.name)
        if known is not None and known.uid == run.uid:
            del runs[run.name]
        if not runs:
            self._by_drill.pop((run.namespace, run.drill), None)

    def of_drill(self, namespace: str, drill: str) -> list[DrillRun]:
        """The ended runs of a drill."""
        return list(self._by_drill.get((namespace, drill), {}).values())
