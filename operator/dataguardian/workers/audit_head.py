"""The head of the audit log, told once a day: kept elsewhere, it tells a log that was cut from a whole one."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from .context import Context, now

log = logging.getLogger(__name__)

TICK_S = 60.0
EVERY = timedelta(days=1)


class AuditHead:
    """The worker: tells the head when it starts, and each day after that."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._told: datetime | None = None

    async def step(self) -> None:
        """A step of the worker ``audit-head``. Raises HistoryUnavailable or ConfigInvalid: then it is told later."""
        if self._told is not None and now() - self._told < EVERY:
            return
        head = await self._context.history.audit_head()
        log.info("Head of the audit log", extra={"action": "audit_head", "head": str(head)})
        self._told = now()
