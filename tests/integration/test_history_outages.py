"""What the history database may do to us, and what it costs a caller."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from dataguardian.errors import ConfigInvalid
from dataguardian.history import History, HistoryUnavailable
from dataguardian.settings import PostgresSettings

from .clients import frozen, postgres_settings
from .services import PostgresServer

LIMIT_S = 5.0


@pytest.fixture
def server(fragile_postgres: PostgresServer) -> PostgresServer:
    fragile_postgres.start()
    return fragile_postgres


@pytest.fixture
def settings(server: PostgresServer, tmp_path: Path) -> PostgresSettings:
    return postgres_settings(server, "postgres", tmp_path)


@pytest.fixture
async def history(settings: PostgresSettings) -> AsyncIterator[History]:
    async with History(settings) as opened:
        yield opened


async def refusal(history: History) -> tuple[str, float]:
    """What a caller is told, and after how many seconds."""
    begun = time.monotonic()
    with pytest.raises(HistoryUnavailable) as told:
        await history.check()
    return str(told.value), time.monotonic() - begun


async def test_a_stopped_server_is_told_at_once_and_used_again_when_it_is_back(
    server: PostgresServer, history: History
) -> None:
    await history.check()
    server.kill()

    await until_refused(history)
    text, seconds = await refusal(history)
    server.start()

    assert "Connection refused" in text
    assert seconds < 1
    await history.check()


async def test_a_restart_between_two_calls_is_not_noticed(server: PostgresServer, history: History) -> None:
    await asyncio.gather(*(history.check() for _ in range(4)))
    server.stop()
    server.start()

    for _ in range(4):
        await history.check()


@pytest.mark.parametrize("connected", [True, False])
async def test_a_frozen_server_costs_less_than_five_seconds(
    server: PostgresServer, history: History, connected: bool
) -> None:
    if connected:
        await history.check()
    with frozen(server):
        _, seconds = await refusal(history)

    assert seconds < LIMIT_S
    await history.check()


async def test_many_callers_of_a_frozen_server_wait_no_longer_than_one(
    server: PostgresServer, history: History
) -> None:
    with frozen(server):
        answers = await asyncio.gather(*(refusal(history) for _ in range(12)))

    assert max(seconds for _, seconds in answers) < LIMIT_S
    await history.check()


async def test_a_failed_caller_leaves_nothing_behind(history: History) -> None:
    async with history.connection() as connection:
        await connection.execute("CREATE TABLE kept (id int)")

    async def fail_half_way() -> None:
        async with history.connection() as connection:
            await connection.execute("INSERT INTO kept VALUES (1)")
            raise KeyError

    with pytest.raises(KeyError):
        await fail_half_way()
    async with history.connection() as connection:
        rows = await (await connection.execute("SELECT * FROM kept")).fetchall()
        assert rows == []


async def test_a_caller_who_leaves_while_a_connection_is_made_leaves_none_open(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, reached = list[psycopg.AsyncConnection](), asyncio.Event()

    async def prepared(connection: psycopg.AsyncConnection, _: object) -> None:
        made.append(connection)
        reached.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(psycopg.AsyncConnection, "set_isolation_level", prepared)
    caller = asyncio.create_task(history.check())
    await reached.wait()

    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)

    assert [connection.closed for connection in made] == [True]


async def test_the_end_closes_also_the_connections_of_who_was_not_told_of_it(settings: PostgresSettings) -> None:
    async with History(settings) as history:
        forgotten = history.connection()
        connection = await forgotten.__aenter__()

    assert connection.closed
    await forgotten.__aexit__(None, None, None)
    async with history.connection() as again:
        pass
    assert again.closed


async def test_a_changed_password_is_used_without_a_restart(
    server: PostgresServer, settings: PostgresSettings, history: History
) -> None:
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute("CREATE ROLE rotated LOGIN PASSWORD 'first'")
        settings.username_file.write_text("rotated")
        settings.password_file.write_text("wrong")

        assert "password authentication failed" in (await refusal(history))[0]

        settings.password_file.write_text("first\n")
        await history.check()
        admin.execute(sql.SQL("ALTER ROLE rotated PASSWORD 'second'"))
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'rotated'")
        settings.password_file.write_text("second\n")
        await until_answers(history)


async def test_no_password_is_told(settings: PostgresSettings, history: History) -> None:
    settings.password_file.write_text("canary-secret")

    assert "canary-secret" not in (await refusal(history))[0]


async def test_a_missing_secret_file_is_named(settings: PostgresSettings, history: History) -> None:
    settings.password_file.unlink()

    with pytest.raises(ConfigInvalid, match="postgres-password"):
        await history.check()


async def test_a_wiped_database_is_told_with_its_remedy(history: History) -> None:
    with pytest.raises(HistoryUnavailable, match="init container"):
        async with history.connection() as connection:
            await connection.execute("SELECT * FROM backup_executions")


async def until_refused(history: History) -> None:
    """The process of a connection may answer for a moment after the server that made it was killed."""
    with suppress(HistoryUnavailable):
        async with asyncio.timeout(LIMIT_S):
            while True:
                await history.check()


async def until_answers(history: History) -> None:
    """One call may meet the end of its connection; the next one does not."""
    deadline = time.monotonic() + LIMIT_S
    while True:
        try:
            return await history.check()
        except HistoryUnavailable:
            if time.monotonic() > deadline:
                raise
