"""The table ``audit_logs``: who did what, to which object, and how it came out. Rows are added, never changed.

Each row holds the hash of the one before it, see ``chain``: whoever adds one has the only right to for that long.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from psycopg import AsyncConnection
from psycopg.sql import SQL

from .chain import FIELDS, START, Head, Link, digest
from .jsonb import jsonb
from .logs import storable

Outcome = Literal["success", "refused", "failed"]

TEXT_MAX = 512  # characters of one column: an index takes 2704 bytes

LOCK_KEY = 0x6461746161756474  # "dataaudt": any number that no other program locks in this database


@dataclass(frozen=True, kw_only=True)
class AuditRow:
    """One deed. Its id follows from the deed where it can be told twice: that leaves one row."""

    id: str  # a UUID
    at: datetime
    who: str
    action: str  # e.g. backup.removed
    namespace: str  # empty when it is not known
    object_kind: str
    object_name: str
    outcome: Outcome
    detail: Mapping[str, Any] = field(default_factory=dict)
    execution_id: str | None = None  # a UUID
    request_id: str | None = None


MOMENT = SQL("""to_char({at} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')""")
# In a statement of its own: the next one sees what was committed while this one waited.
LOCK = "SELECT pg_advisory_xact_lock(%s)"
# What Postgres makes of the values is what is hashed.
BEFORE = SQL("""
    SELECT EXISTS (SELECT FROM audit_logs WHERE id = %(id)s), newest.seq, newest.hash,
           %(id)s::uuid::text, {at}, %(detail)s::jsonb::text,
           %(execution_id)s::uuid::text
    FROM (SELECT) AS nothing LEFT JOIN (SELECT seq, hash FROM audit_logs ORDER BY seq DESC LIMIT 1) AS newest ON true
""").format(at=MOMENT.format(at=SQL("%(at)s::timestamptz")))
WRITTEN = ("id", "at", "detail", "execution_id")  # the last columns of BEFORE
ADD = """
    INSERT INTO audit_logs (id, at, who, action, namespace, object_kind, object_name, outcome, detail, execution_id,
                            request_id, seq, previous, hash)
    VALUES (%(id)s, %(at)s, %(who)s, %(action)s, %(namespace)s, %(object_kind)s, %(object_name)s, %(outcome)s,
            %(detail)s, %(execution_id)s, %(request_id)s, %(seq)s, %(previous)s, %(hash)s)
"""
LINKS = SQL("""
    SELECT hash, previous, seq::text, id::text, {at}, who, action, namespace, object_kind,
           object_name, outcome, detail::text, execution_id::text, request_id
    FROM audit_logs WHERE (%(after)s::bigint IS NULL OR seq > %(after)s) AND seq <= %(upto)s
    ORDER BY audit_logs.seq LIMIT %(limit)s
""").format(at=MOMENT.format(at=SQL("at")))


async def add(connection: AsyncConnection, row: AuditRow) -> bool:
    """Add the row; false when it is there already, as it was told first. Needs a transaction: READ COMMITTED."""
    values = {column.name: getattr(row, column.name) for column in dataclasses.fields(row)}
    texts = {name: _cut(storable(text)) for name, text in values.items() if isinstance(text, str)}
    values |= {**texts, "detail": jsonb(row.detail)}
    await connection.execute(LOCK, [LOCK_KEY])
    found = await (await connection.execute(BEFORE, values)).fetchone()
    if found is None or found[0]:
        return False
    _, seq, hash_, *written = found
    before = START if seq is None else Head(seq, hash_)
    link = {"seq": before.seq + 1, "previous": before.hash}
    hashed = {**texts, **link, **dict(zip(WRITTEN, written, strict=True)), "seq": str(link["seq"])}
    await connection.execute(ADD, {**values, **link, "hash": digest([hashed.get(name) for name in FIELDS])})
    return True


def _cut(text: str) -> str:
    left_out = len(text) - TEXT_MAX
    return text if left_out <= 0 else f"{text[:TEXT_MAX]} [{left_out} characters are left out here]"


async def known(connection: AsyncConnection, ids: Collection[str]) -> set[str]:
    """Those of the ids that have a row."""
    query = "SELECT id::text FROM audit_logs WHERE id = ANY (%s::uuid[])"
    return {each for (each,) in await (await connection.execute(query, [list(ids)])).fetchall()}


async def head(connection: AsyncConnection) -> Head:
    """The newest row; START when there is none."""
    query = "SELECT seq, hash FROM audit_logs ORDER BY seq DESC LIMIT 1"
    found = await (await connection.execute(query)).fetchone()
    return Head(*found) if found else START


async def links(connection: AsyncConnection, *, after: int | None, upto: int, limit: int) -> list[Link]:
    """Rows in the order of the chain, ``limit`` at most; from the first on when ``after`` is None."""
    found = await connection.execute(LINKS, {"after": after, "upto": upto, "limit": limit})
    return [Link(fields, hash_) for hash_, *fields in await found.fetchall()]
