"""The audit log can only be added to, and a change past that is found: a real PostgreSQL and the program itself."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, LiteralString, cast

import psycopg
import pytest
from psycopg.types.json import Jsonb

from dataguardian.errors import AuditBroken
from dataguardian.history import AuditRow, History
from dataguardian.history.chain import START, Head
from dataguardian.history.migrate import migrate
from dataguardian.history.verify import PAGE, verify
from dataguardian.settings import PostgresSettings

from .clients import postgres_settings
from .schemas import migrate_to
from .services import ROOT, PostgresServer

AT = datetime(2026, 11, 24, 2, 10, 0, 120, tzinfo=UTC)
ROW = AuditRow(
    id=str(uuid.UUID(int=1)),
    at=AT,
    who="system:serviceaccount:shop:alice",
    action="backup_job.run",
    namespace="shop",
    object_kind="BackupJob",
    object_name="nightly",
    outcome="success",
    detail={"status": 202},
    execution_id=str(uuid.UUID(int=77)),
    request_id="walk-1",
)
STRANGE: list[dict[str, Any]] = [
    {"who": "Åsa: 'x' -\n12:\x00\ud800"},
    {"detail": {"b": 1.50, "a": None, "ü": ["\\", '"', 1e300, True], "long": "x" * 5000}},
    {"execution_id": None, "request_id": None, "namespace": "", "object_name": "", "detail": {}},
    {"at": datetime(2026, 6, 1, 2, tzinfo=UTC) + timedelta(microseconds=7), "request_id": ""},
    {"id": "ABCDEF00-0000-0000-0000-00000000ABCD"},
]
UNLOCK: LiteralString = "ALTER TABLE audit_logs DISABLE TRIGGER USER"


@pytest.fixture(scope="module")
def template(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    name = postgres_server.database()
    migrate(postgres_settings(postgres_server, name, tmp_path_factory.mktemp("migrate")), deadline_s=10)
    return name


@pytest.fixture
def database(postgres_server: PostgresServer, template: str) -> Iterator[str]:
    name = postgres_server.database(like=template)
    yield name
    postgres_server.drop(name)


@pytest.fixture
def settings(postgres_server: PostgresServer, database: str, tmp_path: Path) -> PostgresSettings:
    return postgres_settings(postgres_server, database, tmp_path)


@pytest.fixture
async def log(settings: PostgresSettings) -> AsyncIterator[History]:
    """History with five rows in the audit log."""
    async with History(settings) as opened:
        for number in range(1, 6):
            await opened.audit(numbered(number))
        yield opened


def numbered(number: int) -> AuditRow:
    return replace(ROW, id=str(uuid.UUID(int=number)), at=AT + timedelta(minutes=number))


def wrong_by_psql(server: PostgresServer, database: str) -> list[tuple[object, ...]]:
    """What the query in docs/audit.md finds."""
    page = (ROOT / "docs/audit.md").read_text()
    (query,) = re.findall(r"```sql\n(.*?)```", page, flags=re.DOTALL)
    return server.rows(database, cast(LiteralString, query))


async def test_rows_of_any_content_make_a_chain_that_psql_alone_can_check(
    log: History, postgres_server: PostgresServer, database: str
) -> None:
    for number, change in enumerate(STRANGE):
        assert await log.audit(replace(ROW, **{"id": str(uuid.UUID(int=100 + number)), **change}))

    head = await verify(log)

    assert head.seq == 5 + len(STRANGE)
    assert head == await log.audit_head()
    assert wrong_by_psql(postgres_server, database) == []
    postgres_server.sql(database, UNLOCK, "UPDATE audit_logs SET who = 'mallory' WHERE seq = 3")
    assert [seq for seq, _ in wrong_by_psql(postgres_server, database)] == [3]


async def test_a_deed_that_is_told_twice_leaves_one_row_and_no_gap(log: History) -> None:
    again = [await log.audit(replace(numbered(3), outcome="failed")), await log.audit(numbered(6))]

    assert again == [False, True]
    assert (await verify(log)).seq == 6


async def test_a_log_without_rows_is_whole(settings: PostgresSettings) -> None:
    async with History(settings) as empty:
        assert await verify(empty, START) == START


async def test_processes_that_write_at_once_make_one_chain(settings: PostgresSettings) -> None:
    async with AsyncExitStack() as stack:
        writers = [await stack.enter_async_context(History(settings)) for _ in range(3)]
        told = [numbered(number % 60) for number in range(120)]  # each twice

        added = await asyncio.gather(*(writers[number % 3].audit(row) for number, row in enumerate(told)))

        assert sum(added) == 60
        assert (await verify(writers[0])).seq == 60


async def test_a_writer_sees_what_was_written_while_it_waited_whatever_the_database_prefers(
    postgres_server: PostgresServer, database: str, settings: PostgresSettings
) -> None:
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as connection:
        isolated = psycopg.sql.SQL("ALTER DATABASE {} SET default_transaction_isolation = 'repeatable read'")
        connection.execute(isolated.format(psycopg.sql.Identifier(database)))

    async with History(settings) as history:
        await asyncio.gather(*(history.audit(numbered(number)) for number in range(20)))

        assert (await verify(history)).seq == 20


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_logs SET who = 'mallory'",
        "DELETE FROM audit_logs WHERE seq = 99",
        "TRUNCATE audit_logs",
        "SET session_replication_role = replica; DELETE FROM audit_logs",
    ],
)
async def test_nothing_can_be_changed_or_removed_by_a_superuser(
    log: History, postgres_server: PostgresServer, database: str, statement: LiteralString
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="added, never changed"):
        postgres_server.sql(database, statement)

    assert (await verify(log)).seq == 5


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_logs SET who = 'mallory'", "DELETE FROM audit_logs", "TRUNCATE audit_logs"]
)
async def test_nothing_can_be_changed_or_removed_by_the_owner_not_even_with_the_right_given_back(
    postgres_server: PostgresServer, tmp_path: Path, statement: LiteralString
) -> None:
    role = f"owner_{uuid.uuid4().hex[:8]}"
    names = psycopg.sql.Identifier(role)
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as connection:
        connection.execute(psycopg.sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'owner'").format(names))
        connection.execute(psycopg.sql.SQL("CREATE DATABASE {} OWNER {}").format(names, names))
    (tmp_path / "owner").write_text(role)
    (tmp_path / "secret").write_text("owner")
    owned = replace(
        postgres_settings(postgres_server, role, tmp_path),
        username_file=tmp_path / "owner",
        password_file=tmp_path / "secret",
    )
    migrate(owned, deadline_s=10)
    async with History(owned) as history:
        await history.audit(ROW)
    dsn = postgres_server.dsn(role, user=role, password="owner")

    with psycopg.connect(dsn) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege, match="denied"):
        connection.execute(statement)
    with psycopg.connect(dsn) as connection:
        connection.execute("GRANT ALL ON audit_logs TO CURRENT_USER")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="added, never"):
            connection.execute(statement)


TAMPERED: dict[LiteralString, tuple[int, str]] = {  # the change, the row that is named, and what is said of it
    "UPDATE audit_logs SET who = 'mallory' WHERE seq = 3": (3, "content"),
    "UPDATE audit_logs SET at = at + interval '1 microsecond' WHERE seq = 3": (3, "content"),
    "UPDATE audit_logs SET id = gen_random_uuid() WHERE seq = 3": (3, "content"),
    "UPDATE audit_logs SET action = 'backup.verify' WHERE seq = 3": (3, "content"),
    "UPDATE audit_logs SET namespace = 'other' WHERE seq = 3": (3, "content"),
    "UPDATE audit_logs SET object_kind = 'x' WHERE seq = 3": (3, "content"),
    "UPDATE audit_logs SET object_name = 'x' WHERE seq = 3": (3, "content"),
    "UPDATE audit_logs SET outcome = 'refused' WHERE seq = 3": (3, "content"),
    "UPDATE audit_logs SET detail = '{}' WHERE seq = 3": (3, "content"),
    "UPDATE audit_logs SET execution_id = NULL WHERE seq = 3": (3, "content"),
    "UPDATE audit_logs SET request_id = '' WHERE seq = 3": (3, "content"),
    "UPDATE audit_logs SET hash = repeat('a', 64) WHERE seq = 3": (3, "content"),
    "UPDATE audit_logs SET previous = repeat('a', 64) WHERE seq = 3": (3, "link"),
    "UPDATE audit_logs SET seq = 30 WHERE seq = 3": (4, "gap"),
    "DELETE FROM audit_logs WHERE seq = 3": (4, "gap"),
    "DELETE FROM audit_logs WHERE seq = 1": (2, "gap"),
    "UPDATE audit_logs SET seq = CASE seq WHEN 2 THEN -3 ELSE -2 END WHERE seq IN (2, 3);"
    " UPDATE audit_logs SET seq = -seq WHERE seq < 0": (2, "link"),
    "INSERT INTO audit_logs SELECT gen_random_uuid(), at, who, action, namespace, object_kind, object_name, outcome,"
    " detail, request_id, execution_id, 0, previous, hash FROM audit_logs WHERE seq = 1": (0, "gap"),
}


@pytest.mark.parametrize("change", TAMPERED)
async def test_a_change_by_a_superuser_is_found_and_its_row_is_named(
    log: History, postgres_server: PostgresServer, database: str, change: LiteralString
) -> None:
    seq, what = TAMPERED[change]
    postgres_server.sql(database, UNLOCK, change)
    ((id_,),) = postgres_server.rows(database, f"SELECT id FROM audit_logs WHERE seq = {seq}")

    with pytest.raises(AuditBroken, match=f"^seq {seq}, id {id_}: {what}: "):
        await verify(log)


async def test_a_log_that_was_cut_is_found_by_a_head_that_was_noted(
    log: History, postgres_server: PostgresServer, database: str
) -> None:
    noted = await log.audit_head()
    await log.audit(numbered(6))
    assert (await verify(log, noted)).seq == 6

    postgres_server.sql(database, UNLOCK, "DELETE FROM audit_logs WHERE seq > 4")

    assert (await verify(log)).seq == 4
    with pytest.raises(AuditBroken, match=r"^seq 5 is missing: the log ends at seq 4"):
        await verify(log, noted)
    await log.audit(numbered(7))
    with pytest.raises(AuditBroken, match=r"^seq 5, .*rewritten"):
        await verify(log, noted)


async def test_a_log_of_several_pages_is_read_to_its_end(
    log: History, postgres_server: PostgresServer, database: str
) -> None:
    for number in range(6, PAGE + 10):
        await log.audit(numbered(number))
    postgres_server.sql(
        database, UNLOCK, "UPDATE audit_logs SET who = '' WHERE seq = (SELECT max(seq) FROM audit_logs)"
    )

    with pytest.raises(AuditBroken, match=f"^seq {PAGE + 9}, "):
        await verify(log)


def test_rows_of_before_the_chain_become_its_first_ones(postgres_server: PostgresServer, tmp_path: Path) -> None:
    name = postgres_server.database()
    settings = postgres_settings(postgres_server, name, tmp_path)
    migrate_to(settings, "0006")
    postgres_server.sql(
        name,
        "INSERT INTO audit_logs SELECT ('00000000-0000-0000-0000-0000000000' || to_char(n, 'FM00'))::uuid,"
        " '2026-11-24T02:10:00.000001Z'::timestamptz - n * interval '1 hour', 'dataguardian', 'backup.removed', 'shop',"
        " 'BackupExecution', E'Å\\n-', 'success',"
        " jsonb_build_object('execution_id', '00000000-0000-0000-0000-000000000077', 'reason', 'ü', 'n', n), NULL"
        " FROM generate_series(1, 3) n",
    )

    migrate(settings, deadline_s=10)

    async def check() -> Head:
        async with History(settings) as history:
            await history.audit(numbered(9))
            return await verify(history)

    assert asyncio.run(check()).seq == 4
    assert wrong_by_psql(postgres_server, name) == []
    found = postgres_server.rows(name, "SELECT seq, detail ->> 'n', execution_id::text FROM audit_logs ORDER BY seq")
    assert found[:3] == [(seq, n, str(uuid.UUID(int=0x77))) for seq, n in ((1, "3"), (2, "2"), (3, "1"))]


# As the release before the chain adds a row.
FORMER = """
    INSERT INTO audit_logs (id, at, who, action, namespace, object_kind, object_name, outcome, detail)
    VALUES (%(id)s, %(at)s, %(who)s, %(action)s, %(namespace)s, %(object_kind)s, %(object_name)s, %(outcome)s,
            %(detail)s)
    ON CONFLICT (id) DO NOTHING
