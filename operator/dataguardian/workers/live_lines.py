"""Lines of running pods → the live log. Nobody waits for Redis but this worker, and memory is bounded."""

from __future__ import annotations

from collections import deque

from ..live_log import LiveLine
from .context import Context

SEND_EVERY_S = 0.5
BATCH = 500  # lines of one round trip
WAITING = 5_000  # the oldest are dropped from the live view; the recorded log has them


def keep(context: Context, line: LiveLine) -> None:
    """Have a line sent soon."""
    context.unsent.append(line)
    _drop(context.unsent)


async def send_all(context: Context) -> None:
    """Send what waits; a step of the worker ``live-log``.

    Raises QueueUnavailable; what was not sent goes on waiting.
    """
    waiting = context.unsent
    while waiting:
        batch = [waiting.popleft() for _ in range(min(BATCH, len(waiting)))]
        try:
            await context.live_log.add(batch)
        except BaseException:
            waiting.extendleft(reversed(batch))
            _drop(waiting)
            raise


def _drop(waiting: deque[LiveLine]) -> None:
    while len(waiting) > WAITING:
        waiting.popleft()
