"""A copy of a backup to a location that misses it: from a source that is right, whole, or not at all."""

from __future__ import annotations

import signal
import time

import pytest

from dataguardian.domain.plan import FilesystemTarget, S3Target

from .runs import FOLDER, Pod, assert_nothing_stored, backed_up, damage, files_in, folder_of, stored
from .services import PostgresServer, S3Server
from .shop import shop
from .valve import Valve


@pytest.fixture
def source(pod: Pod, postgres_server: PostgresServer) -> FilesystemTarget:
    """A completed backup on a volume."""
    return backed_up(pod, shop(postgres_server), segment_bytes=100_000)


@pytest.fixture
def target(pod: Pod, s3_server: S3Server) -> S3Target:
    """A bucket that misses it."""
    return pod.s3(s3_server, s3_server.bucket(), location="offsite")


def test_a_copy_is_the_same_bytes_and_restores(
    pod: Pod, s3_server: S3Server, source: FilesystemTarget, target: S3Target, postgres_server: PostgresServer
) -> None:
    database = postgres_server.database()

    ended = pod.run(pod.copy_plan([source], [target]))

    assert ended.status == 0, ended.output
    assert (ended.copies, ended.copied_from) == ({"offsite": True}, "primary")
    assert stored(target, s3_server) == stored(source, s3_server)
    assert pod.run(pod.restore_plan(database, target)).status == 0
    assert all(line["message"].startswith("[COPY] ") for line in ended.lines)


def test_copying_twice_copies_once(pod: Pod, s3_server: S3Server, source: FilesystemTarget, target: S3Target) -> None:
    other = pod.volume("other")
    assert pod.run(pod.copy_plan([source], [target])).status == 0

    ended = pod.run(pod.copy_plan([source], [target, other]))

    assert ended.status == 0, ended.output
    assert ended.copies == {"offsite": True, "other": True}
    assert stored(other, s3_server) == stored(target, s3_server) == stored(source, s3_server)
    again = pod.run(pod.copy_plan([source], [target, other]))
    assert (again.status, again.copied_from) == (0, None)


def test_a_damaged_source_is_said_and_the_next_one_is_used(
    pod: Pod, s3_server: S3Server, source: FilesystemTarget, target: S3Target
) -> None:
    third = pod.volume("third")
    assert pod.run(pod.copy_plan([source], [target])).status == 0
    damage(folder_of(source) / "data.dump.zst")

    ended = pod.run(pod.copy_plan([source, target], [third]))

    assert ended.status == 0, ended.output
    assert ended.copied_from == "offsite"
    assert ended.report is not None
    assert any("'primary' cannot be used" in warning for warning in ended.report.warnings)
    assert stored(third, s3_server) == stored(target, s3_server)


@pytest.mark.parametrize("file", ["data.dump.zst", "schema.dump", "manifest.json"])
def test_a_damaged_backup_is_copied_nowhere_and_nothing_half_stays(
    pod: Pod, s3_server: S3Server, source: FilesystemTarget, target: S3Target, file: str
) -> None:
    volume = pod.volume("other")
    damage(folder_of(source) / file)
    if file == "manifest.json":
        (folder_of(source) / file).write_bytes(b"{}")

    ended = pod.run(pod.copy_plan([source], [target, volume]))

    assert ended.failure[:2] == (65, "backup-corrupt")
    assert_nothing_stored(s3_server, target)
    assert files_in(volume) == []


def test_a_damaged_copy_is_replaced_by_a_good_one_and_by_no_other(
    pod: Pod, s3_server: S3Server, source: FilesystemTarget, target: S3Target
) -> None:
    third = pod.volume("third")
    assert pod.run(pod.copy_plan([source], [target, third])).status == 0
    good = stored(target, s3_server)
    for folder in (s3_server.store / target.bucket / "prod" / FOLDER, folder_of(third)):
        damage(folder / "data.dump.zst")
    bad = stored(target, s3_server)

    refused = pod.run(pod.copy_plan([third], [target]))
    left = stored(target, s3_server)
    ended = pod.run(pod.copy_plan([third, source], [target]))

    assert refused.failure[:2] == (65, "backup-corrupt")
    assert left == bad != good
    assert ended.status == 0, ended.output
    assert stored(target, s3_server) == good


def test_a_target_that_fails_does_not_keep_the_others_from_their_copy(
    pod: Pod, s3_server: S3Server, source: FilesystemTarget, target: S3Target
) -> None:
    missing = pod.s3(s3_server, "no-such-bucket", location="missing")

    ended = pod.run(pod.copy_plan([source], [missing, target]))

    assert ended.failure[:2] == (66, "not-found")
    assert ended.copies == {"missing": False, "offsite": True}
    assert stored(target, s3_server) == stored(source, s3_server)


def test_another_backup_in_the_same_place_is_refused(pod: Pod, source: FilesystemTarget, target: S3Target) -> None:
    ended = pod.run(pod.copy_plan([source], [target], backup_execution_id="0" * 36))

    assert ended.failure[:2] == (65, "backup-corrupt")


def test_sigterm_ends_a_copy_within_ten_seconds_and_leaves_nothing(
    pod: Pod,
    s3_server: S3Server,
    own_s3: S3Server,
    target: S3Target,
    big_database: str,
    postgres_server: PostgresServer,
) -> None:
    origin, volume = pod.s3(own_s3, own_s3.bucket()), pod.volume("other")
    assert pod.run(pod.backup_plan(big_database, origin)).status == 0
    with Valve(own_s3.host, own_s3.port) as way:
        way.hold_after(20_000_000)
        slow = pod.s3(own_s3, origin.bucket, endpoint=f"http://{way.host}:{way.port}")
        running = pod.start(pod.copy_plan([slow], [target, volume]))
        running.until(lambda: way.holds and s3_server.admin.uploads(target.bucket), "the copy is half done")
        started = time.monotonic()
        running.signal(signal.SIGTERM)

        ended = running.ended()

    assert ended.failure == (143, "cancelled", "upload")
    assert time.monotonic() - started < 10
    assert_nothing_stored(s3_server, target)
    assert files_in(volume) == []
