"""The runner's SQL session, by the engine's own client."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from dataguardian.domain.manifest import Table
from dataguardian.engines import Contents, Engine, Source
from dataguardian.errors import DatabaseUnavailable
from dataguardian.runner import login
from dataguardian.runner.lines import Lines
from dataguardian.runner.run import Run
from dataguardian.runner.session import Session

from .runs import Pod
from .services import PostgresServer, wait_until
from .shop import shop

WAITING = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


@pytest.fixture
def database(postgres_server: PostgresServer) -> str:
    """A small database."""
    return shop(postgres_server)


@pytest.fixture
def engine(pod: Pod) -> Engine:
    """The engine of the database."""
    return login.engine_of(pod.endpoint("postgres"))


@pytest.fixture
def session(pod: Pod, engine: Engine, database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """A session on it."""
    monkeypatch.setenv("DATAGUARDIAN_WORK_DIR", str(pod.folder))
    endpoint = pod.endpoint(database)
    with closing(Session(Run(Lines("backup")), engine, login.prepare(endpoint, engine))) as opened:
        yield opened


def counted(session: Session, engine: Engine, source: Source, postgres: PostgresServer, database: str) -> list[Table]:
    """The shop's tables as the session's snapshot sees them."""
    rows = postgres.rows(database, "SELECT oid::int FROM pg_class WHERE relname IN ('customers', 'orders')")
    contents = Contents(tables=[int(str(oid)) for (oid,) in rows], sequences=[], extensions=[], tool_version="")
    fingerprint, _ = engine.fingerprint(source, contents, session.ask(engine.describe_dumped(contents)))
    return fingerprint.tables


def test_rows_written_after_the_snapshot_are_not_counted(
    session: Session, engine: Engine, postgres_server: PostgresServer, database: str
) -> None:
    source = engine.source(session.ask(engine.describe_source()))
    postgres_server.sql(database, "DELETE FROM orders")

    tables = counted(session, engine, source, postgres_server, database)

    assert {table.name: table.rows for table in tables} == {"customers": 500, "orders": 5000}


def test_a_table_that_somebody_waits_to_alter_is_left_out_instead_of_waited_for(
    session: Session, engine: Engine, postgres_server: PostgresServer, database: str
) -> None:
    """Behind the waiting ALTER the snapshot would see an empty table: a wrong count in the manifest."""
    source = engine.source(session.ask(engine.describe_source()))
    rewrite = "ALTER TABLE orders ALTER file TYPE text USING file::text"
    altering = threading.Thread(target=postgres_server.sql, args=(database, rewrite))
    with psycopg.connect(postgres_server.dsn(database)) as dump:
        dump.execute("LOCK TABLE orders IN ACCESS SHARE MODE")  # as pg_dump does
        altering.start()
        wait_until(lambda: postgres_server.rows(database, WAITING), what="the ALTER waits")

        tables = counted(session, engine, source, postgres_server, database)

    altering.join()
    assert {table.name: table.rows for table in tables} == {"customers": 500}


def test_limits_that_an_administrator_sets_do_not_end_a_long_session(
    session: Session, engine: Engine, postgres_server: PostgresServer, database: str
) -> None:
    session.ask("SET statement_timeout = '1h'; SET idle_in_transaction_session_timeout = '1h';\n")
    session.ask(engine.describe_source())

    limits = session.ask(
        "SELECT setting FROM pg_settings WHERE name IN ('statement_timeout', 'idle_in_transaction_session_timeout');\n"
    )

    assert limits == ["0", "0"]


def test_statements_and_answers_that_no_pipe_holds_do_not_wait_for_each_other(session: Session) -> None:
    """As for a database with very many tables: psql writes its first answers before it has read all statements."""
    given_up = threading.Timer(30, session.tool.kill)
    given_up.start()

    answers = session.ask(f"SELECT repeat('x', 4000000);\nSELECT length('{'y' * 4_000_000}');\n")

    given_up.cancel()
    assert [len(answers[0]), answers[1]] == [4_000_000, "4000000"]


def test_a_session_that_was_ended_says_so(session: Session, postgres_server: PostgresServer, database: str) -> None:
    session.ask("SELECT 1;\n")
    postgres_server.rows(
        database,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'dataguardian' AND datname = current_database()",
    )

    with pytest.raises(DatabaseUnavailable):
        session.ask("SELECT 1;\n")


def test_the_server_notices_within_two_minutes_that_a_node_is_lost(pod: Pod, engine: Engine, session: Session) -> None:
    access = login.prepare(pod.endpoint("postgres"), engine)
    loading = engine.loading(access, engine.client(0), engine.client(0), lock_timeout_seconds=1, application="load")
    show = "SHOW tcp_keepalives_idle;\nSHOW tcp_keepalives_interval;\nSHOW tcp_keepalives_count;\n"

    session.ask(loading.begin())
    load = session.ask(f"{show}ROLLBACK;\n")
    session.ask("RESET ALL;\n")
    session.ask(engine.describe_source())

    assert load == session.ask(show) == ["60", "10", "3"]
