"""The table ``backup_executions``: one row for each attempt at a backup, a restore or a verification.

Rows are recorded from run objects, as often as anybody likes and in any order: states only move forward.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, LiteralString

from psycopg import AsyncConnection

from ..domain.executions import STATES, TERMINAL, State, may_become
from ..errors import Cancelled
from .jsonb import jsonb
from .logs import LogLine, capped, storable

Operation = Literal["backup", "restore", "verify"]
Trigger = Literal["schedule", "manual", "retry", "sync", "import", "safety"]
RUN_DELETED = "The run object was deleted."


@dataclass(frozen=True, kw_only=True)
class ExecutionRow:
    """What is known of an execution; None is not known (yet). Times have a zone, sizes are bytes."""

    id: str  # a UUID
    operation: Operation
    namespace: str
    name: str
    trigger: Trigger
    status: State
    queued_at: datetime
    observed_at: datetime  # when the run object was as this row says
    job: str | None = None
    datasource: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None  # known exactly when the state is terminal; the table insists
    dump_bytes: int | None = None
    stored_bytes: int | None = None
    checksum: str | None = None  # sha256:…
    error_code: str | None = None
    error_message: str | None = None
    copies: Sequence[Mapping[str, Any]] | None = None
    kept_by: Sequence[str] | None = None  # rules of retention that keep the backup
    manifest: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    logs: Iterable[LogLine] = ()  # kept, capped, as metadata.execution_logs


UPSERT = """
    INSERT INTO backup_executions AS kept (
        id, operation, namespace, job, name, datasource, trigger, status, queued_at, started_at, finished_at,
        dump_bytes, stored_bytes, checksum, error_code, error_message, copies, kept_by, manifest,
        metadata, observed_at
    ) VALUES (
        %(id)s, %(operation)s, %(namespace)s, %(job)s, %(name)s, %(datasource)s, %(trigger)s, %(status)s,
        %(queued_at)s, %(started_at)s, %(finished_at)s, %(dump_bytes)s, %(stored_bytes)s, %(checksum)s,
        %(error_code)s, %(error_message)s, %(copies)s, %(kept_by)s, %(manifest)s, %(metadata)s, %(observed_at)s
    )
    ON CONFLICT (id) DO UPDATE SET
        status        = excluded.status,
        job           = COALESCE(excluded.job, kept.job),
        datasource    = COALESCE(excluded.datasource, kept.datasource),
        queued_at     = LEAST(excluded.queued_at, kept.queued_at),
        started_at    = COALESCE(excluded.started_at, kept.started_at),
        finished_at   = COALESCE(excluded.finished_at, kept.finished_at),
        dump_bytes    = COALESCE(excluded.dump_bytes, kept.dump_bytes),
        stored_bytes  = COALESCE(excluded.stored_bytes, kept.stored_bytes),
        checksum      = COALESCE(excluded.checksum, kept.checksum),
        error_code    = COALESCE(excluded.error_code, kept.error_code),
        error_message = COALESCE(excluded.error_message, kept.error_message),
        copies        = COALESCE(excluded.copies, kept.copies),
        kept_by       = COALESCE(excluded.kept_by, kept.kept_by),
        manifest      = COALESCE(excluded.manifest, kept.manifest),
        metadata      = kept.metadata || excluded.metadata,
        observed_at   = excluded.observed_at
    WHERE kept.status = ANY (%(earlier)s)
"""

# A stored backup goes on after its run: copies are made, lost and removed.
REFRESH = """
    UPDATE backup_executions
       SET copies = COALESCE(%(copies)s, copies),
           kept_by = COALESCE(%(kept_by)s::text[], kept_by),
           observed_at = %(observed_at)s
     WHERE id = %(id)s AND status = %(status)s
       AND (observed_at IS NULL OR observed_at <= %(observed_at)s)
       AND (copies, kept_by) IS DISTINCT FROM (COALESCE(%(copies)s, copies), COALESCE(%(kept_by)s::text[], kept_by))
