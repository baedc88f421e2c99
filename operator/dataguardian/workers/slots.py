"""Which runs hold a slot, and which wait for one: read from the catalog, with what is being started beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..domain.capacity import IN_LINE, LIMIT_REACHED, Capacity, Source, Use, Waiting, ahead_of, in_line
from ..domain.conditions import READY
from ..domain.readiness import Obstacle
from ..resources import datasource
from ..resources.common import Resource
from ..resources.datasource import Datasource
from ..resources.restore import RestoreRequest
from .catalog import Catalog
from .operations import RUN_KINDS, RunKind, priority_of

Run = Resource[Any, Any]
Open = tuple[RunKind, Run]
DEFAULT_LIMIT = 1  # of a Datasource that is not known (yet)


@dataclass(frozen=True)
class Full:
    """There is no slot for a run: the limit, the datasource if it is that one's, and who goes before it there."""

    obstacle: Obstacle
    source: Source | None
    ahead: Sequence[Waiting]


class Slots:
    """The limits, kept between the look and the act: nothing here awaits, so no two callers see the same free slot."""

    def __init__(self, catalog: Catalog, *, limit: int) -> None:
        self._catalog = catalog
        self._limit = limit
        self._starting: dict[str, Source | None] = {}  # by UID; written as Running next, or released
        self._news = asyncio.Event()

    def capacity(self) -> Capacity:
        """What is under way now, and how much may be."""
        uses = [
            Use(
                execution_id=run.metadata.uid,
                name=f"{run_kind.kind.name} {run.metadata.name}",
                source=self._starting.get(run.metadata.uid) or source_of(run),
            )
            for run_kind, run in self.open()
            if run.status.phase == "Running" or run.metadata.uid in self._starting
        ]
        return Capacity(limit=self._limit, uses=uses, source_limit=self._source_limit)

    def _source_limit(self, source: Source) -> int:
        found = self._catalog.known(datasource.KIND, *source)
        return found.spec.max_concurrent_executions if found else DEFAULT_LIMIT

    def reserve(self, run: Run, source: Datasource | None) -> Full | None:
        """Hold a slot for a run that is about to start; else what it waits for. One without a datasource waits for the
        limit on all runs alone.

        A datasource's slot goes to the first in its line: another one waits, whatever entry of a queue came first.
        """
        uid = run.metadata.uid
        if uid in self._starting:
            return None
        full = self._full(run, source) if source else self._full_in_all()
        if full is None:
            self._starting[uid] = (source.metadata.namespace, source.metadata.name) if source else None
        return full

    def _full_in_all(self) -> Full | None:
        found = self.capacity().obstacle(None)
        return Full(found, None, ()) if found else None

    def _full(self, run: Run, source: Datasource) -> Full | None:
        self._catalog.put(datasource.KIND, source)
        where = (source.metadata.namespace, source.metadata.name)
        capacity = self.capacity()
        room = capacity.room_of(where)
        ahead = ahead_of(as_waiting(run, where), (as_waiting(each) for _, each in self.line_of(where)))
        if found := capacity.obstacle(where):
            return Full(found, None if room else where, ahead)
        if len(ahead) >= room:
            longer = f"Datasource {where[1]!r} goes to runs that are before this one in the line."
            return Full(Obstacle(LIMIT_REACHED, longer), where, ahead)
        return None

    def take_over(self, run: Run, source: Source | None) -> None:
        """Hold the slot of a run whose Kubernetes Job an operator before this one has created."""
        self._starting[run.metadata.uid] = source

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

    def line_of(self, source: Source) -> list[Open]:
        """Those of ``queued`` that wait for a slot of this datasource, and for nothing else; in no order."""
        return [
            (run_kind, run)
            for run_kind, run in self.open()
            if run.status.datasource == source[1]
            and run.metadata.namespace == source[0]
            and run.status.phase == "Queued"
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


def source_of(run: Run) -> Source | None:
    """The datasource that a run uses, once it is known."""
    name = run.status.datasource
    return (run.metadata.namespace, name) if name else None


def as_waiting(run: Run, source: Source | None = None) -> Waiting:
    """A run as the rules of the line see it. What waits for something else takes no room of its datasource."""
    in_its_line = reason_of(run) in IN_LINE
    return Waiting(
        execution_id=run.metadata.uid,
        name=run.metadata.name,
        priority=priority_of(run),
        since=run.status.queued_time or run.metadata.creation_timestamp,
        source=source or (source_of(run) if in_its_line else None),
    )


def reason_of(run: Run) -> str | None:
    """What a run says that it waits for."""
    return next((condition.reason for condition in run.status.conditions if condition.type == READY), None)
