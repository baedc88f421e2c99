"""Changes of health → history: a row when a check finds an object in another state than before."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from ..domain.conditions import READY
from ..domain.health import health_of
from ..history import HealthRow, health_checks
from ..resources import datasource, storage_location
from ..resources.common import Kind, Resource
from .context import Context, now
from .rows import write

log = logging.getLogger(__name__)

WRITE_EVERY_S = 2.0
PRUNE_EVERY = timedelta(hours=1)
KEPT_FOR = timedelta(days=90)
KEPT_OF_ONE = 1_000  # rows of one object
WAITING = 10_000  # rows in memory at most, while history is away; the oldest are let go
CHECKED: tuple[Kind[Any], ...] = (datasource.KIND, storage_location.KIND)


def note(context: Context, kind: Kind[Any], checked: Resource[Any, Any]) -> None:
    """Know of a check that ended, as the status says; what is as it was makes no row.

    After a restart nothing is known, and each first check makes a row: the table takes it only when its newest one
    says something else, so that a change that was lost with the process before is found, and no row comes twice.
    """
    meta, status = checked.metadata, checked.status
    found = health_of(status.health if kind is datasource.KIND else status.phase)
    if status.last_checked_time is None or context.healths.get(meta.uid) == found:
        return
    context.healths[meta.uid] = found
    ready = next(each for each in status.conditions if each.type == READY)
    row = HealthRow(
        id=str(uuid5(UUID(meta.uid), status.last_checked_time.isoformat())),
        at=status.last_checked_time,
        kind=kind.name,
        namespace=meta.namespace,
        name=meta.name,
        status=found,
        reason=ready.reason,
        message=ready.message,
    )
    context.unnoted[row.id] = row
    if len(context.unnoted) > WAITING:
        del context.unnoted[next(iter(context.unnoted))]


class HealthHistory:
    """Writes what waits, and keeps the table small."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._prune_at: datetime | None = None

    async def step(self) -> None:
        """A step of the worker ``health-history``. Raises HistoryUnavailable; what is not written goes on waiting."""
        context = self._context
        for key, row in list(context.unnoted.items()):
            await write(self._add, row)
            context.unnoted.pop(key, None)
        if self._prune_at is None or now() >= self._prune_at:
            self._prune_at = now() + PRUNE_EVERY  # also when it fails: it is not worth an endless try
            await self._prune()

    async def _add(self, row: HealthRow) -> bool:
        async with self._context.history.connection() as connection:
            return await health_checks.add(connection, row)

    async def _prune(self) -> None:
        there = [(kind, each.metadata) for kind in CHECKED for each in self._context.catalog.all(kind)]
        uids = {meta.uid for _, meta in there}
        for gone in self._context.healths.keys() - uids:
            del self._context.healths[gone]
        present = [(kind.name, meta.namespace, meta.name) for kind, meta in there]
        async with self._context.history.connection() as connection:
            deleted = await health_checks.prune(connection, age=KEPT_FOR, most=KEPT_OF_ONE, present=present)
        if deleted:
            log.info("Old changes of health were deleted", extra={"action": "health_pruned", "rows": deleted})