"""


async def add_as_before(history: History, number: int) -> int:
    row = {**vars(numbered(number)), "detail": Jsonb({"execution_id": str(uuid.UUID(int=77)), "reason": "Å\n-"})}
    async with history.connection() as connection:
        return (await connection.execute(FORMER, row)).rowcount


async def test_rows_of_the_release_before_the_chain_are_links_of_it(
    settings: PostgresSettings, postgres_server: PostgresServer, database: str
) -> None:
    async with History(settings) as new, History(settings) as former:
        assert await add_as_before(former, 1) == 1  # the first of all
        rows = [add_as_before(former, number) for number in range(2, 30)]
        others = [new.audit(numbered(number)) for number in range(30, 60)]
        await asyncio.gather(*(each for pair in zip(rows, others, strict=False) for each in pair), *others[len(rows) :])

        assert await add_as_before(former, 7) == 0
        assert (await verify(new)).seq == 59
    assert wrong_by_psql(postgres_server, database) == []
    executions = postgres_server.rows(
        database, "SELECT DISTINCT execution_id::text, detail ->> 'execution_id' FROM audit_logs"
    )
    assert executions == [(str(uuid.UUID(int=77)), None)]


def ran(settings: PostgresSettings, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as a person runs it in the pod."""
    variables = {
        "HOST": settings.host, "PORT": settings.port, "DATABASE": settings.database,
        "USERNAME_FILE": settings.username_file, "PASSWORD_FILE": settings.password_file,
    }  # fmt: skip
    environment = {f"DATAGUARDIAN_POSTGRES_{name}": str(value) for name, value in variables.items()}
    argv = [sys.executable, "-c", "from dataguardian.cli import main; main()", "audit", "verify", *arguments]
    return subprocess.run(argv, env={**os.environ, **environment}, capture_output=True, text=True, check=False)


async def test_the_command_prints_the_head_and_ends_with_65_when_something_is_wrong(
    log: History, settings: PostgresSettings, postgres_server: PostgresServer, database: str
) -> None:
    head = await log.audit_head()
    whole, expected = ran(settings), ran(settings, "--expect-head", str(head))
    misspelt = ran(settings, "--expect-head", "5")
    postgres_server.sql(database, UNLOCK, "DELETE FROM audit_logs WHERE seq > 2")
    cut = ran(settings, "--expect-head", str(head))

    assert (whole.returncode, whole.stdout) == (0, f"5 rows are as they were written\nhead {head}\n")
    assert (expected.returncode, expected.stdout.splitlines()[-1]) == (0, f"head {head}")
    assert (misspelt.returncode, "SEQ:HASH" in misspelt.stderr) == (2, True)
    assert (cut.returncode, cut.stdout) == (65, "")
    assert cut.stderr.startswith("error [audit-broken]: seq 5 is missing")
