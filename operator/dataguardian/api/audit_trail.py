"""Rows of the audit log on their way to history: no request waits for Postgres, and an outage loses none."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace

from ..errors import DataGuardianError
from ..history import AuditRow, History
from ..workers.rows import write

log = logging.getLogger(__name__)

WAITING = 10_000  # rows at most; some ten megabytes
REFUSED_MAX = 10  # rows of a caller and an action within FOLD_S
FOLD_S = 60.0
RETRY_S = 2.0
FLUSH_S = 5.0  # for what waits when the process ends


@dataclass
class Fold:
    """The refusals of a caller and an action in a minute."""

    number: int = 0
    last: AuditRow | None = None  # of those that have no row of their own


class Trail:
    """What the API has done and history has not got yet."""

    def __init__(self, history: History, *, limit: int = WAITING, fold_s: float = FOLD_S) -> None:
        self._folds: dict[tuple[str, str], Fold] = {}
        self._fold_s = fold_s
        self._history = history
        self._waiting: deque[AuditRow] = deque()
        self._limit = limit
        self._news = asyncio.Event()

    def note(self, row: AuditRow) -> None:
        """Tell the log at once and history soon. With too many rows waiting one stands in the log alone: the oldest
        refused one, or else the oldest."""
        fields = {"at": row.at.isoformat(), "who": row.who, "deed": row.action, "outcome": row.outcome, **row.detail}
        about = {"namespace": row.namespace, "kind": row.object_kind, "name": row.object_name}
        ids = {"audit_id": row.id, "execution": row.execution_id, "request_id": row.request_id}
        log.info("%s: %s", row.action, row.outcome, extra={"action": "audit", **fields, "about": about, **ids})
        if row.outcome != "refused" or not self._is_folded(row):
            self._add(row)

    def _is_folded(self, row: AuditRow) -> bool:
        """Whether it is one refusal too many to have a row of its own: one row tells how many there were."""
        key = (row.who, row.action)
        if key not in self._folds:
            self._folds[key] = Fold()
            asyncio.get_running_loop().call_later(self._fold_s, self._unfold, key)
        fold = self._folds[key]
        fold.number += 1
        if fold.number <= REFUSED_MAX:
            return False
        fold.last = row
        return True

    def _unfold(self, key: tuple[str, str]) -> None:
        fold = self._folds.pop(key, None)
        if fold and fold.last:
            about_none = replace(fold.last, namespace="", object_name="", execution_id=None, request_id=None)
            self._add(replace(about_none, detail={"folded": fold.number - REFUSED_MAX}))

    def _add(self, row: AuditRow) -> None:
        while len(self._waiting) >= self._limit:
            lost = next((each for each in self._waiting if each.outcome == "refused"), self._waiting[0])
            self._waiting.remove(lost)
            told = "The audit log has no room for a row that could not be written: only this log has it"
            log.error(told, extra={"action": "audit_dropped", "audit_id": lost.id, "rows": self._limit})
        self._waiting.append(row)
        self._news.set()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Rows are written inside this block; at its end those that wait, as far as the time allows."""
        task = asyncio.create_task(self._write_on())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self._flush()

    async def _write_on(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                await self._write()
            except DataGuardianError as error:
                await self._let_others_pass()
                fields = {"action": "audit_waits", "rows": len(self._waiting), "code": error.code}
                log.warning("%s", error, extra=fields)
                await asyncio.sleep(RETRY_S)
                self._news.set()

    async def _write(self) -> None:
        """Write what waits, in order. Raises HistoryUnavailable or ConfigInvalid; the rest goes on waiting."""
        while self._waiting:
            row = self._waiting[0]
            await write(self._history.audit, row)
            if self._waiting and self._waiting[0] is row:  # it may have had to make room meanwhile
                self._waiting.popleft()

    async def _let_others_pass(self) -> None:
        """Put the head behind the others when history is there: then the reason why it failed is its own."""
        head = self._waiting[0]
        with suppress(DataGuardianError):
            await self._history.check()
            if self._waiting and self._waiting[0] is head:
                self._waiting.rotate(-1)

    async def _flush(self) -> None:
        for key in list(self._folds):
            self._unfold(key)
        try:
            async with asyncio.timeout(FLUSH_S):
                await self._write()
        except (TimeoutError, DataGuardianError) as error:
            fields = {"action": "audit_dropped", "rows": len(self._waiting)}
            log.error("Rows of the audit log stay in this log alone: %s", error, extra=fields)
