"""The tables ``backup_executions`` and ``database_sync_executions``: one row for each attempt.

Rows are recorded from run objects, as often as anybody likes and in any order: states only move forward.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

from psycopg import AsyncConnection, sql

from ..domain.executions import STATES, TERMINAL, State, may_become
from ..errors import Cancelled
from .jsonb import jsonb
from .logs import LogLine, capped, storable
from .run_rows import ROWS, RunRow

RUN_DELETED = "The run object was deleted."


def _for_each_table(template: LiteralString) -> Mapping[type[RunRow], bytes]:
    """The statement for the table of each class of rows; made once, as that takes longer than a row."""

    def listed(columns: Iterable[str], text: LiteralString) -> sql.Composed:
        each = sql.SQL(text)
        return sql.SQL(", ").join(
            each.format(column=sql.Identifier(name), value=sql.Placeholder(name)) for name in columns
        )

    def statement(kind: type[RunRow]) -> sql.Composed:
        return sql.SQL(template).format(
            table=sql.Identifier(kind.table),
            columns=listed(kind.columns(), "{column}"),
            values=listed(kind.columns(), "{value}"),
            filled_in=listed(kind.filled_in(), "{column} = COALESCE(excluded.{column}, kept.{column})"),
            goes_on=listed(kind.goes_on, "{column}"),
            told=listed(kind.goes_on, "COALESCE({value}, {column})"),
            refreshed=listed(kind.goes_on, "{column} = COALESCE({value}, {column})"),
        )

    return {kind: statement(kind).as_bytes() for kind in ROWS}


UPSERT = _for_each_table("""
    INSERT INTO {table} AS kept ({columns}) VALUES ({values})
    ON CONFLICT (id) DO UPDATE SET
        status      = excluded.status,
        queued_at   = LEAST(excluded.queued_at, kept.queued_at),
        metadata    = kept.metadata || excluded.metadata,
        observed_at = excluded.observed_at,
        {filled_in}
    WHERE kept.status = ANY (%(earlier)s)
""")

# What goes on after the end of its run.
REFRESH = _for_each_table("""
    UPDATE {table}
       SET {refreshed}, observed_at = %(observed_at)s
     WHERE id = %(id)s AND status = %(status)s
       AND (observed_at IS NULL OR observed_at <= %(observed_at)s)
       AND ({goes_on}) IS DISTINCT FROM ({told})
""")

# An end may be recorded before its log has been read; the log may follow, once.
ADD_LOGS = _for_each_table("""
    UPDATE {table}
       SET metadata = metadata || jsonb_build_object('execution_logs', %(logs)s::jsonb)
     WHERE id = %(id)s AND status = %(status)s AND NOT metadata ? 'execution_logs'
""")

RECORDED = _for_each_table("SELECT id::text, status, {goes_on} FROM {table} WHERE id = ANY (%(ids)s::uuid[])")
UNFINISHED = _for_each_table("SELECT id::text FROM {table} WHERE finished_at IS NULL")
END_VANISHED = _for_each_table("""
    UPDATE {table}
       SET status = 'cancelled', finished_at = %(at)s, error_code = %(code)s, error_message = %(message)s
     WHERE id = ANY (%(ids)s::uuid[]) AND finished_at IS NULL
""")


@dataclass(frozen=True)
class Recorded:
    """What a table has of an execution, as far as it is compared with the run object."""

    status: State
    goes_on: Sequence[Any]  # the values of the columns that do

    def is_behind(self, row: RunRow) -> bool:
        """Whether the row would teach the table something; logs are not compared."""
        if self.status != row.status:
            return may_become(self.status, row.status)
        told = [getattr(row, column) for column in row.goes_on]
        return any(new is not None and new != known for new, known in zip(told, self.goes_on, strict=True))


async def upsert(connection: AsyncConnection, row: RunRow) -> bool:
    """Record what is known of an execution; true when the table learnt something.

    An earlier state changes nothing. The same state may fill in more, unless it is terminal: a terminal row
    may only get its log, once, and what goes on after its end, from the latest look at the run object.
    What is None erases nothing. Raises what psycopg raises: an IntegrityError or DataError for a row that
    breaks the table's rules.
    """
    logs = capped(row.logs) if row.status in TERMINAL else []
    values = _values(row, logs)
    kind = type(row)
    if await _changes(connection, UPSERT[kind], values):
        return True
    refreshed = row.status in TERMINAL and await _changes(connection, REFRESH[kind], values)
    return bool(logs and await _changes(connection, ADD_LOGS[kind], values)) or refreshed


async def recorded(connection: AsyncConnection, rows: Collection[RunRow]) -> dict[str, Recorded]:
    """What the tables have of the executions of these rows, by id; one that they do not have is left out."""
    found: dict[str, Recorded] = {}
    for kind in {type(row) for row in rows}:
        ids = [row.id for row in rows if isinstance(row, kind)]
        cursor = await connection.execute(RECORDED[kind], {"ids": ids})
        found |= {execution: Recorded(status, known) for execution, status, *known in await cursor.fetchall()}
    return found


async def unfinished(connection: AsyncConnection) -> set[str]:
    """The executions of all tables that have not ended, by id."""
    cursors = [await connection.execute(UNFINISHED[kind]) for kind in ROWS]
    return {execution for cursor in cursors for (execution,) in await cursor.fetchall()}


async def end_vanished(connection: AsyncConnection, ids: Iterable[str], *, at: datetime) -> int:
    """End those of the executions that have not ended: their run objects are gone. Returns how many."""
    values = {"ids": list(ids), "at": at, "code": Cancelled.code, "message": RUN_DELETED}
    cursors = [await connection.execute(END_VANISHED[kind], values) for kind in ROWS]
    return sum(cursor.rowcount for cursor in cursors)


async def _changes(connection: AsyncConnection, statement: bytes, values: Mapping[str, Any]) -> bool:
    return (await connection.execute(statement, values)).rowcount == 1


def _values(row: RunRow, logs: list[LogLine]) -> dict[str, Any]:
    values = {column: _storable(getattr(row, column)) for column in row.columns()}
    values["metadata"] = {**row.metadata, "execution_logs": logs} if logs else row.metadata
    as_json = {column: jsonb(values[column]) for column in row.as_json if values[column] is not None}
    return {**values, **as_json, "logs": jsonb(logs), "earlier": _earlier(row.status)}


def _storable(value: Any) -> Any:
    if isinstance(value, list):
        return [_storable(each) for each in value]
    return storable(value) if isinstance(value, str) else value


def _earlier(state: State) -> list[State]:
    """The recorded states that a record of this one may change."""
    same = [] if state in TERMINAL else [state]
    return [known for known in STATES if may_become(known, state)] + same
