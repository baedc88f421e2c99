"""Connections to the history database that cost a caller seconds at most, whatever the server does.

Not psycopg_pool: with the server away it lets every caller wait out a timeout and then says only that; here
a refused connection or password is told at once, in the server's words.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any, Self

import psycopg
from psycopg import errors as postgres
from psycopg.pq import TransactionStatus

from ..errors import HistoryUnavailable
from ..settings import PostgresSettings, read_secret
from . import audit, executions
from .audit import AuditRow
from .chain import Head
from .executions import Recorded
from .run_rows import RunRow

ANSWER_S = 4.5  # for all that is done inside one ``connection()``
CONNECT_S = 3  # libpq's limit for one attempt, in whole seconds
CONNECTIONS = 4

_AWAY = (TimeoutError, psycopg.OperationalError, psycopg.InterfaceError)
_REFUSES = (postgres.ReadOnlySqlTransaction, postgres.InsufficientPrivilege)
# The row is at fault; psycopg counts it among the errors of operation.
_TOO_LARGE = (postgres.ProgramLimitExceeded, postgres.StatementTooComplex)
_NO_SCHEMA = (postgres.UndefinedTable, postgres.UndefinedColumn)


def login(settings: PostgresSettings) -> dict[str, Any]:
    """libpq's parameters; secret files are read now, so a changed password is used. Raises ConfigInvalid."""
    return {
        "host": settings.host,
        "port": settings.port,
        "dbname": settings.database,
        "user": read_secret(settings.username_file),
        "password": read_secret(settings.password_file),
        "sslmode": settings.sslmode,
        "application_name": "dataguardian",
        "connect_timeout": CONNECT_S,
    }


class History:
    """The history database. It may be down when this is made, and at any time after."""

    def __init__(self, settings: PostgresSettings, *, connections: int = CONNECTIONS) -> None:
        """At most so many ``connections`` at once; who needs one more waits."""
        self._settings = settings
        self._idle: list[psycopg.AsyncConnection] = []
        self._used: set[psycopg.AsyncConnection] = set()
        self._ended = False
        self._free = asyncio.Semaphore(connections)
        self.outages = 0  # calls that ended with HistoryUnavailable so far

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        # Also what somebody still uses who was not told of the end; what they take from now on is closed after use.
        self._ended = True
        for connection in (*self._idle, *self._used):
            await connection.close()
        self._idle.clear()

    @asynccontextmanager
    async def connection(self, *, limit_s: float = ANSWER_S) -> AsyncIterator[psycopg.AsyncConnection]:
        """A connection in a transaction: committed at the end, rolled back by an error.

        Raises HistoryUnavailable when the server cannot be reached, ends the connection, has no schema, or has
        not done it all within the limit; ConfigInvalid when the secret files cannot be read.
        """
        try:
            async with asyncio.timeout(limit_s) as limit, self._free:
                connection = await self._take()
                self._used.add(connection)
                # psycopg answers a cancellation by asking the server to cancel too, and waits 10 s for a frozen
                # one. With the socket closed it does not ask.
                guard = asyncio.get_running_loop().call_at(limit.when() or 0, connection.pgconn.finish)
                try:
                    async with connection.transaction():
                        yield connection
                finally:
                    guard.cancel()
                    self._used.discard(connection)
                    await self._give_back(connection)
        except _NO_SCHEMA as error:
            self.outages += 1
            raise HistoryUnavailable(
                f"The history database lacks a table: {_reason(error)}",
                remedy="Restart the operator's pod: its init container makes the schema.",
            ) from error
        except _TOO_LARGE:
            raise
        except (*_AWAY, *_REFUSES) as error:
            self.outages += 1
            raise HistoryUnavailable(
                f"Postgres at {self._settings.host}:{self._settings.port} could not be used: {_reason(error)}",
                remedy="It is tried again, nothing is lost; look at the server and its Secret if it lasts.",
            ) from error

    async def record(self, row: RunRow, *, limit_s: float = ANSWER_S) -> bool:
        """Record an execution as ``executions.upsert`` does. Raises HistoryUnavailable or ConfigInvalid."""
        async with self.connection(limit_s=limit_s) as connection:
            return await executions.upsert(connection, row)

    async def recorded(self, rows: Collection[RunRow]) -> dict[str, Recorded]:
        """What the tables have of the executions of these rows, by id. Raises HistoryUnavailable or ConfigInvalid."""
        async with self.connection() as connection:
            return await executions.recorded(connection, rows)

    async def audit(self, row: AuditRow) -> bool:
        """Add to the audit log as ``audit.add`` does. Raises HistoryUnavailable or ConfigInvalid."""
        async with self.connection() as connection:
            return await audit.add(connection, row)

    async def audit_head(self) -> Head:
        """The newest row of the audit log. Raises HistoryUnavailable or ConfigInvalid."""
        async with self.connection() as connection:
            return await audit.head(connection)

    async def check(self, *, limit_s: float = ANSWER_S) -> None:
        """Ask the server for an answer. Raises HistoryUnavailable or ConfigInvalid."""
        async with self.connection(limit_s=limit_s) as connection:
            await connection.execute("SELECT 1")

    async def _take(self) -> psycopg.AsyncConnection:
        while self._idle:
            connection = self._idle.pop()
            if _is_quiet(connection):
                return connection
            await connection.close()
        connection = await psycopg.AsyncConnection.connect(**login(self._settings), autocommit=True)
        try:
            # Whatever the database's default is: who waited for a lock has to see what was written meanwhile.
            await connection.set_isolation_level(psycopg.IsolationLevel.READ_COMMITTED)
        except BaseException:  # such as a caller who leaves
            await connection.close()
            raise
        return connection

    async def _give_back(self, connection: psycopg.AsyncConnection) -> None:
        if connection.pgconn.transaction_status == TransactionStatus.IDLE and not self._ended:
            self._idle.append(connection)
        else:
            await connection.close()


def _is_quiet(connection: psycopg.AsyncConnection) -> bool:
    """Whether the server has said nothing since the last answer; it speaks first only to end a connection."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)


def _reason(error: Exception) -> str:
    """The error in one line that ends with a full stop."""
    text = " ".join(str(error).split()) or "nothing in time"
    return text.rstrip(".") + "."
