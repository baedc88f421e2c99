"""A sync makes the target a copy of the source, as a whole."""

from __future__ import annotations

import pytest

from .readers import Reader
from .rich import dumped, rich
from .runs import Pod
from .services import PostgresServer, wait_until
from .shop import content, shop
from .syncs import Pair

IDENTITY = "SELECT system_identifier::text FROM pg_control_system()"
BOTH = pytest.mark.parametrize("strategy", ["Transaction", "Swap"])


def test_the_target_becomes_a_copy_of_everything_that_is_in_the_source(
    pod: Pod, postgres_server: PostgresServer
) -> None:
    pair = Pair(pod, postgres_server, rich(postgres_server), postgres_server.database())

    ended = pod.run(pair.plan(drop_existing=False))

    assert ended.status == 0, ended.output
    assert dumped(postgres_server, pair.target) == dumped(postgres_server, pair.source)


@BOTH
def test_all_that_is_in_the_target_is_replaced(pod: Pod, postgres_server: PostgresServer, strategy: str) -> None:
    pair = Pair(pod, postgres_server, rich(postgres_server), shop(postgres_server))
    postgres_server.sql(pair.target, "CREATE SCHEMA shop", "CREATE VIEW shop.orders AS SELECT id FROM public.orders")

    ended = pod.run(pair.plan(strategy=strategy))

    assert ended.status == 0, ended.output
    assert dumped(postgres_server, pair.target) == dumped(postgres_server, pair.source)


@BOTH
def test_who_reads_in_a_loop_sees_the_old_copy_and_then_the_new_one_whole(
    pod: Pod, postgres_server: PostgresServer, strategy: str
) -> None:
    pair = Pair(pod, postgres_server, postgres_server.database(), postgres_server.database())
    for database, text, rows in ((pair.target, "old", 1000), (pair.source, "new", 2000)):
        postgres_server.sql(database, f"CREATE TABLE copied AS SELECT '{text}' AS text FROM generate_series(1, {rows})")
    readers = [Reader(postgres_server.dsn(pair.target)) for _ in range(2)]
    for reader in readers:
        reader.start()
        wait_until(reader.has_read, what="it reads the old copy")

    ended = pod.run(pair.plan(strategy=strategy))

    assert ended.status == 0, ended.output
    for reader in readers:
        wait_until(reader.sees_the_new_copy, what="it reads the new copy")
        reader.over.set()
        reader.join()
    assert [reader.seen for reader in readers] == [[("old", "old", 1000), ("new", "new", 2000)]] * 2


def test_a_swap_keeps_what_was_the_target_before_as_long_as_it_is_asked_to(
    pod: Pod, postgres_server: PostgresServer
) -> None:
    pair = Pair(pod, postgres_server, shop(postgres_server), shop(postgres_server))
    postgres_server.sql(pair.target, "DELETE FROM orders")
    before = pair.found

    told = pod.run(pair.plan(strategy="Swap", keep_previous_seconds=3600)).told

    assert told.synced is not None
    assert told.synced.previous is not None
    assert told.synced.server_identity == postgres_server.rows("postgres", IDENTITY)[0][0]
    assert told.synced.switch_ms is not None
    assert told.synced.switch_ms < 1000
    assert pair.found == pair.copied
    postgres_server.sql("postgres", f"ALTER DATABASE {told.synced.previous} ALLOW_CONNECTIONS true")
    assert content(postgres_server, told.synced.previous) == before
    postgres_server.drop(told.synced.previous)


def test_a_try_after_one_that_has_switched_and_was_lost_reports_that_one(
    pod: Pod, postgres_server: PostgresServer
) -> None:
    pair = Pair(pod, postgres_server, shop(postgres_server), postgres_server.database())
    plan = pair.plan(strategy="Swap", keep_previous_seconds=3600, drop_existing=False)
    lost = pod.run(plan).told
    postgres_server.sql(pair.target, "DELETE FROM orders")  # a second copy would bring them back
    before = pair.found

    again = pod.run(plan)

    assert again.status == 0, again.output
    assert lost.synced is not None
    assert again.told.synced is not None
    assert again.told.synced.previous == lost.synced.previous is not None
    assert again.told.synced.previous_until == lost.synced.previous_until
    assert again.told.synced.server_identity == lost.synced.server_identity
    assert pair.found == before
    postgres_server.drop(str(lost.synced.previous))


def test_the_report_tells_what_was_copied(pod: Pod, postgres_server: PostgresServer) -> None:
    pair = Pair(pod, postgres_server, shop(postgres_server), postgres_server.database())

    told = pod.run(pair.plan(drop_existing=False)).told

    assert (told.completed, told.tables, told.rows) == (True, 3, 5502)
    assert told.dump_bytes is not None
    assert told.dump_bytes > 100_000
    assert told.synced is not None
    assert told.synced.removed == 0


def test_tables_that_the_source_does_not_have_are_named_in_the_log_before_they_go(
    pod: Pod, postgres_server: PostgresServer
) -> None:
    pair = Pair(pod, postgres_server, shop(postgres_server), shop(postgres_server))
    unknown = [f"extra_{number}" for number in range(60)]
    postgres_server.sql(
        pair.target, "DO $$BEGIN FOR n IN 0..59 LOOP EXECUTE format('CREATE TABLE extra_%s ()', n); END LOOP; END$$"
    )

    ended = pod.run(pair.plan())

    assert ended.status == 0, ended.output
    lines = [line for line in ended.lines if line["action"] == "tables_removed"]
    told = "".join(line["message"] for line in lines)
    assert [line["tables"] for line in lines] == [60, 60]
    assert [name for name in unknown if f"public.{name}" not in told] == []
    assert ended.told.synced is not None
    assert ended.told.synced.removed == 60
    assert pair.found == pair.copied
