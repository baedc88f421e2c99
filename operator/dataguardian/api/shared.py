"""What is read for all who follow it, and only while somebody does."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, Self

from ..errors import DataGuardianError

log = logging.getLogger(__name__)

EVERY_S = 1.0  # between two looks


class Shared(ABC):
    """Looks again and again while it has followers, and tells all of them at once that something is new."""

    def __init__(self) -> None:
        self.followers = 0
        self.away: dict[str, bool] = {}  # by service, as far as it was asked
        self._news = asyncio.Event()
        self._left = asyncio.Event()  # nobody follows any more
        self._looking: set[asyncio.Task[None]] = set()  # held, or they would be collected while they run

    @abstractmethod
    def looks(self) -> list[Coroutine[Any, Any, None]]:
        """What is done as long as anybody follows; see ``repeated``."""

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[Self]:
        """It looks at least as long as this block lasts."""
        self.followers += 1
        if self.followers == 1:
            self._left = asyncio.Event()
            for look in self.looks():
                task = asyncio.create_task(look)
                self._looking.add(task)
                task.add_done_callback(self._looking.discard)
        try:
            yield self
        finally:
            self.followers -= 1
            if not self.followers:
                # Not cancelled: a query that is cut off costs its connection.
                self._left.set()

    def ring(self) -> None:
        """Tell the followers that something is new."""
        self._news.set()
        self._news = asyncio.Event()

    async def news(self, *, seconds: float) -> None:
        """Return when something is new, or after some time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()

    def repeated(self, service: str, look: Callable[[], Awaitable[bool]]) -> Coroutine[Any, Any, None]:
        """Take a look every EVERY_S until it says that it was the last one, whatever the service does meanwhile."""
        return self._repeat(service, look, self._left)

    async def _repeat(self, service: str, look: Callable[[], Awaitable[bool]], left: asyncio.Event) -> None:
        while not left.is_set():
            was_away = self.away.get(service)
            try:
                if await look():
                    return
                self.away[service] = False
            except DataGuardianError as error:
                self.away[service] = True
                log.debug("%s", error, extra={"action": "stream_waits", "code": error.code})
            except Exception:  # a defect; the other clients are served on
                log.exception("A stream's look failed", extra={"action": "stream_failed", "service": service})
            if was_away != self.away.get(service):
                self.ring()
            with suppress(TimeoutError):
                async with asyncio.timeout(EVERY_S):
                    await left.wait()