"""

# An end may be recorded before its log has been read; the log may follow, once.
ADD_LOGS = """
    UPDATE backup_executions
       SET metadata = metadata || jsonb_build_object('execution_logs', %(logs)s::jsonb)
     WHERE id = %(id)s AND status = %(status)s AND NOT metadata ? 'execution_logs'
"""

RECORDED = "SELECT id::text, status, copies, kept_by FROM backup_executions WHERE id = ANY (%(ids)s::uuid[])"
UNFINISHED = "SELECT id::text FROM backup_executions WHERE finished_at IS NULL"
END_VANISHED = """
    UPDATE backup_executions
       SET status = 'cancelled', finished_at = %(at)s, error_code = %(code)s, error_message = %(message)s
     WHERE id = ANY (%(ids)s::uuid[]) AND finished_at IS NULL
"""


@dataclass(frozen=True)
class Recorded:
    """What the table has of an execution, as far as it is compared with the run object."""

    status: State
    copies: Sequence[Mapping[str, Any]] | None
    kept_by: Sequence[str] | None

    def is_behind(self, row: ExecutionRow) -> bool:
        """Whether the row would teach the table something; logs are not compared."""
        if self.status != row.status:
            return may_become(self.status, row.status)
        return _differs(self.copies, row.copies) or _differs(self.kept_by, row.kept_by)


def _differs(known: Sequence[Any] | None, told: Sequence[Any] | None) -> bool:
    return told is not None and (known is None or list(known) != list(told))


async def upsert(connection: AsyncConnection, row: ExecutionRow) -> bool:
    """Record what is known of an execution; true when the table learnt something.

    An earlier state changes nothing. The same state may fill in more, unless it is terminal: a terminal row
    may only get its log, once, and its copies and what keeps them, from the latest look at the run object.
    What is None erases nothing. Raises what psycopg raises: an IntegrityError or DataError for a row that
    breaks the table's rules.
    """
    logs = capped(row.logs) if row.status in TERMINAL else []
    values = _values(row, logs)
    if await _changes(connection, UPSERT, values):
        return True
    refreshed = row.status in TERMINAL and await _changes(connection, REFRESH, values)
    return bool(logs and await _changes(connection, ADD_LOGS, values)) or refreshed


async def recorded(connection: AsyncConnection, ids: Iterable[str]) -> dict[str, Recorded]:
    """What the table has of these executions, by id; one that it does not have is left out."""
    rows = await (await connection.execute(RECORDED, {"ids": list(ids)})).fetchall()
    return {execution: Recorded(*known) for execution, *known in rows}


async def unfinished(connection: AsyncConnection) -> set[str]:
    """The executions that have not ended, by id."""
    rows = await (await connection.execute(UNFINISHED)).fetchall()
    return {execution for (execution,) in rows}


async def end_vanished(connection: AsyncConnection, ids: Iterable[str], *, at: datetime) -> int:
    """End those of the executions that have not ended: their run objects are gone. Returns how many."""
    values = {"ids": list(ids), "at": at, "code": Cancelled.code, "message": RUN_DELETED}
    return (await connection.execute(END_VANISHED, values)).rowcount


async def _changes(connection: AsyncConnection, statement: LiteralString, values: Mapping[str, Any]) -> bool:
    return (await connection.execute(statement, values)).rowcount == 1


def _values(row: ExecutionRow, logs: list[LogLine]) -> dict[str, Any]:
    values = {column.name: getattr(row, column.name) for column in dataclasses.fields(row)}
    texts = {name: storable(text) for name, text in values.items() if isinstance(text, str)}
    return {
        **values,
        **texts,
        "copies": None if row.copies is None else jsonb(row.copies),
        "kept_by": None if row.kept_by is None else [storable(rule) for rule in row.kept_by],
        "manifest": None if row.manifest is None else jsonb(row.manifest),
        "metadata": jsonb({**row.metadata, "execution_logs": logs} if logs else row.metadata),
        "logs": jsonb(logs),
        "earlier": _earlier(row.status),
    }


def _earlier(state: State) -> list[State]:
    """The recorded states that a record of this one may change."""
    same = [] if state in TERMINAL else [state]
    return [known for known in STATES if may_become(known, state)] + same
