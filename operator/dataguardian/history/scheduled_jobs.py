"""The tables of what runs by a schedule: what there is, and what there was, with the time of the next run."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg.sql import SQL, Composed, Identifier, Placeholder

from ..domain.executions import State


@dataclass(frozen=True, kw_only=True, slots=True)
class JobRow:
    """What each table has of an object; its last execution is the one that ended last."""

    uid: str  # a UUID
    namespace: str
    name: str
    schedule: str | None
    time_zone: str
    suspended: bool
    next_execution_at: datetime | None
    last_execution_name: str | None
    last_execution_status: State | None
    last_execution_at: datetime | None
    last_successful_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class BackupJobRow(JobRow):
    """A BackupJob."""

    datasource: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SyncJobRow(JobRow):
    """A DatabaseSyncJob, and its two Datasources."""

    source: str
    target: str


RowT = TypeVar("RowT", bound=JobRow)

PRESENT = "SELECT uid::text, {columns} FROM {table} WHERE deleted_at IS NULL"
UPSERT = """
    INSERT INTO {table} (uid, {columns}) VALUES (%(uid)s, {values})
    ON CONFLICT (uid) DO UPDATE SET ({columns}) = ROW ({new}), deleted_at = NULL, updated_at = now()
"""
MARK_DELETED = """
    UPDATE {table}
       SET deleted_at = now(), next_execution_at = NULL, updated_at = now()
     WHERE uid = ANY (%(uids)s::uuid[]) AND deleted_at IS NULL
"""


class Table(Generic[RowT]):
    """One of the tables; its columns are the fields of its rows."""

    def __init__(self, name: str, row: type[RowT]) -> None:
        columns = [field.name for field in dataclasses.fields(row) if field.name != "uid"]
        self._row = row
        self._parts: dict[str, Composed | Identifier] = {
            "table": Identifier(name),
            "columns": SQL(", ").join(map(Identifier, columns)),
            "values": SQL(", ").join(map(Placeholder, columns)),
            "new": SQL(", ").join(Identifier("excluded", column) for column in columns),
        }

    async def present(self, connection: AsyncConnection) -> list[RowT]:
        """The objects that are not marked as deleted."""
        async with connection.cursor(row_factory=class_row(self._row)) as cursor:
            return await (await cursor.execute(SQL(PRESENT).format(**self._parts))).fetchall()

    async def upsert(self, connection: AsyncConnection, rows: Sequence[RowT]) -> None:
        """Let the table have these rows, in one round trip."""
        async with connection.cursor() as cursor:
            await cursor.executemany(SQL(UPSERT).format(**self._parts), [dataclasses.asdict(row) for row in rows])

    async def mark_deleted(self, connection: AsyncConnection, uids: Sequence[str]) -> None:
        """These objects are gone; their rows stay."""
        await connection.execute(SQL(MARK_DELETED).format(**self._parts), {"uids": list(uids)})


BACKUP_JOBS = Table("backup_jobs", BackupJobRow)
SYNC_JOBS = Table("database_sync_jobs", SyncJobRow)
