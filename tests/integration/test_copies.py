"""One dump to several locations at once: the good ones are equal, and one that fails costs the others nothing."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from dataguardian.domain.plan import S3Target, Target

from .clients import frozen
from .runs import FOLDER, Pod, Running, assert_nothing_stored, damage, files_in, stored
from .services import PostgresServer, S3Server, free_port
from .shop import HELD_AFTER, content, shop
from .valve import Valve

FILES = ["data.dump.zst", "manifest.json", "schema.dump"]


@dataclass
class Two:
    """Two buckets on two servers; a test may kill the second one."""

    pod: Pod
    near: S3Server
    far: S3Server
    primary: S3Target
    offsite: S3Target

    def held(self, database: str, valve: Valve, *others: Target, **changes: object) -> Running:
        """A backup to both, held in the middle of its dump and of its uploads."""
        valve.hold_after(HELD_AFTER)
        source = self.pod.endpoint(database, host=valve.host, port=valve.port)
        targets = [self.primary, self.offsite, *others]
        plan = self.pod.backup_plan(database, self.primary, targets=targets, source=source, **changes)
        running = self.pod.start(plan)
        running.until(lambda: valve.holds and self.near.admin.uploads(self.primary.bucket), "the first uploads")
        running.until(lambda: self.far.admin.uploads(self.offsite.bucket), "the second uploads")
        return running


@pytest.fixture
def two(pod: Pod, s3_server: S3Server, own_s3: S3Server, bucket: S3Target) -> Two:
    """Two buckets."""
    return Two(pod, s3_server, own_s3, bucket, pod.s3(own_s3, own_s3.bucket(), location="offsite"))


@pytest.fixture(scope="module", autouse=True)
def hung(
    postgres_server: PostgresServer, s3_server: S3Server, big_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """A backup to two stores, one of which hangs since its first upload. It takes as long as all other tests here."""
    pod, far = Pod(tmp_path_factory.mktemp("hung"), postgres_server), S3Server()
    try:
        far.start()
        two = Two(
            pod, s3_server, far, pod.s3(s3_server, s3_server.bucket()), pod.s3(far, far.bucket(), location="offsite")
        )
        with Valve(postgres_server.host, postgres_server.port) as valve:
            running = two.held(big_database, valve)
            with frozen(far):
                valve.open()
                yield running
                running.process.kill()
                running.process.wait()
    finally:
        far.remove()


@pytest.mark.parametrize("segment_bytes", [16_000_000, 2**40])
def test_two_locations_get_the_same_bytes_from_one_dump_and_either_restores(
    pod: Pod,
    s3_server: S3Server,
    bucket: S3Target,
    postgres_server: PostgresServer,
    big_database: str,
    segment_bytes: int,
) -> None:
    volume = pod.volume("local")
    plan = pod.backup_plan(big_database, bucket, targets=[bucket, volume], min_copies=2, segment_bytes=segment_bytes)

    ended = pod.run(plan)

    assert ended.status == 0, ended.output
    assert ended.copies == {"primary": True, "local": True}
    assert ended.output.count("dump_began") == 1
    files = stored(bucket, s3_server)
    assert stored(volume, s3_server) == files
    assert set(FILES) <= set(files)
    for target in (bucket, volume):
        copy = postgres_server.database()
        assert pod.run(pod.restore_plan(copy, target)).status == 0
        assert content(postgres_server, copy) == content(postgres_server, big_database)


def test_a_small_dump_goes_to_eight_locations(pod: Pod, s3_server: S3Server, postgres_server: PostgresServer) -> None:
    targets: list[Target] = [pod.s3(s3_server, s3_server.bucket(), location=f"bucket-{n}") for n in range(4)]
    targets += [pod.volume(f"volume-{n}") for n in range(4)]

    ended = pod.run(pod.backup_plan(shop(postgres_server), targets[0], targets=targets, min_copies=8))

    assert ended.status == 0, ended.output
    first = stored(targets[0], s3_server)
    assert sorted(first) == FILES
    assert all(stored(target, s3_server) == first for target in targets)


def test_a_store_that_is_killed_in_the_middle_is_left_out_and_a_copy_heals_it(
    two: Two, big_database: str, valve: Valve
) -> None:
    running = two.held(big_database, valve)
    two.far.kill()
    valve.open()

    ended = running.ended()

    assert ended.status == 0, ended.output
    assert ended.copies == {"primary": True, "offsite": False}
    assert "storage-unavailable" in ended.reason("offsite")
    assert ended.report is not None
    assert any("offsite" in warning for warning in ended.report.warnings)
    two.far.start()
    assert two.far.admin.keys(two.offsite.bucket) == []
    assert two.far.admin.uploads(two.offsite.bucket) != []

    healed = two.pod.run(two.pod.copy_plan([two.primary], [two.offsite]))

    assert healed.status == 0, healed.output
    assert healed.copies == {"offsite": True}
    assert stored(two.offsite, two.far) == stored(two.primary, two.near)
    assert two.far.admin.uploads(two.offsite.bucket) == []


def test_a_killed_store_ends_the_run_at_once_when_too_few_copies_are_left(
    two: Two, big_database: str, valve: Valve
) -> None:
    running = two.held(big_database, valve, min_copies=2)
    two.far.kill()
    valve.open()

    ended = running.ended()

    assert ended.failure == (75, "storage-unavailable", "dump")
    assert ended.copies == {"offsite": False}
    assert_nothing_stored(two.near, two.primary)


def test_a_store_that_is_away_from_the_start_is_left_out(
    pod: Pod, s3_server: S3Server, bucket: S3Target, postgres_server: PostgresServer
) -> None:
    nowhere = pod.s3(s3_server, "bucket", location="offsite", endpoint=f"http://127.0.0.1:{free_port()}")

    ended = pod.run(pod.backup_plan(shop(postgres_server), bucket, targets=[nowhere, bucket]))

    assert ended.status == 0, ended.output
    assert ended.copies == {"offsite": False, "primary": True}
    assert sorted(stored(bucket, s3_server)) == FILES


def test_a_failing_dump_leaves_nothing_in_any_location(two: Two, big_database: str, valve: Valve) -> None:
    volume = two.pod.volume("local")
    running = two.held(big_database, valve, volume, segment_bytes=12_000_000)
    valve.cut()

    ended = running.ended()

    assert ended.failure == (70, "dump-failed", "dump")
    assert ended.copies == {}
    assert_nothing_stored(two.near, two.primary)
    assert_nothing_stored(two.far, two.offsite)
    assert files_in(volume) == []


def test_sigterm_ends_a_run_within_ten_seconds_and_leaves_nothing_in_any_location(
    two: Two, big_database: str, valve: Valve
) -> None:
    volume = two.pod.volume("local")
    running = two.held(big_database, valve, volume, segment_bytes=12_000_000)
    started = time.monotonic()
    running.signal(signal.SIGTERM)

    ended = running.ended()

    assert ended.failure == (143, "cancelled", "dump")
    assert time.monotonic() - started < 10
    assert_nothing_stored(two.near, two.primary)
    assert_nothing_stored(two.far, two.offsite)
    assert files_in(volume) == []


def test_sigterm_while_one_store_hangs_ends_within_ten_seconds_and_leaves_nothing_in_the_others(
    two: Two, big_database: str, valve: Valve
) -> None:
    running = two.held(big_database, valve, segment_bytes=12_000_000)
    with frozen(two.far):
        valve.open()
        started = time.monotonic()
        running.signal(signal.SIGTERM)

        ended = running.ended()

    assert ended.failure == (143, "cancelled", "dump")
    assert time.monotonic() - started < 10
    assert_nothing_stored(two.near, two.primary)


def test_a_copy_whose_verification_fails_is_a_failed_copy(two: Two, big_database: str) -> None:
    with Valve(two.far.host, two.far.port) as way:
        slow = two.pod.s3(two.far, two.offsite.bucket, location="offsite", endpoint=f"http://{way.host}:{way.port}")
        way.hold_after(5_000_000)
        running = two.pod.start(two.pod.backup_plan(big_database, two.primary, targets=[two.primary, slow]))
        running.until(lambda: way.holds, "the copy is read back")
        path = two.far.store / two.offsite.bucket / "prod" / FOLDER / "data.dump.zst"
        damage(path)
        way.open()

        ended = running.ended()

    assert ended.status == 0, ended.output
    assert ended.copies == {"primary": True, "offsite": False}
    assert "backup-corrupt" in ended.reason("offsite")
    assert_nothing_stored(two.far, two.offsite)
    assert sorted(stored(two.primary, two.near)) == FILES


def test_a_location_that_is_left_out_is_told_as_a_copy_that_was_not_made(
    pod: Pod, bucket: S3Target, postgres_server: PostgresServer
) -> None:
    ended = pod.run(pod.backup_plan(shop(postgres_server), bucket, left_out=["frozen"]))

    assert ended.status == 0, ended.output
    assert ended.copies == {"primary": True, "frozen": False}
    assert "read-only" in ended.reason("frozen")


def test_a_store_that_hangs_is_left_out_after_its_timeouts(hung: Running) -> None:
    ended = hung.ended(150)

    assert ended.status == 0, ended.output
    assert ended.copies == {"primary": True, "offsite": False}
