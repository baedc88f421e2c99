"""What the operator in the same pod says of itself."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import aiohttp
import msgspec

WITHIN_S = 2.0  # it is in the same pod, and may have to import much just now


class Liveness(msgspec.Struct):
    """``/healthz``."""

    leading: bool


class Worker(msgspec.Struct):
    """One of ``/workers``."""

    heartbeat: float  # seconds since 1970


class Workers(msgspec.Struct):
    """``/workers``: none in an operator that stands by."""

    workers: dict[str, Worker]


@dataclass(frozen=True, kw_only=True)
class OwnOperator:
    """What is known; nothing of one that does not answer."""

    leading: bool | None = None
    heartbeats: Mapping[str, float] = field(default_factory=dict)  # worker → seconds since 1970


Answer = TypeVar("Answer")


async def ask(url: str) -> OwnOperator:
    """Ask the operator at the URL, within WITHIN_S."""
    async with aiohttp.ClientSession(url, timeout=aiohttp.ClientTimeout(total=WITHIN_S)) as http:
        liveness, workers = await asyncio.gather(
            _read(http, "/healthz", Liveness),
            _read(http, "/workers", Workers),
        )
    return OwnOperator(
        leading=liveness.leading if liveness else None,
        heartbeats={name: worker.heartbeat for name, worker in workers.workers.items()} if workers else {},
    )


async def _read(http: aiohttp.ClientSession, path: str, shape: type[Answer]) -> Answer | None:
    try:
        async with http.get(path) as answer:  # 503 also tells
            return msgspec.json.decode(await answer.read(), type=shape)
    except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError):
        return None
