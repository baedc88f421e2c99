"""A commit whose answer is lost has happened or has not: the server is asked, and the run says which."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .clients import hold_commits
from .runs import Pod, backed_up
from .services import PostgresServer
from .shop import content, shop

COMMITTING = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND application_name LIKE 'dataguardian-%'"


@pytest.fixture
def server(fragile_postgres: PostgresServer) -> Iterator[PostgresServer]:
    """A server of the module's own, whose commits may be held."""
    fragile_postgres.start()
    yield fragile_postgres
    hold_commits(fragile_postgres, held=False)


@pytest.fixture
def pod(tmp_path: Path, server: PostgresServer) -> Pod:
    """A pod that works with that server."""
    return Pod(tmp_path, server)


def test_a_commit_that_was_made_before_its_connection_was_lost_is_a_restore(pod: Pod, server: PostgresServer) -> None:
    database, copy = shop(server), server.database()
    target = backed_up(pod, database)
    hold_commits(server, held=True)

    running = pod.start(pod.restore_plan(copy, target))
    running.until(lambda: server.rows("postgres", COMMITTING), "the commit waits for its answer")
    server.rows("postgres", f"SELECT pg_terminate_backend(pid) FROM ({COMMITTING}) AS committing")
    ended = running.ended()

    assert ended.status == 0, ended.output
    assert "commit_confirmed" in ended.output
    assert content(server, copy) == content(server, database)


def test_a_commit_that_cannot_be_made_leaves_the_target_as_it_was(pod: Pod, server: PostgresServer) -> None:
    database, copy = shop(server), server.database()
    target = backed_up(pod, database)
    server.sql(
        copy,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'not today'; END$$",
        "CREATE TABLE log (a text)",
        "CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON log DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"
        " EXECUTE FUNCTION refuse()",
        "CREATE FUNCTION written() RETURNS event_trigger LANGUAGE plpgsql"
        " AS $$BEGIN INSERT INTO public.log VALUES (tg_tag); END$$",
        "CREATE EVENT TRIGGER made ON ddl_command_end WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION written()",
    )
    before = content(server, copy)

    ended = pod.run(pod.restore_plan(copy, target, drop_existing=True))

    assert ended.failure == (70, "load-failed", "load")
    assert "not today" in ended.message
    assert content(server, copy) == before


def test_a_request_to_end_that_comes_while_the_rows_are_committed_says_what_the_target_has(
    pod: Pod, server: PostgresServer
) -> None:
    database, copy = shop(server), server.database()
    target = backed_up(pod, database)
    hold_commits(server, held=True)

    running = pod.start(pod.restore_plan(copy, target, atomic=False))
    running.until(lambda: server.rows("postgres", COMMITTING), "the commit waits for its answer")
    running.signal()
    running.until(lambda: sum("/psql " in line for line in running.children()) == 1, "the others have been ended")
    hold_commits(server, held=False)
    ended = running.ended()

    assert ended.failure == (143, "cancelled", "load")
    assert "The target has all rows" in ended.message
    assert server.rows(copy, "SELECT count(*) FROM orders") == [(5000,)]
