"""The table ``backup_executions``: one row for each attempt at a backup, a restore or a verification.

Rows are recorded from run objects, as often as anybody likes and in any order: states only move forward.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import msgspec
from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from ..domain.executions import STATES, TERMINAL, State, may_become
from .logs import LogLine, capped, storable

Operation = Literal["backup", "restore", "verify"]
Trigger = Literal["schedule", "manual", "retry", "sync", "import"]


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
    manifest: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    logs: Iterable[LogLine] = ()  # kept, capped, as metadata.execution_logs


UPSERT = """
    INSERT INTO backup_executions AS kept (
        id, operation, namespace, job, name, datasource, trigger, status, queued_at, started_at, finished_at,
        dump_bytes, stored_bytes, checksum, error_code, error_message, copies, manifest, metadata
    ) VALUES (
        %(id)s, %(operation)s, %(namespace)s, %(job)s, %(name)s, %(datasource)s, %(trigger)s, %(status)s,
        %(queued_at)s, %(started_at)s, %(finished_at)s, %(dump_bytes)s, %(stored_bytes)s, %(checksum)s,
        %(error_code)s, %(error_message)s, %(copies)s, %(manifest)s, %(metadata)s
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
        manifest      = COALESCE(excluded.manifest, kept.manifest),
        metadata      = kept.metadata || excluded.metadata
    WHERE kept.status = ANY (%(earlier)s)
"""

# An end may be recorded before its log has been read; the log may follow, once.
ADD_LOGS = """
    UPDATE backup_executions
       SET metadata = metadata || jsonb_build_object('execution_logs', %(logs)s::jsonb)
     WHERE id = %(id)s AND status = %(status)s AND NOT metadata ? 'execution_logs'
"""


async def upsert(connection: AsyncConnection, row: ExecutionRow) -> bool:
    """Record what is known of an execution; true when the table learnt something.

    An earlier state changes nothing. The same state may fill in more, unless it is terminal: a terminal row
    may only get its logs, once. What is None erases nothing. Raises what psycopg raises: an IntegrityError
    or DataError for a row that breaks the table's rules.
    """
    logs = capped(row.logs) if row.status in TERMINAL else []
    values = _values(row, logs)
    changed = (await connection.execute(UPSERT, values)).rowcount == 1
    if not changed and logs:
        changed = (await connection.execute(ADD_LOGS, values)).rowcount == 1
    return changed


def _values(row: ExecutionRow, logs: list[LogLine]) -> dict[str, Any]:
    values = {column.name: getattr(row, column.name) for column in dataclasses.fields(row)}
    texts = {name: storable(text) for name, text in values.items() if isinstance(text, str)}
    return {
        **values,
        **texts,
        "copies": None if row.copies is None else _json(row.copies),
        "manifest": None if row.manifest is None else _json(row.manifest),
        "metadata": _json({**row.metadata, "execution_logs": logs} if logs else row.metadata),
        "logs": _json(logs),
        "earlier": _earlier(row.status),
    }


def _earlier(state: State) -> list[State]:
    """The recorded states that a record of this one may change."""
    same = [] if state in TERMINAL else [state]
    return [known for known in STATES if may_become(known, state)] + same


def _json(value: object) -> Jsonb:
    return Jsonb(value, dumps=_encode)


def _encode(value: object) -> str:
    return msgspec.json.encode(value).decode()
