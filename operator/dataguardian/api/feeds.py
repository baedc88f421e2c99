"""The log of one execution, live and recorded, read once for all who follow it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID

from ..domain.executions import TERMINAL, State
from ..domain.line_id import BEFORE_ALL
from ..errors import QueueUnavailable
from ..history import History, reading
from ..live_log import LINES, LiveLog
from .clients import Clients
from .log_window import Budget, Entry, Window, live_entry, recorded_entries
from .shared import EVERY_S, Shared

LOG_WITHIN_S = 15.0  # after the end of an execution, by which its log is recorded if it ever is
ANSWER_S = 2.0
PAGE = 500


class Ends:
    """Whether the executions that are followed have ended: one query every EVERY_S for all, and one failure."""

    def __init__(self, history: History, followed: Collection[UUID]) -> None:
        self._history = history
        self._followed = followed
        self._asked: asyncio.Task[dict[UUID, reading.End]] | None = None
        self._about: Collection[UUID] = ()
        self._at = 0.0

    async def of(self, execution: UUID) -> reading.End | None:
        """Of one execution, EVERY_S ago at most; None when it has no row. Raises HistoryUnavailable."""
        at = time.monotonic()
        if self._asked is None or at - self._at >= EVERY_S or execution not in self._about:
            self._about, self._at = {*self._followed, execution}, at
            self._asked = asyncio.create_task(self._ask(self._about))
        return (await asyncio.shield(self._asked)).get(execution)

    async def _ask(self, executions: Collection[UUID]) -> dict[UUID, reading.End]:
        async with self._history.connection(limit_s=ANSWER_S) as connection:
            return await reading.ends_of(connection, executions)


class Feed(Shared):
    """One execution."""

    def __init__(self, clients: Clients, execution: UUID, ends: Ends, budget: Budget) -> None:
        super().__init__()
        self._history = clients.history
        self._live = LiveLog(clients.queue.client)
        self._execution = execution
        self._looks_at_end = 0
        self._ends = ends
        self._budget = budget
        self.window = Window(budget)
        self.is_read = False  # what there was at first
        self.ended: State | None = None  # set when nothing more will come

    def looks(self) -> list[Coroutine[Any, Any, None]]:
        """Its lines, and its state."""
        return [self.repeated("redis", self._look_at_lines), self.repeated("postgres", self._look_at_state)]

    async def _look_at_lines(self) -> bool:
        """Read what is new in the live log; true when the execution has ended."""
        is_whole = False
        while not is_whole and not self.ended:
            found = await self._live.read(str(self._execution), after=self.window.last, count=PAGE, limit_s=ANSWER_S)
            if self.ended:  # meanwhile, and the window is the recorded log
                break
            self.window.add(map(live_entry, found))
            is_whole = len(found) < PAGE
            if found or not self.is_read:
                self.is_read = self.is_read or is_whole
                self.ring()
        return self.ended is not None

    async def _look_at_state(self) -> bool:
        """Ask whether it has ended; true when it has, and its log is read."""
        found = await self._ends.of(self._execution)
        if found is None or found.status not in TERMINAL:
            return False
        self._looks_at_end += 1
        waited_s = max(found.age_s, self._looks_at_end * EVERY_S)
        if not found.has_log and waited_s < LOG_WITHIN_S:
            return False
        async with self._history.connection(limit_s=ANSWER_S) as connection:
            recorded = await reading.log_of(connection, self._execution)
        if recorded:
            self.window = Window(self._budget, recorded_entries(recorded))
        else:
            with suppress(QueueUnavailable):
                await self._look_at_lines()
        self.ended = found.status
        self.ring()
        return True


async def live_entries(clients: Clients, execution: UUID) -> list[Entry]:
    """What the live log has of an execution so far; nothing without Redis."""
    live, found = LiveLog(clients.queue.client), Window(Budget())
    with suppress(QueueUnavailable):
        lines = await live.read(str(execution), after=BEFORE_ALL, count=LINES, limit_s=ANSWER_S)
        found.add(map(live_entry, lines))
    return list(found.entries)


class Feeds:
    """The executions that somebody follows."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._budget = Budget()
        self._feeds: dict[UUID, Feed] = {}
        self._ends = Ends(clients.history, self._feeds.keys())

    @asynccontextmanager
    async def followed(self, execution: UUID) -> AsyncIterator[Feed]:
        """The feed of an execution, which is read at least as long as this block lasts."""
        feed = self._feeds.get(execution)
        if feed is None:
            feed = self._feeds[execution] = Feed(self._clients, execution, self._ends, self._budget)
        try:
            async with feed.followed():
                yield feed
        finally:
            if not feed.followers and self._feeds.get(execution) is feed:
                del self._feeds[execution]
