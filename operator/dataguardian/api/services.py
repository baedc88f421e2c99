"""Whether what DataGuardian stands on answers, how fast, and since when."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from pydantic import Field

from ..errors import DataGuardianError
from ..kube.client import Absent
from ..queue import QUEUES
from .clients import Clients
from .models import Answer, Moment

ServiceStatus = Literal["up", "down"]

CHECK_S = 2.0  # for one check
CHECKED_FOR_S = 2.0  # how long an answer is good


class ServiceHealth(Answer):
    """One service, as this sidecar found it."""

    status: ServiceStatus = Field(description="Whether it answers.")
    latency_ms: float | None = Field(description="Time of its last answer, in milliseconds; null while it is down.")
    since: Moment = Field(description="When this sidecar, as long as it runs, first found it as it is.")
    last_error: str | None = Field(description="Why it is down; null while it is up.")


@dataclass(frozen=True, kw_only=True)
class Found:
    """What all checks found at once."""

    services: Mapping[str, ServiceHealth]  # kubernetes, postgres, redis
    depths: Mapping[str, int]  # of the queues; empty while Redis is down


class ServiceChecks:
    """Asks the services, and knows since when each is as it is."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._last: dict[str, ServiceHealth] = {}

    async def check(self) -> Found:
        """Ask each service for an answer, all at once, within CHECK_S and a bit."""
        depths: dict[str, int] = {}
        questions: dict[str, Awaitable[object]] = {
            "kubernetes": self._clients.kube.get("/version"),
            "postgres": self._clients.history.check(limit_s=CHECK_S),
            "redis": self._measure(depths),
        }
        answers = await asyncio.gather(*(self._ask(name, question) for name, question in questions.items()))
        self._last = dict(zip(questions, answers, strict=True))
        return Found(services=self._last, depths=depths if self._last["redis"].status == "up" else {})

    async def _measure(self, depths: dict[str, int]) -> None:
        for queue in QUEUES:
            depths[queue] = await self._clients.queue.depth(queue)

    async def _ask(self, name: str, question: Awaitable[object]) -> ServiceHealth:
        begun, limit_s = time.monotonic(), CHECK_S + 0.5  # after the limit of the check itself, if it has one
        status: ServiceStatus = "down"
        latency_ms, why = None, None
        try:
            async with asyncio.timeout(limit_s):
                await question
            status, latency_ms = "up", round((time.monotonic() - begun) * 1000, 1)
        except DataGuardianError as error:
            why = error.what
        except (Absent, TimeoutError) as error:
            why = str(error) or f"It did not answer within {limit_s} s."
        before = self._last.get(name)
        since = before.since if before and before.status == status else datetime.now(UTC)
        return ServiceHealth(status=status, latency_ms=latency_ms, since=since, last_error=why)
