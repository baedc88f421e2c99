"""What is asked often enough to remember for a moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Generic, TypeVar

from ..errors import DataGuardianError

Answer = TypeVar("Answer")


class Remembered(Generic[Answer]):
    """The answer to a question, asked again once it is older than ``seconds``; askers at once share one answer."""

    def __init__(self, ask: Callable[[], Awaitable[Answer]], *, seconds: float) -> None:
        self._ask = ask
        self._seconds = seconds
        self._asking = asyncio.Lock()
        self._known: tuple[float, Answer] | None = None

    async def get(self) -> Answer:
        """The answer; raises what the question raises, which is not remembered."""
        arrived = time.monotonic()
        async with self._asking:
            # Of the age at arrival: what another one learnt while this one waited is new enough for both.
            if self._known is None or arrived - self._known[0] >= self._seconds:
                answer = await self._ask()
                self._known = (time.monotonic(), answer)
            return self._known[1]


class Refreshed(Generic[Answer]):
    """A costly answer: one older than ``seconds`` is given once more while it is asked for again, unless it is too old.

    So nobody waits for it but the first; ``longest`` is the age in seconds after which it is not given any more.
    """

    def __init__(self, ask: Callable[[], Awaitable[Answer]], *, seconds: float, longest: float) -> None:
        self._asked = Remembered(self._ask, seconds=0)
        self._question, self._seconds, self._longest = ask, seconds, longest
        self._known: tuple[float, Answer] | None = None
        self._asking: asyncio.Task[None] | None = None

    async def get(self) -> Answer:
        """The answer; raises what the question raises when no answer is new enough."""
        if self._known is None:
            return await self._asked.get()
        since, answer = self._known
        age = time.monotonic() - since
        if age >= self._longest:
            return await self._asked.get()
        if age >= self._seconds and (self._asking is None or self._asking.done()):
            self._asking = asyncio.create_task(self._refresh())
        return answer

    async def _refresh(self) -> None:
        with suppress(DataGuardianError):  # whoever comes when the answer is too old is told
            await self._asked.get()

    async def _ask(self) -> Answer:
        answer = await self._question()
        self._known = (time.monotonic(), answer)
        return answer
