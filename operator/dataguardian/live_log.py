"""The logs of running executions, for those who follow them: a capped Redis Stream for each execution.

Disposable: what is lost of it is in the recorded log, once the execution has ended.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redis.exceptions import RedisError, ResponseError

from .domain.line_id import LineId, line_id
from .redis_client import RedisClient

log = logging.getLogger(__name__)

LINES = 5_000  # of one execution, about
KEEP_S = 3600  # after the last line
KNOWN = "equal or smaller"  # in what Redis says of an id that is not the next one


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveLine:
    """One line of an execution's log."""

    execution: str
    id: LineId
    ts: str
    level: str
    message: str
    progress: tuple[str, int] | None = None  # step and bytes, of a line that tells them


class LiveLog:
    """The streams, by execution. Every call answers within some seconds or raises QueueUnavailable."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client

    async def add(self, lines: Sequence[LiveLine]) -> None:
        """Add lines, in one round trip. One that is there already, or that comes after later ones, adds nothing."""
        async with self._client.redis.pipeline(transaction=False) as pipe:
            for line in lines:
                pipe.xadd(_key(line.execution), _fields(line), id=str(line.id), maxlen=LINES, approximate=True)
            for execution in {line.execution for line in lines}:
                pipe.expire(_key(execution), KEEP_S)
            answers = await self._client.ask(pipe.execute(raise_on_error=False))
        refused = [answer for answer in answers if isinstance(answer, RedisError) and not _is_known(answer)]
        if refused:
            extra = {"action": "live_lines_refused", "lines": len(refused), "reason": str(refused[0])}
            log.warning("Redis refused lines of the live log", extra=extra)

    async def read(self, execution: str, *, after: LineId, count: int, limit_s: float) -> list[LiveLine]:
        """The lines after one, ``count`` at most."""
        asked: Any = self._client.redis.xrange(_key(execution), min=f"({after}", count=count)
        answer: list[tuple[str, dict[str, str]]] = await self._client.ask(asked, limit_s=limit_s)
        return [line for entry, fields in answer if (line := _line(execution, entry, fields))]


def _key(execution: str) -> str:
    return f"log:{execution}"


def _is_known(error: RedisError) -> bool:
    return isinstance(error, ResponseError) and KNOWN in str(error)


def _fields(line: LiveLine) -> dict[Any, Any]:
    told = dict(zip(("step", "bytes"), line.progress or (), strict=False))
    return {"ts": line.ts, "level": line.level, "message": line.message, **told}


def _line(execution: str, id: str, fields: dict[str, str]) -> LiveLine | None:
    """A line as Redis has it; None of what somebody else has put there."""
    found = line_id(id)
    if found is None or not {"ts", "level", "message"} <= fields.keys():
        return None
    progress = (fields["step"], int(fields.get("bytes", 0))) if "step" in fields else None
    return LiveLine(
        execution=execution,
        id=found,
        ts=fields["ts"],
        level=fields["level"],
        message=fields["message"],
        progress=progress,
    )
