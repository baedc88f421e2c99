"""Executions as they change: read once for all callers, and told to each as far as they may know of them."""

from __future__ import annotations

from collections.abc import Collection, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from ..history import History, reading
from .executions import Execution
from .shared import Shared

# A row is stamped before it is committed: a later commit may have an earlier stamp. No transaction takes longer.
LATE = timedelta(seconds=10)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PAGE = 1000
HELD = 5000  # changes; who is further behind has to come back
TOLD = 5000  # executions that change within LATE; while there are more, nothing is told and streams end
ANSWER_S = 2.0


class Changed(Execution):
    """An execution, and when it was recorded."""

    recorded_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """An execution as it has become."""

    id: UUID
    namespace: str
    job: str | None
    operation: str
    recorded_at: datetime
    data: bytes  # the execution, as JSON


class Changes(Shared):
    """The last changes. A place among them is a number, which grows by one with each."""

    def __init__(self, history: History) -> None:
        super().__init__()
        self._history = history
        self._held: list[Change] = []
        self._told: dict[UUID, datetime] = {}  # by execution: the stamps of the last LATE
        self._since: datetime | None = None
        self.first = 0  # the place of the first one that is held

    @property
    def next(self) -> int:
        """The place of the next change."""
        return self.first + len(self._held)

    @property
    def since(self) -> datetime | None:
        """The latest stamp that was told; None before Postgres has answered, and after too much has changed."""
        return self._since

    def looks(self) -> list[Coroutine[Any, Any, None]]:
        """The rows."""
        self._since = None  # nobody has looked for a while
        return [self.repeated("postgres", self._look)]

    def after(self, place: int, count: int) -> list[Change]:
        """The changes from a place on, ``count`` at most."""
        start = place - self.first
        return self._held[start : start + count]

    async def _look(self) -> bool:
        async with self._history.connection(limit_s=ANSWER_S) as connection:
            if self._since is None:
                begin = await reading.clock(connection)
                told = await reading.stamps(connection, since=begin - LATE, limit=TOLD + 1)
                if len(told) > TOLD:
                    self._lose_track()
                else:
                    self._told, self._since = told, begin
                self.ring()
                return False
            rows = await reading.changes(connection, Changed, since=self._since - LATE, told=self._told, limit=PAGE)
        if rows:
            self._hold([as_change(row) for row in rows])
        return False

    def _hold(self, found: Collection[Change]) -> None:
        self._held += found
        surplus = max(0, len(self._held) - HELD)
        del self._held[:surplus]
        self.first += surplus
        self._told |= {each.id: each.recorded_at for each in found}
        self._since = latest = max(self._since or EPOCH, *self._told.values())
        self._told = {each: at for each, at in self._told.items() if latest - at <= LATE}
        if len(self._told) > TOLD:
            self._lose_track()
        self.ring()

    def _lose_track(self) -> None:
        """Begin anew at the next look. The place left out here ends the streams: who comes back gets a reset."""
        self.first = self.next + 1
        self._held, self._told, self._since = [], {}, None


async def changes_since(history: History, at: datetime) -> list[Change] | None:
    """What has changed since a stamp, with what may have been committed late; None when that is too much."""
    async with history.connection() as connection:
        rows = await reading.changes(connection, Changed, since=at - LATE, told={}, limit=PAGE + 1)
    return [as_change(row) for row in rows] if len(rows) <= PAGE else None


def as_change(row: Changed) -> Change:
    """What is held of a row."""
    return Change(
        id=row.id,
        namespace=row.namespace,
        job=row.job,
        operation=row.operation,
        recorded_at=row.recorded_at,
        data=row.model_dump_json(by_alias=True, exclude={"recorded_at"}).encode(),
    )
