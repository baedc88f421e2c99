"""What is built after the rows: it may fail, wait or be cancelled, and the target keeps the rows."""

from __future__ import annotations

import signal
import time
from typing import LiteralString

import psycopg
import pytest

from .runs import Pod, backed_up
from .services import PostgresServer, wait_until
from .shop import shop

SESSIONS = (
    "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'dataguardian%' AND datname = current_database()"
)


def when_indexed(does: LiteralString) -> tuple[LiteralString, ...]:
    """Statements that have the server do this each time an index is made."""
    return (
        "CREATE FUNCTION when_indexed() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN " + does + " END$$",
        "CREATE EVENT TRIGGER of_indexes ON ddl_command_start WHEN TAG IN ('CREATE INDEX')"
        " EXECUTE FUNCTION when_indexed()",
    )


def test_what_fails_after_the_rows_says_what_the_target_has(pod: Pod, postgres_server: PostgresServer) -> None:
    target, copy = backed_up(pod, shop(postgres_server)), postgres_server.database()
    postgres_server.sql(copy, *when_indexed("RAISE 'no index';"))

    ended = pod.run(pod.restore_plan(copy, target, atomic=False))

    assert ended.failure == (70, "load-failed", "load")
    assert "no index" in ended.message
    assert "The target has all rows" in ended.message
    assert postgres_server.rows(copy, "SELECT count(*) FROM orders") == [(5000,)]


def test_rows_that_a_policy_hides_are_hidden_from_the_moment_they_are_there(
    pod: Pod, postgres_server: PostgresServer
) -> None:
    """Policies are made after the rows, and so would be what hides rows without one."""
    database, copy = postgres_server.database(), postgres_server.database()
    postgres_server.sql(
        database,
        "CREATE ROLE tenant LOGIN PASSWORD 'tenant'",
        "CREATE TABLE secrets AS SELECT 1 AS id",
        "CREATE INDEX ON secrets (id)",
        "ALTER TABLE secrets ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY none ON secrets TO tenant USING (false)",
        "GRANT SELECT ON secrets TO tenant",
    )
    postgres_server.sql(copy, *when_indexed("RAISE 'no index';"))

    ended = pod.run(pod.restore_plan(copy, backed_up(pod, database), atomic=False, jobs=1))

    assert ended.failure == (70, "load-failed", "load")
    assert "The target has all rows" in ended.message
    with psycopg.connect(postgres_server.dsn(copy, user="tenant", password="tenant")) as connection:
        assert connection.execute("SELECT * FROM secrets").fetchall() == []


def test_sigterm_ends_the_building_of_indexes_within_ten_seconds_and_its_statements_too(
    pod: Pod, postgres_server: PostgresServer
) -> None:
    target, copy = backed_up(pod, shop(postgres_server)), postgres_server.database()
    postgres_server.sql(copy, *when_indexed("PERFORM pg_sleep(600);"))
    asleep = "SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
    running = pod.start(pod.restore_plan(copy, target, atomic=False))
    running.until(lambda: postgres_server.rows(copy, asleep), "an index is being built")
    started = time.monotonic()
    running.signal(signal.SIGTERM)

    ended = running.ended()

    assert ended.failure == (143, "cancelled", "load")
    assert "The target has all rows" in ended.message
    assert postgres_server.rows(copy, "SELECT count(*) FROM orders") == [(5000,)]
    assert time.monotonic() - started < 10
    wait_until(lambda: not postgres_server.rows(copy, SESSIONS), what="the load's sessions are gone", seconds=10)


def test_while_indexes_are_built_no_lock_is_waited_for_any_longer_and_the_target_has_the_rows(
    pod: Pod, postgres_server: PostgresServer
) -> None:
    target, copy = backed_up(pod, shop(postgres_server)), postgres_server.database()
    postgres_server.sql(copy, *when_indexed("PERFORM pg_advisory_xact_lock(1);"))
    with psycopg.connect(postgres_server.dsn(copy), application_name="migration") as connection:
        connection.execute("SELECT pg_advisory_xact_lock(1)")

        ended = pod.run(pod.restore_plan(copy, target, atomic=False, lock_timeout_seconds=1))

    assert ended.failure == (75, "target-locked", "load")
    assert "application 'migration'" in ended.message
    assert "The target has all rows" in ended.message
    assert postgres_server.rows(copy, "SELECT count(*) FROM orders") == [(5000,)]


@pytest.mark.parametrize(("allowed", "code"), [(True, "target-locked"), (False, "database-unavailable")])
def test_whoever_looks_for_locks_comes_again_and_without_it_nothing_goes_on_for_long(
    pod: Pod, postgres_server: PostgresServer, allowed: bool, code: str
) -> None:
    target, copy = backed_up(pod, shop(postgres_server)), postgres_server.database()
    postgres_server.sql(copy, *when_indexed("PERFORM pg_advisory_xact_lock(1);"))
    with psycopg.connect(postgres_server.dsn(copy), application_name="migration", autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(1)")
        running = pod.start(pod.restore_plan(copy, target, atomic=False, lock_timeout_seconds=3))
        running.until_action("waiting_for_locks")
        postgres_server.sql("postgres", f"ALTER DATABASE {copy} ALLOW_CONNECTIONS {allowed}")
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%blocking_pids(p%'"
            " AND datname = current_database() AND pid <> pg_backend_pid()"
        )

        ended = running.ended(30)

    postgres_server.sql("postgres", f"ALTER DATABASE {copy} ALLOW_CONNECTIONS true")
    assert ended.failure == (75, code, "load")
    assert "The target has all rows" in ended.message


def test_short_waits_of_different_statements_do_not_add_up(pod: Pod, postgres_server: PostgresServer) -> None:
    database, copy = postgres_server.database(), postgres_server.database()
    columns = [f"c{number}" for number in range(6)]
    postgres_server.sql(
        database,
        f"CREATE TABLE wide ({', '.join(f'{column} int' for column in columns)})",
        *(f"CREATE INDEX ON wide ({column})" for column in columns),
    )
    postgres_server.sql(
        copy,
        *when_indexed(
            "PERFORM set_config('lock_timeout', '700ms', true); PERFORM pg_advisory_xact_lock(1);"
            " EXCEPTION WHEN lock_not_available THEN NULL;"
        ),
    )
    with psycopg.connect(postgres_server.dsn(copy), application_name="migration") as connection:
        connection.execute("SELECT pg_advisory_xact_lock(1)")

        ended = pod.run(pod.restore_plan(copy, backed_up(pod, database), atomic=False, jobs=1, lock_timeout_seconds=2))

    assert ended.status == 0, ended.output
    assert '"action":"waiting_for_locks"' in ended.output
