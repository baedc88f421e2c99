"""What the handlers are given: the clients, and what they ask often enough to remember for a moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from ..history import History
from ..kube.client import Kubernetes
from ..queue import Queue

Answer = TypeVar("Answer")


@dataclass(frozen=True, kw_only=True)
class Clients:
    """The services behind the API; each may be down at any time."""

    kube: Kubernetes
    history: History
    queue: Queue


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
