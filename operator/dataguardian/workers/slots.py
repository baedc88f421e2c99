"""Which runs hold a slot, and which wait for one: read from the catalog, with what is being started beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..domain.capacity import (
    IN_LINE,
    LIMIT_REACHED,
    Capacity,
    DatasourceName,
    Use,
    Waiting,
    ahead_of,
    in_line,
    next_up,
    taken_before,
)
from ..domain.conditions import READY
from ..domain.readiness import Obstacle
from ..resources import datasource
from ..resources.common import Resource
from ..resources.datasource import Datasource
from ..resources.restore import RestoreRequest
from ..resources.sync import DatabaseSyncExecution
from .catalog import Catalog
from .operations import RUN_KINDS, RunKind, priority_of

Run = Resource[Any, Any]
Open = tuple[RunKind, Run]
DEFAULT_LIMIT = 1  # of a Datasource that is not known (yet)


@dataclass(frozen=True)
class Full:
    """There is no slot for a run: why, its place if a datasource has none, and who may have what it leaves."""

    obstacle: Obstacle
    place: int | None = None
    others: Sequence[Waiting] = ()


class Slots:
    """The limits, kept between the look and the act: nothing here awaits, so no two callers see the same free slot."""

    def __init__(self, catalog: Catalog, *, limit: int) -> None:
        self._catalog = catalog
        self._limit = limit
        self._starting: dict[str, Sequence[DatasourceName]] = {}  # by UID; written as Running next, or released
        self._news = asyncio.Event()

    def capacity(self) -> Capacity:
        """What is under way now, and how much may be."""
        uses = [
            Use(
                execution_id=run.metadata.uid,
                name=f"{run_kind.kind.name} {run.metadata.name}",
                datasources=self._starting.get(run.metadata.uid) or datasources_of(run),
            )
            for run_kind, run in self.open()
            if run.status.phase == "Running" or run.metadata.uid in self._starting
        ]
        return Capacity(limit=self._limit, uses=uses, datasource_limit=self._datasource_limit)

    def _datasource_limit(self, name: DatasourceName) -> int:
        found = self._catalog.known(datasource.KIND, *name)
        return found.spec.max_concurrent_executions if found else DEFAULT_LIMIT

    def reserve(self, run: Run, used: Sequence[Datasource], *, now: datetime) -> Full | None:
        """Hold a slot for a run that is about to start and uses these; else what it waits for. One that uses none waits
        for the limit on all runs alone.

        The slots of datasources go by the line: a later one waits, whatever entry of a queue came first.
        """
        uid = run.metadata.uid
        if uid in self._starting:
            return None
        for each in used:
            self._catalog.put(datasource.KIND, each)
        names = [(each.metadata.namespace, each.metadata.name) for each in used]
        full = self._full(run, names, now)
        if full is None:
            self._starting[uid] = names
        return full

    def _full(self, run: Run, names: Sequence[DatasourceName], now: datetime) -> Full | None:
        capacity, own = self.capacity(), as_waiting(run, names)
        # Who is before those that wait for these may wait for others of their datasources.
        around = {*names, *(name for _, each in self.line_of(names) for name in datasources_of(each))}
        others = [as_waiting(each) for _, each in self.line_of(around) if each.metadata.uid != run.metadata.uid]
        found = capacity.obstacle(names)
        if found and not capacity.full(names):
            return Full(found)
        taken = taken_before(own, others, capacity, now=now)
        if taken is None:
            return None
        goes = f"Datasource {taken[1]!r} goes to runs that are before this one in the line."
        return Full(
            found or Obstacle(LIMIT_REACHED, goes),
            place=len(ahead_of(own, others)) + 1,
            others=[
                each
                for each in next_up(in_line(others), capacity, now=now)
                if any(name in names for name in each.datasources)
            ],
        )

    def take_over(self, run: Run) -> None:
        """Hold the slot of a run whose Kubernetes Job an operator before this one has created."""
        self._starting[run.metadata.uid] = datasources_of(run)

    def release(self, uid: str) -> None:
        """Give back what was reserved; the slot of a run that is Running by now stays taken."""
        self._starting.pop(uid, None)

    def is_starting(self, uid: str) -> bool:
        """Whether a slot is reserved for the run."""
        return uid in self._starting

    def open(self) -> Iterator[Open]:
        """All runs that have not ended."""
        for run_kind in RUN_KINDS.values():
            for run in self._catalog.all(run_kind.kind):
                yield run_kind, run

    def find(self, uid: str) -> Open | None:
        """The open run of this UID."""
        return next(((run_kind, run) for run_kind, run in self.open() if run.metadata.uid == uid), None)

    def queued(self) -> list[Open]:
        """The runs that have not started, in the order in which they go."""
        found = {
            run.metadata.uid: (run_kind, run)
            for run_kind, run in self.open()
            if run.status.phase == "Queued" and not run.spec.cancel and run.metadata.uid not in self._starting
        }
        line = in_line(as_waiting(run) for _, run in found.values())
        return [found[each.execution_id] for each in line]

    def half_started(self) -> list[Open]:
        """The runs that hold a slot and are not written as Running: their Kubernetes Job may exist."""
        return [
            (run_kind, run)
            for run_kind, run in self.open()
            if run.status.phase == "Queued" and run.metadata.uid in self._starting
        ]

    def line_of(self, names: Collection[DatasourceName]) -> list[Open]:
        """Those of ``queued`` that wait for a slot of one of these datasources, and for nothing else; in no order."""
        return [
            (run_kind, run)
            for run_kind, run in self.open()
            if run.status.phase == "Queued"
            and any(name in names for name in datasources_of(run))
            and not run.spec.cancel
            and run.metadata.uid not in self._starting
            and reason_of(run) in IN_LINE
        ]

    def waiting_for(self, backup: Run) -> list[Open]:
        """The restores that wait for this backup of their target."""
        return [
            (run_kind, run)
            for run_kind, run in self.open()
            if isinstance(run, RestoreRequest)
            and run.metadata.namespace == backup.metadata.namespace
            and run.status.phase == "Queued"
            and run.status.safety_backup == backup.metadata.name
        ]

    def newcomers_place(self, newcomer: Run) -> int:
        """The place of a run that begins to wait now, behind those whose datasource is not looked up yet either."""
        last = priority_of(newcomer) == "scheduled"
        return 1 + sum(
            (last or priority_of(run) == "manual") and run.metadata.uid != newcomer.metadata.uid
            for _, run in self.open()
            if run.status.phase == "Queued" and run.status.datasource is None
        )

    def ring(self) -> None:
        """Tell the dispatcher that there is something new: a free slot, or an entry."""
        self._news.set()

    async def news(self, seconds: float) -> None:
        """Return when there was a ring since the last time, or after so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return
        finally:
            self._news.clear()


def datasources_of(run: Run) -> list[DatasourceName]:
    """The datasources that a run uses, as far as they are known; its place is in the line of the first."""
    status = run.status
    names = (status.datasource, status.source) if isinstance(run, DatabaseSyncExecution) else (status.datasource,)
    return [(run.metadata.namespace, name) for name in names if name]


def as_waiting(run: Run, names: Sequence[DatasourceName] | None = None) -> Waiting:
    """A run as the rules of the line see it. What waits for something else takes no room of its datasources."""
    in_its_line = reason_of(run) in IN_LINE
    return Waiting(
        execution_id=run.metadata.uid,
        name=run.metadata.name,
        priority=priority_of(run),
        since=run.status.queued_time or run.metadata.creation_timestamp,
        datasources=datasources_of(run) if names is None and in_its_line else names or (),
    )


def reason_of(run: Run) -> str | None:
    """What a run says that it waits for."""
    return next((condition.reason for condition in run.status.conditions if condition.type == READY), None)
