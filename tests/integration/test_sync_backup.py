"""A sync that keeps its dump as a backup too: one dump, and a target that changes only once the backup exists."""

from __future__ import annotations

import signal
import time
import uuid

import msgspec
import pytest

from dataguardian.domain import manifest as manifests
from dataguardian.domain.plan import S3Target

from .runs import Ended, Pod, Running, assert_nothing_stored, stored
from .services import PostgresServer, S3Server
from .shop import HELD_AFTER, content, shop
from .syncs import LOADING, SOURCE, TARGET, Pair, kept, terminate
from .valve import Valve

REFUSE = """
    CREATE FUNCTION refuse(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$BEGIN
    IF current_database() LIKE 'target%' THEN RAISE 'refused'; END IF; RETURN $1; END$$
"""


def backup_of(ended: Ended) -> str | None:
    """The backup that a run's report tells of."""
    return ended.told.synced.backup_execution_id if ended.told.synced else None


@pytest.fixture
def pair(pod: Pod, postgres_server: PostgresServer) -> Pair:
    """A small source, and a target with other things."""
    target = postgres_server.database(f"target_{uuid.uuid4().hex}")
    postgres_server.sql(target, "CREATE TABLE orders AS SELECT 1 AS old")
    return Pair(pod, postgres_server, shop(postgres_server), target)


def test_the_same_dump_becomes_the_copy_and_a_backup_that_can_be_restored(
    pair: Pair, s3_server: S3Server, bucket: S3Target
) -> None:
    ended = pair.pod.run(kept(pair, bucket))

    assert ended.status == 0, ended.output
    assert pair.found == pair.copied
    manifest = manifests.decode(stored(bucket, s3_server)["manifest.json"])
    assert backup_of(ended) == manifest.execution_id == "9f8e7d6c-0000-4000-8000-000000000000"
    told = ended.told
    assert (told.checksum, told.stored_bytes, told.dump_bytes, told.dump_time) == (
        manifest.checksum,
        manifest.stored_bytes,
        manifest.dump_bytes,
        manifest.started_at,
    )
    assert ended.copies == {"primary": True}
    restored = pair.server.database()
    assert pair.pod.run(pair.pod.restore_plan(restored, bucket)).status == 0
    assert content(pair.server, restored) == pair.copied


def held(pair: Pair, valve: Valve, server: S3Server, bucket: S3Target) -> Running:
    """A sync that is held in the middle of its dump and of its upload."""
    plan = kept(pair, bucket)
    source = msgspec.structs.replace(plan.source, host=valve.host, port=valve.port)
    valve.hold_after(HELD_AFTER)
    running = pair.pod.start(msgspec.structs.replace(plan, source=source))
    running.until(lambda: valve.holds and server.admin.uploads(bucket.bucket), "the upload is under way")
    return running


@pytest.fixture
def large(pod: Pod, postgres_server: PostgresServer, big_database: str) -> Pair:
    """A source whose dump takes several parts of an upload."""
    return Pair(pod, postgres_server, big_database, shop(postgres_server))


def test_a_dump_that_fails_leaves_nothing_in_the_store(
    large: Pair, s3_server: S3Server, bucket: S3Target, valve: Valve
) -> None:
    before, running = large.found, held(large, valve, s3_server, bucket)
    valve.cut()

    ended = running.ended()

    assert ended.failure == (70, "dump-failed", "load")
    assert repr(SOURCE) in ended.message
    assert backup_of(ended) is None
    assert_nothing_stored(s3_server, bucket)
    assert large.found == before


def test_a_load_that_fails_leaves_nothing_in_the_store(
    large: Pair, s3_server: S3Server, bucket: S3Target, valve: Valve
) -> None:
    before, running = large.found, held(large, valve, s3_server, bucket)
    terminate(large.server, LOADING)
    valve.open()

    ended = running.ended()

    assert ended.failure == (70, "load-failed", "load")
    assert repr(TARGET) in ended.message
    assert_nothing_stored(s3_server, bucket)
    assert large.found == before


def test_a_sync_that_is_asked_to_end_leaves_nothing_in_the_store(
    large: Pair, s3_server: S3Server, bucket: S3Target, valve: Valve
) -> None:
    before, running = large.found, held(large, valve, s3_server, bucket)
    asked = time.monotonic()
    running.signal(signal.SIGTERM)

    ended = running.ended()

    assert ended.failure == (143, "cancelled", "load")
    assert time.monotonic() - asked < 10
    assert_nothing_stored(s3_server, bucket)
    valve.cut()
    assert large.found == before


def test_a_store_that_ends_in_the_middle_is_blamed_and_the_target_stays(
    large: Pair, own_s3: S3Server, valve: Valve
) -> None:
    bucket = large.pod.s3(own_s3, own_s3.bucket())
    before, running = large.found, held(large, valve, own_s3, bucket)
    own_s3.kill()
    valve.open()

    ended = running.ended()

    assert ended.failure == (75, "storage-unavailable", "load")
    assert large.found == before


def test_a_backup_that_was_stored_before_the_load_failed_stays_and_the_next_try_makes_none(
    pair: Pair, s3_server: S3Server, bucket: S3Target
) -> None:
    pair.server.sql(
        pair.source, REFUSE, "CREATE TABLE late AS SELECT 1 AS id", "CREATE INDEX refused ON late (refuse(id))"
    )
    before = pair.found

    failed = pair.pod.run(kept(pair, bucket))
    assert failed.failure == (70, "load-failed", "load")
    assert backup_of(failed) == "9f8e7d6c-0000-4000-8000-000000000000"
    assert failed.copies == {"primary": True}
    assert pair.found == before
    backup = stored(bucket, s3_server)
    pair.server.sql(pair.source, "DROP INDEX refused")
    retried = pair.pod.run(kept(pair, bucket))

    assert retried.status == 0, retried.output
    assert pair.found == pair.copied
    assert stored(bucket, s3_server) == backup
    assert (backup_of(retried), retried.told.checksum) == (backup_of(failed), failed.told.checksum)
