"""A load brings everything, by one connection or by several, or it leaves the target as it was."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataguardian.errors import BackupCorrupt
from dataguardian.runner import contents, login
from dataguardian.runner.lines import Lines
from dataguardian.runner.load import Load
from dataguardian.runner.run import Run

from .rich import dumped, rich
from .runs import Pod, backed_up, folder_of, rewrite_manifest
from .services import PostgresServer, wait_until
from .shop import content, shop
from .valve import Valve

BOTH_WAYS = pytest.mark.parametrize("atomic", [True, False])
SESSIONS = (
    "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'dataguardian%' AND datname = current_database()"
)

AT_REST = """
    SELECT FROM pg_stat_activity WHERE application_name = 'dataguardian-test' AND wait_event = 'ClientRead'
       AND query !~ '^(BEGIN|SET)|txid' AND state_change < now() - interval '300 milliseconds'
"""


@BOTH_WAYS
def test_everything_comes_back_into_an_empty_database(pod: Pod, postgres_server: PostgresServer, atomic: bool) -> None:
    database, copy = rich(postgres_server), postgres_server.database()

    ended = pod.run(pod.restore_plan(copy, backed_up(pod, database), atomic=atomic))

    assert ended.status == 0, ended.output
    assert dumped(postgres_server, copy) == dumped(postgres_server, database)


@BOTH_WAYS
def test_a_setting_of_the_target_does_not_change_what_rows_mean(
    pod: Pod, postgres_server: PostgresServer, atomic: bool
) -> None:
    """With array_nulls off each NULL in an array would be read as a text of four letters."""
    database, copy = postgres_server.database(), postgres_server.database()
    postgres_server.sql(database, "CREATE TABLE lists AS SELECT ARRAY[NULL, 'NULL'] AS list")
    postgres_server.sql("postgres", f'ALTER DATABASE "{copy}" SET array_nulls = off')

    ended = pod.run(pod.restore_plan(copy, backed_up(pod, database), atomic=atomic))

    assert ended.status == 0, ended.output
    assert postgres_server.rows(copy, "SELECT list FROM lists") == [([None, "NULL"],)]


@BOTH_WAYS
def test_everything_is_replaced_where_it_exists(pod: Pod, postgres_server: PostgresServer, atomic: bool) -> None:
    database = rich(postgres_server)
    before = dumped(postgres_server, database)
    target = backed_up(pod, database)
    postgres_server.sql(
        database,
        "ALTER TABLE shop.orders DISABLE TRIGGER ALL",
        "DELETE FROM shop.events",
        "DROP MATERIALIZED VIEW shop.never",
        "SELECT lo_unlink(70003), lo_put(70004, 0, 'changed')",
    )

    ended = pod.run(pod.restore_plan(database, target, drop_existing=True, atomic=atomic))

    assert ended.status == 0, ended.output
    assert dumped(postgres_server, database) == before


@BOTH_WAYS
def test_a_backup_of_an_empty_database_is_restored(pod: Pod, postgres_server: PostgresServer, atomic: bool) -> None:
    target = backed_up(pod, postgres_server.database())

    ended = pod.run(pod.restore_plan(postgres_server.database(), target, atomic=atomic))

    assert ended.status == 0, ended.output
    assert ended.report is not None
    assert ended.report.tables == 0


@BOTH_WAYS
def test_an_object_that_the_backup_does_not_know_and_that_needs_a_replaced_one_stays(
    pod: Pod, postgres_server: PostgresServer, atomic: bool
) -> None:
    database = rich(postgres_server)
    target = backed_up(pod, database)
    postgres_server.sql(database, "CREATE VIEW public.unknown_one AS SELECT id FROM shop.orders")
    before = dumped(postgres_server, database)

    ended = pod.run(pod.restore_plan(database, target, drop_existing=True, atomic=atomic))

    assert ended.failure == (70, "load-failed", "load")
    assert "unknown_one depends on table shop.orders" in ended.message
    assert dumped(postgres_server, database) == before


@BOTH_WAYS
def test_an_extension_that_the_target_lacks_is_named_and_the_target_stays(
    pod: Pod, postgres_server: PostgresServer, atomic: bool
) -> None:
    database, copy = shop(postgres_server), shop(postgres_server)
    postgres_server.sql(
        database, "CREATE EXTENSION hstore", "UPDATE pg_extension SET extname = 'vanished' WHERE extname = 'hstore'"
    )
    target = backed_up(pod, database)
    # As of a part of a database, of which it is not certain that it needs the extension.
    rewrite_manifest(target, lambda manifest: manifest["fingerprint"].update(extensions={}))
    before = dumped(postgres_server, copy)

    ended = pod.run(pod.restore_plan(copy, target, drop_existing=True, atomic=atomic))

    assert ended.failure == (70, "load-failed", "load")
    assert 'extension "vanished" is not available' in ended.message
    assert dumped(postgres_server, copy) == before


@BOTH_WAYS
def test_a_load_that_is_killed_among_the_rows_leaves_the_target_as_it_was(
    pod: Pod, postgres_server: PostgresServer, big_database: str, valve: Valve, atomic: bool
) -> None:
    target, copy = backed_up(pod, big_database), shop(postgres_server)
    postgres_server.sql(copy, "CREATE TABLE files AS SELECT 1 AS id, 'old'::bytea AS content")
    before = content(postgres_server, copy)
    endpoint = pod.endpoint(copy, host=valve.host, port=valve.port)
    valve.hold_after(20_000_000, of_server=False)

    running = pod.start(pod.restore_plan(copy, target, drop_existing=True, atomic=atomic, target=endpoint))
    running.until(lambda: valve.holds, "the load is among the rows")
    running.signal(signal.SIGKILL)
    running.ended()
    valve.cut()

    wait_until(lambda: not postgres_server.rows(copy, SESSIONS), what="the load's sessions are gone")
    assert content(postgres_server, copy) == before


@BOTH_WAYS
def test_a_load_that_is_cancelled_among_the_rows_leaves_the_target_as_it_was(
    pod: Pod, postgres_server: PostgresServer, big_database: str, valve: Valve, atomic: bool
) -> None:
    target, copy = backed_up(pod, big_database), shop(postgres_server)
    before = content(postgres_server, copy)
    endpoint = pod.endpoint(copy, host=valve.host, port=valve.port)
    valve.hold_after(20_000_000, of_server=False)

    running = pod.start(pod.restore_plan(copy, target, drop_existing=True, atomic=atomic, target=endpoint))
    running.until(lambda: valve.holds, "the load is among the rows")
    children, started = running.children(), time.monotonic()
    running.signal(signal.SIGTERM)
    ended = running.ended()

    assert ended.failure == (143, "cancelled", "load")
    assert time.monotonic() - started < 10
    assert [pid for pid in children.values() if Path(f"/proc/{pid}").exists()] == []
    valve.cut()
    wait_until(lambda: not postgres_server.rows(copy, SESSIONS), what="the load's sessions are gone")
    assert content(postgres_server, copy) == before


@pytest.fixture
def dump(pod: Pod, postgres_server: PostgresServer) -> bytes:
    """The dump of a small database."""
    return (folder_of(backed_up(pod, shop(postgres_server), codec="none")) / "data.dump").read_bytes()


@pytest.fixture
def copy(postgres_server: PostgresServer) -> str:
    """An empty database."""
    return postgres_server.database()


@pytest.fixture
def load(pod: Pod, copy: str, monkeypatch: pytest.MonkeyPatch) -> Load:
    """A load into it, in this process."""
    monkeypatch.setenv("DATAGUARDIAN_WORK_DIR", str(pod.folder))
    endpoint = pod.endpoint(copy)
    engine = login.engine_of(endpoint)
    major = engine.client(0)
    return Load(
        Run(Lines("restore")),
        engine,
        login.prepare(endpoint, engine),
        major,
        major,
        replaces="nothing",
        lock_timeout_seconds=60,
        application="dataguardian-test",
    )


def test_nothing_is_committed_when_the_last_thing_that_is_read_is_that_the_backup_is_corrupt(
    load: Load, dump: bytes, copy: str, postgres_server: PostgresServer
) -> None:
    def corrupt() -> Iterator[bytes]:
        yield dump
        wait_until(lambda: postgres_server.rows(copy, AT_REST), what="the load has run all that it was given")
        raise BackupCorrupt("It has another checksum.", remedy="Restore another one.")

    with pytest.raises(BackupCorrupt):
        load.atomic(corrupt())

    assert content(postgres_server, copy)["definitions"] == []


def test_pieces_of_any_size_are_one_dump(load: Load, dump: bytes, copy: str, postgres_server: PostgresServer) -> None:
    loaded = load.atomic(dump[at : at + 997] for at in range(0, len(dump), 997))

    assert sorted(loaded) == [2, 500, 5000]
    assert postgres_server.rows(copy, "SELECT count(*) FROM orders") == [(5000,)]


def test_a_table_of_contents_that_is_too_long_for_memory_is_restored_by_one_connection(
    load: Load,
    dump: bytes,
    copy: str,
    postgres_server: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(contents, "LIMIT_BYTES", 1000)

    load.parallel(iter([dump[:2000], dump[2000:]]), 2)

    assert "built_in_transaction" in capsys.readouterr().out
    assert len(postgres_server.rows(copy, "SELECT FROM pg_indexes WHERE schemaname = 'public'")) == 3
