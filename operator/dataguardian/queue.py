"""The queues of runs that wait to start: Redis Streams with one consumer group.

A queue is two streams: ``backup-queue`` of the scheduled runs, and ``backup-queue:manual`` of the manual ones, so that
one of these never waits behind thousands of those.

Entries are hints. What waits is written in the run objects, so that a queue may lose everything (the sweep fills it
again) and may say something twice (a run is started once, whoever asks).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self, cast

from redis.exceptions import ResponseError

from .domain.capacity import PRIORITIES, Priority
from .errors import QueueUnavailable
from .redis_client import RedisClient
from .settings import RedisSettings

__all__ = ["QUEUES", "Entry", "Queue", "QueueUnavailable"]

log = logging.getLogger(__name__)

QUEUES = ("backup-queue", "restore-queue", "db-sync-queue")
GROUP = "workers"
# One name for all: only the holder of the lease takes, and dead entries are known by their age. Names of pods would
# stay in the group for ever.
CONSUMER = "operator"
ABANDONED_MS = 60_000
_PAGE = 1000

# What Redis calls an entry: its id and its fields; the fields are None when somebody deleted it behind our back.
RawEntry = tuple[str, dict[str, str] | None]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One run object that waits to start."""

    execution_id: str
    namespace: str
    name: str
    priority: Priority = "manual"
    receipt: str = field(default="", compare=False)  # Redis' id of an entry that was taken


class Queue:
    """The queues, by name. Every call answers within some seconds or raises QueueUnavailable."""

    def __init__(self, settings: RedisSettings) -> None:
        self.client = RedisClient(settings)
        self._redis, self._ask = self.client.redis, self.client.ask

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._redis.aclose()

    def away_seconds(self) -> float:
        """For how long Redis has not answered, as far as was asked; 0 when it answered last."""
        return self.client.away_seconds()

    async def push(self, queue: str, entry: Entry) -> None:
        """Add an entry at the end, whether or not the execution has one already: see ``waiting``."""
        fields: dict[Any, Any] = {
            "execution_id": entry.execution_id,
            "namespace": entry.namespace,
            "name": entry.name,
            "priority": entry.priority,
        }
        await self._ask(self._redis.xadd(_stream(queue, entry.priority), fields))

    async def take(self, queue: str, priority: Priority, *, count: int) -> list[Entry]:
        """Up to ``count`` entries of one priority for this caller alone, in order; empty when there are none now.

        Entries that were taken and not acknowledged for ABANDONED_MS come first: their worker is dead.
        """
        stream = _stream(queue, priority)
        if raw := await self._reclaim(stream, count):
            return await self._entries(stream, priority, raw)
        ask = partial(self._redis.xreadgroup, GROUP, CONSUMER, {stream: ">"}, count=count)
        answer: list[tuple[str, list[RawEntry]]] = await self._in_group(stream, ask)
        return await self._entries(stream, priority, answer[0][1]) if answer else []

    async def ack(self, queue: str, entry: Entry) -> None:
        """Remove an entry that was taken; once more is no error."""
        await self._drop(_stream(queue, entry.priority), entry.receipt)

    async def waiting(self, queue: str) -> set[str]:
        """The executions that have an entry, taken or not: all that is not acknowledged."""
        found: set[str] = set()
        for priority in PRIORITIES:
            start = "-"
            while page := await self._page(_stream(queue, priority), start):
                found.update(fields.get("execution_id", "") for _, fields in page)
                start = f"({page[-1][0]}"
        return found

    async def depth(self, queue: str) -> int:
        """How many entries are not acknowledged."""
        lengths = [await self._ask(self._redis.xlen(_stream(queue, priority))) for priority in PRIORITIES]
        return sum(int(length) for length in lengths)

    async def _page(self, stream: str, start: str) -> list[tuple[str, dict[str, str]]]:
        page: Any = await self._ask(self._redis.xrange(stream, min=start, count=_PAGE))
        return list(page)

    async def _reclaim(self, stream: str, count: int) -> list[RawEntry]:
        cursor = "0-0"
        while True:
            ask = partial(
                self._redis.xautoclaim,
                stream, GROUP, CONSUMER, min_idle_time=ABANDONED_MS, start_id=cursor, count=count,
            )  # fmt: skip
            answer = await self._in_group(stream, ask)
            cursor, found = answer[0], answer[1]
            if found or cursor == "0-0":
                return list(found)

    async def _in_group(self, stream: str, ask: Callable[[], Awaitable[Any]]) -> Any:
        """The group's answer; the group is made when it is absent, at first and after FLUSHALL."""

        async def answer() -> Any:
            try:
                return await ask()
            except ResponseError as error:
                if not str(error).startswith("NOGROUP"):
                    raise
            try:
                # From the beginning: entries may have been pushed before the group was there.
                await self._redis.xgroup_create(stream, GROUP, id="0", mkstream=True)
            except ResponseError as error:
                if not str(error).startswith("BUSYGROUP"):  # another one was faster
                    raise
            return await ask()

        return await self._ask(answer())

    async def _entries(self, stream: str, priority: Priority, raw: list[RawEntry]) -> list[Entry]:
        """The entries; what cannot be read as one is removed, or it would come back for ever."""
        entries = []
        for receipt, fields in raw:
            try:
                entry = Entry(receipt=receipt, **cast(dict[str, Any], fields or {}))
            except TypeError:
                entry = None
            if entry is not None and entry.priority == priority:
                entries.append(entry)
                continue
            extra = {"action": "entry_dropped", "stream": stream, "receipt": receipt}
            log.warning("An entry of the queue is not one of ours and was removed", extra=extra)
            await self._drop(stream, receipt)
        return entries

    async def _drop(self, stream: str, receipt: str) -> None:
        async with self._redis.pipeline(transaction=True) as both:
            both.xack(stream, GROUP, receipt)
            both.xdel(stream, receipt)
            await self._ask(both.execute())


def _stream(queue: str, priority: Priority) -> str:
    return queue if priority == "scheduled" else f"{queue}:{priority}"
