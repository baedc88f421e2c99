"""Locks that all processes share which write to this history."""

from __future__ import annotations

from uuid import UUID

from psycopg import AsyncConnection


async def hold(connection: AsyncConnection, execution: UUID) -> None:
    """Wait until nobody else holds the lock on this execution, and hold it until the transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s::text, 0))", (execution,))
