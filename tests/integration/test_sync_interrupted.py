"""A sync that is interrupted leaves the target as it was, blames who it was, and the next one succeeds."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psycopg
import pytest

from dataguardian.domain.plan import SyncPlan

from .runs import Pod, Running
from .services import PostgresServer, wait_until
from .shop import shop
from .syncs import LOADING, SOURCE, TARGET, Pair, terminate
from .valve import Valve

DUMPING = "application_name = 'dataguardian' AND query LIKE 'COPY public.files%'"
SESSIONS = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'dataguardian%'"
PAUSE = """
    CREATE FUNCTION pause(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$BEGIN
    IF current_database() LIKE 'target%' THEN PERFORM pg_sleep(60); END IF; RETURN $1; END$$
"""


def target_of(postgres: PostgresServer) -> str:
    """A target that has other things than its sources."""
    database = shop(postgres, f"target_{postgres.database()}")
    postgres.sql(database, "CREATE TABLE files AS SELECT 1 AS id, 'old'::bytea AS content", "DELETE FROM orders")
    return database


@dataclass
class Held:
    """A sync at some point; what was in the target before, which nobody can read now."""

    pair: Pair
    before: dict[str, object]
    running: Running


def started(pair: Pair, plan: SyncPlan) -> Held:
    """A sync that has begun."""
    before = pair.found
    return Held(pair, before, pair.pod.start(plan))


@contextmanager
def before_rows(pod: Pod, postgres: PostgresServer, big: str, valve: Valve) -> Iterator[Held]:
    """A sync that waits for a session of somebody else, which reads what is replaced."""
    pair = Pair(pod, postgres, shop(postgres), target_of(postgres))
    with psycopg.connect(postgres.dsn(pair.target)) as reader:
        reader.execute("SELECT FROM orders")
        held = started(pair, pair.plan())
        waits = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        held.running.until(lambda: postgres.rows(pair.target, waits), "the load waits for the lock")
        yield held


@contextmanager
def among_rows(pod: Pod, postgres: PostgresServer, big: str, valve: Valve) -> Iterator[Held]:
    """A sync whose source sends no more."""
    pair = Pair(pod, postgres, big, target_of(postgres))
    plan = pair.plan()
    source = msgspec.structs.replace(plan.source, host=valve.host, port=valve.port)
    valve.hold_after(20_000_000)
    held = started(pair, msgspec.structs.replace(plan, source=source))
    held.running.until(lambda: valve.holds, "rows are on their way")
    yield held


@contextmanager
def before_the_commit(pod: Pod, postgres: PostgresServer, big: str, valve: Valve) -> Iterator[Held]:
    """A sync that has all rows and builds an index from them."""
    pair = Pair(pod, postgres, postgres.database(), target_of(postgres))
    postgres.sql(pair.source, PAUSE, "CREATE TABLE slow AS SELECT 1 AS id", "CREATE INDEX ON slow (pause(id))")
    held = started(pair, pair.plan())
    sleeps = "SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
    held.running.until(lambda: postgres.rows(pair.target, sleeps), "the index is built")
    yield held


Point = Callable[[Pod, PostgresServer, str, Valve], AbstractContextManager[Held]]
POINTS: list[Point] = [before_rows, among_rows, before_the_commit]
AT_EACH_POINT = pytest.mark.parametrize("point", POINTS)


def no_session_is_left(postgres: PostgresServer) -> None:
    wait_until(lambda: not postgres.rows("postgres", SESSIONS), what="no session is left", seconds=15)


@AT_EACH_POINT
def test_a_sync_that_is_asked_to_end_does_within_ten_seconds_and_leaves_the_target(
    pod: Pod, postgres_server: PostgresServer, big_database: str, valve: Valve, point: Point
) -> None:
    with point(pod, postgres_server, big_database, valve) as held:
        children, asked = held.running.children(), time.monotonic()
        held.running.signal(signal.SIGTERM)
        ended = held.running.ended()

    assert ended.failure == (143, "cancelled", "load")
    assert time.monotonic() - asked < 10
    assert [pid for pid in children.values() if Path(f"/proc/{pid}").exists()] == []
    valve.cut()
    no_session_is_left(postgres_server)
    assert held.pair.found == held.before


@AT_EACH_POINT
def test_a_sync_whose_pod_is_killed_leaves_the_target(
    pod: Pod, postgres_server: PostgresServer, big_database: str, valve: Valve, point: Point
) -> None:
    with point(pod, postgres_server, big_database, valve) as held:
        children = held.running.children()
        held.running.signal(signal.SIGKILL)
        for pid in children.values():
            os.kill(pid, signal.SIGKILL)
        held.running.ended()
        valve.cut()

    no_session_is_left(postgres_server)
    assert held.pair.found == held.before


@AT_EACH_POINT
def test_a_sync_whose_session_in_the_target_is_ended_blames_the_target_and_leaves_it(
    pod: Pod, postgres_server: PostgresServer, big_database: str, valve: Valve, point: Point
) -> None:
    with point(pod, postgres_server, big_database, valve) as held:
        terminate(postgres_server, LOADING)
        valve.open()
        ended = held.running.ended()

    assert ended.failure == (70, "load-failed", "load")
    assert repr(TARGET) in ended.message
    no_session_is_left(postgres_server)
    assert held.pair.found == held.before


def test_a_sync_whose_dump_is_ended_by_the_source_blames_the_source_and_the_next_one_succeeds(
    pod: Pod, postgres_server: PostgresServer, big_database: str, valve: Valve
) -> None:
    with among_rows(pod, postgres_server, big_database, valve) as held:
        terminate(postgres_server, DUMPING)
        valve.open()
        ended = held.running.ended()

    assert ended.failure == (70, "dump-failed", "load")
    assert repr(SOURCE) in ended.message
    no_session_is_left(postgres_server)
    assert held.pair.found == held.before
    assert pod.run(held.pair.plan()).status == 0
    assert held.pair.found == held.pair.copied


def test_a_source_whose_connection_is_lost_is_blamed_and_the_target_stays(
    pod: Pod, postgres_server: PostgresServer, big_database: str, valve: Valve
) -> None:
    with among_rows(pod, postgres_server, big_database, valve) as held:
        valve.cut()
        ended = held.running.ended()

    assert ended.failure == (70, "dump-failed", "load")
    assert repr(SOURCE) in ended.message
    no_session_is_left(postgres_server)
    assert held.pair.found == held.before


def test_secrets_of_both_sides_are_in_no_argument_environment_or_line(
    pod: Pod, postgres_server: PostgresServer, big_database: str, valve: Valve
) -> None:
    with among_rows(pod, postgres_server, big_database, valve) as held:
        pids = [held.running.process.pid, *held.running.children().values()]
        seen = "".join(Path(f"/proc/{pid}/{file}").read_text() for pid in pids for file in ("cmdline", "environ"))
        valve.open()
        ended = held.running.ended()

    assert ended.status == 0, ended.output
    assert "pg_dump" in seen
    assert "pg_restore" in seen
    assert postgres_server.password not in seen + ended.text
