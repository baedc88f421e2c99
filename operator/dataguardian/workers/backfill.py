"""Run objects → rows that history misses: Postgres may have been away, or wiped, and the operator restarted."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from ..domain.executions import TERMINAL
from ..history import RunRow, audit, executions
from ..kube.client import JSON
from ..kube.listing import pages
from ..resources.common import Resource
from . import audited, rows, run_logs
from .comparison import Comparison
from .context import Context, now
from .operations import RUN_KINDS, RunKind

log = logging.getLogger(__name__)

TICK_S = 10.0
SILENCE_S = 30.0  # of the API server


class Backfill:
    """Brings the rows of all runs in line with their objects, when a comparison is due."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._comparison = Comparison(context.history)

    async def step(self) -> None:
        """A step of the worker ``backfill``: nothing is written where nothing differs. Raises HistoryUnavailable."""
        await self._context.history.check()  # also when nothing is due: an outage is noticed whatever goes on
        if not self._comparison.is_due():
            return
        with self._comparison.made():
            # Before the objects are listed: who has a row by then, and is not in the list, is gone.
            async with self._context.history.connection() as connection:
                open_rows = await executions.unfinished(connection)
            for run_kind in RUN_KINDS.values():
                await self._compare(run_kind, open_rows)
            await self._end_vanished(open_rows - self._context.unwritten.keys())

    async def _compare(self, run_kind: RunKind, open_rows: set[str]) -> None:
        """Write the rows of one kind that are missing or behind; take its runs out of the open rows."""
        observed_at = now()
        async for bodies in pages(self._context.kube, run_kind.kind, JSON, silence_s=SILENCE_S):
            runs = [run_kind.kind.model.read(body) for body in bodies]
            await self._audit(runs)
            page = _rows(run_kind, runs, observed_at)
            open_rows.difference_update(page)
            recorded = await self._context.history.recorded(page.values())
            for row in page.values():
                known = recorded.get(row.id)
                if known is None:
                    await self._add(run_kind, row)
                elif known.is_behind(row):
                    await rows.write(self._context.history.record, row)

    async def _audit(self, runs: Sequence[Resource[Any, Any]]) -> None:
        """Add what the audit log misses of what these runs have done."""
        deeds = {row.id: row for run in runs for row in audited.deeds_of(run)}
        if deeds:
            async with self._context.history.connection() as connection:
                there = await audit.known(connection, deeds)
            for row in deeds.values():
                if row.id not in there:
                    rows.audit(self._context, row)

    async def _add(self, run_kind: RunKind, row: RunRow) -> None:
        """Write a row that is missing, and expect its log as long as there may be one."""
        ended_at = row.finished_at or now()
        if row.status in TERMINAL and now() - ended_at < timedelta(seconds=run_logs.TTL_SECONDS):
            await run_logs.look_for(self._context, run_kind.operation, row)
        await rows.write(self._context.history.record, row)

    async def _end_vanished(self, ids: set[str]) -> None:
        """End the rows of runs that were deleted while no operator saw it."""
        if not ids:
            return
        async with self._context.history.connection() as connection:
            ended = await executions.end_vanished(connection, ids, at=now())
        log.info("Rows of deleted runs were ended", extra={"action": "rows_ended", "rows": ended})


def _rows(run_kind: RunKind, runs: Sequence[Resource[Any, Any]], observed_at: datetime) -> dict[str, RunRow]:
    found = (rows.row_of(run_kind, run, observed_at=observed_at) for run in runs)
    return {row.id: row for row in found if row is not None}
