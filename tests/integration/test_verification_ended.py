"""A verification that is ended in its middle leaves no database: it removes it itself, or the next look does."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from dataguardian.domain.plan import DatasourceProbe, FilesystemTarget

from .runs import Pod, Running, backed_up
from .services import PostgresServer, wait_until
from .trials import aged, temporary_databases
from .valve import Valve

SENT = 10_000_000  # bytes of the load, of 40 MB


@pytest.fixture
def backup(pod: Pod, big_database: str) -> FilesystemTarget:
    """A backup whose load takes its time."""
    return backed_up(pod, big_database)


@pytest.fixture
def loading(pod: Pod, valve: Valve, big_database: str, backup: FilesystemTarget) -> Iterator[Running]:
    """A verification that is held in the middle of its load."""
    valve.hold_after(SENT, of_server=False)
    endpoint = pod.endpoint(big_database, host=valve.host, port=valve.port)
    running = pod.start(pod.restore_plan(big_database, backup, verify=True, target=endpoint, keep_database=True))
    running.until(lambda: valve.holds, "the load is held")
    yield running
    running.process.kill()
    running.process.wait()


def no_session_in(server: PostgresServer, name: str) -> None:
    """Wait until a database is left by all."""
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        query = "SELECT FROM pg_stat_activity WHERE datname = %s"
        wait_until(lambda: not connection.execute(query, [name]).fetchall(), what=f"nobody is in {name}")


def test_sigterm_removes_the_database_within_ten_seconds(
    loading: Running, postgres_server: PostgresServer, big_database: str
) -> None:
    assert len(temporary_databases(postgres_server, big_database)) == 1
    started = time.monotonic()
    loading.signal(signal.SIGTERM)

    ended = loading.ended()

    assert ended.failure == (143, "cancelled", "load")
    assert time.monotonic() - started < 10
    assert temporary_databases(postgres_server, big_database) == []


def test_what_a_killed_verification_leaves_the_next_check_of_the_datasource_removes_once_it_is_old(
    pod: Pod, loading: Running, valve: Valve, postgres_server: PostgresServer, big_database: str
) -> None:
    probe = DatasourceProbe(source=pod.endpoint(big_database))
    loading.signal(signal.SIGKILL)
    loading.ended()
    valve.open()
    (left,) = temporary_databases(postgres_server, big_database)
    no_session_in(postgres_server, left)

    assert pod.run(probe).status == 0
    assert temporary_databases(postgres_server, big_database) == [left]  # it may be of a run that has just begun

    old = aged(postgres_server, left)
    ended = pod.run(probe)

    assert ended.status == 0
    assert temporary_databases(postgres_server, big_database) == []
    assert [line["database"] for line in ended.lines if line["action"] == "database_swept"] == [old]


def test_a_verification_removes_what_an_earlier_one_left(
    pod: Pod, loading: Running, valve: Valve, postgres_server: PostgresServer, big_database: str, tmp_path: object
) -> None:
    loading.signal(signal.SIGKILL)
    loading.ended()
    valve.open()
    (left,) = temporary_databases(postgres_server, big_database)
    no_session_in(postgres_server, left)
    aged(postgres_server, left)

    ended = pod.run(pod.restore_plan(big_database, pod.volume(), verify=True))

    assert ended.status == 0, ended.output
    assert temporary_databases(postgres_server, big_database) == []


def test_a_database_that_stays_is_marked_before_its_session_ends_and_a_sweep_could_take_it(
    loading: Running, valve: Valve, postgres_server: PostgresServer, big_database: str
) -> None:
    (name,) = temporary_databases(postgres_server, big_database)
    with psycopg.connect(postgres_server.dsn()) as connection:
        connection.execute(SQL("COMMENT ON DATABASE {} IS 'changing'").format(Identifier(name)))  # who marks it waits
        valve.open()
        marking = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'COMMENT ON DATABASE %'"
        loading.until(lambda: postgres_server.rows("postgres", marking), "the database is being marked")

        sessions = postgres_server.rows("postgres", f"SELECT FROM pg_stat_activity WHERE datname = '{name}'")

        connection.rollback()
    assert sessions
    assert loading.ended().status == 0, loading.output
    assert temporary_databases(postgres_server, big_database) == [name]
    postgres_server.drop(name)


@pytest.mark.parametrize(
    ("comment", "entered", "goes"),
    [
        ("dataguardian-verification 1", False, True),
        ("dataguardian-verification 1", True, False),
        ("dataguardian-verification 1 kept", False, False),
        ("a person's own", False, False),
        (None, False, False),
    ],
)
def test_only_what_is_marked_as_ours_and_that_nobody_uses_is_removed(
    pod: Pod, postgres_server: PostgresServer, comment: str | None, entered: bool, goes: bool
) -> None:
    name = postgres_server.database("dg_verify_mine_20200101000000")
    with psycopg.connect(postgres_server.dsn(name if entered else "postgres"), autocommit=True) as connection:
        connection.execute(SQL("COMMENT ON DATABASE {} IS {}").format(Identifier(name), comment))

        ended = pod.run(DatasourceProbe(source=pod.endpoint("postgres")))

        left = temporary_databases(postgres_server, "mine")
    assert ended.status == 0, ended.output
    assert (left == []) is goes
    if not goes:
        postgres_server.drop(name)


def test_one_that_was_not_marked_before_its_run_was_killed_is_removed_as_nobody_could_enter_it(
    pod: Pod, postgres_server: PostgresServer
) -> None:
    name = postgres_server.database("dg_verify_mine_20200101000000")
    postgres_server.sql("postgres", "ALTER DATABASE dg_verify_mine_20200101000000 ALLOW_CONNECTIONS false")

    ended = pod.run(DatasourceProbe(source=pod.endpoint("postgres")))

    assert [line["database"] for line in ended.lines if line["action"] == "database_swept"] == [name]


def test_a_check_by_a_role_that_may_remove_nothing_succeeds_and_leaves_it(
    pod: Pod, postgres_server: PostgresServer
) -> None:
    name = postgres_server.database("dg_verify_mine_20200101000000")
    postgres_server.sql(
        "postgres",
        "COMMENT ON DATABASE dg_verify_mine_20200101000000 IS 'dataguardian-verification 1'",
        "CREATE ROLE checking LOGIN PASSWORD 'checking'",
    )
    endpoint = pod.endpoint(
        "postgres", username_file=pod.secret("checking", "checking"), password_file=pod.secret("checking-2", "checking")
    )

    ended = pod.run(DatasourceProbe(source=endpoint))

    assert ended.status == 0, ended.output
    assert temporary_databases(postgres_server, "mine") == [name]
    postgres_server.drop(name)
    postgres_server.sql("postgres", "DROP ROLE checking")
