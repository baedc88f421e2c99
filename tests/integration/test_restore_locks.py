"""A restore that waits for locks says whom it waits for, and waits no longer than it may."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from .runs import Ended, Pod, Running, backed_up
from .services import PostgresServer
from .shop import content, shop

PLAN = {"drop_existing": True, "lock_timeout_seconds": 2}


@pytest.fixture
def database(postgres_server: PostgresServer) -> str:
    """A small database."""
    return shop(postgres_server)


@pytest.fixture
def reader(postgres_server: PostgresServer, database: str) -> Iterator[psycopg.Connection[Any]]:
    """A session that has read a table, in a transaction that goes on."""
    with psycopg.connect(postgres_server.dsn(database), application_name="monthly report") as connection:
        connection.execute("SELECT count(*) FROM orders")
        yield connection


def waiting(ended: Ended | Running) -> list[str]:
    """The messages about sessions that hold locks."""
    return [line for line in ended.output.splitlines() if '"action":"waiting_for_locks"' in line]


@pytest.mark.parametrize("atomic", [True, False])
def test_a_lock_that_is_not_given_back_in_time_is_target_locked_by_name_and_the_target_stays(
    pod: Pod, postgres_server: PostgresServer, database: str, reader: psycopg.Connection[Any], atomic: bool
) -> None:
    before = content(postgres_server, database)

    ended = pod.run(pod.restore_plan(database, backed_up(pod, database), atomic=atomic, **PLAN))

    assert ended.failure == (75, "target-locked", "load")
    assert f"application 'monthly report' (user 'postgres', pid {reader.info.backend_pid}, since 2" in ended.message
    (told,) = waiting(ended)
    assert '"application":"monthly report","user":"postgres"' in told
    reader.rollback()
    assert content(postgres_server, database) == before


def test_a_lock_that_is_given_back_in_time_is_waited_for(
    pod: Pod, postgres_server: PostgresServer, database: str, reader: psycopg.Connection[Any]
) -> None:
    before = content(postgres_server, database)
    target = backed_up(pod, database)

    running = pod.start(pod.restore_plan(database, target, drop_existing=True))
    running.until_action("waiting_for_locks")
    reader.rollback()
    ended = running.ended()

    assert ended.status == 0, ended.output
    assert len(waiting(ended)) == 1
    assert content(postgres_server, database) == before


def test_of_a_session_that_the_role_may_not_see_the_time_is_unknown(
    pod: Pod, postgres_server: PostgresServer, database: str
) -> None:
    postgres_server.sql(
        database,
        "CREATE ROLE plain LOGIN PASSWORD 'plain'",
        "GRANT CREATE, USAGE ON SCHEMA public TO plain",
    )
    with psycopg.connect(postgres_server.dsn(database, user="plain", password="plain")) as owner:
        owner.execute("CREATE TABLE owned AS SELECT 1 AS a")
    postgres_server.sql(database, "GRANT SELECT ON owned TO PUBLIC")
    target = backed_up(pod, database, include_tables=["public.owned"])
    endpoint = pod.endpoint(
        database, username_file=pod.secret("plain", "plain"), password_file=pod.secret("p", "plain")
    )
    with psycopg.connect(postgres_server.dsn(database), application_name="other's") as connection:
        connection.execute("SELECT FROM owned")

        ended = pod.run(pod.restore_plan(database, target, target=endpoint, **PLAN))

    assert ended.failure == (75, "target-locked", "load")
    assert "application \"other's\" (user 'postgres', pid" in ended.message
    assert "since unknown" in ended.message
