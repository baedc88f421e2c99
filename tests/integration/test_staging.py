"""A dump that goes through a staging volume: its upload alone is tried again."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from dataguardian.domain.plan import BackupPlan, FilesystemTarget, S3Target, Target

from .retries import FILES, OWN_FOLDER, PENDING, away, from_, retried
from .runs import FOLDER, Ended, Pod, assert_nothing_stored, damage, files_in, stored
from .services import PostgresServer, S3Server
from .shop import content, shop
from .valve import Valve


@dataclass
class Staged:
    """A run whose upload fails after its dump was staged."""

    plan: BackupPlan
    staging: FilesystemTarget
    ended: Ended
    before: dict[str, object]


@pytest.fixture
def staged(pod: Pod, own_s3: S3Server, postgres_server: PostgresServer) -> Staged:
    """Such a run; its database is dropped, and its store is back."""
    target, staging, database = pod.s3(own_s3, own_s3.bucket()), pod.volume("staging"), shop(postgres_server)
    before = content(postgres_server, database)
    plan = pod.backup_plan(database, target, staging=staging)
    own_s3.kill()
    ended = pod.run(plan)
    own_s3.start()
    postgres_server.drop(database)
    return Staged(plan, staging, ended, before)


def test_a_dump_goes_through_the_staging_volume_and_nothing_stays_there_that_no_other_run_needs(
    pod: Pod, s3_server: S3Server, bucket: S3Target, postgres_server: PostgresServer
) -> None:
    staging, volume = pod.volume("staging"), pod.volume("second")
    earlier = Path(staging.root) / staging.prefix / Path(FOLDER).parent / "20261123T020000Z-00000000"
    earlier.mkdir(parents=True)
    (earlier / ".data.dump.zst.partial").write_bytes(b"half")
    needed = earlier.with_name("20261123T020000Z-00000001")
    needed.mkdir()
    (needed / "data.dump.zst").write_bytes(b"of a run that goes on")
    targets, in_use = [bucket, volume], [needed.name]
    plan = pod.backup_plan(
        shop(postgres_server),
        bucket,
        targets=targets,
        min_copies=2,
        staging=staging,
        in_use=in_use,
        segment_bytes=100_000,
    )

    ended = pod.run(plan)

    assert ended.status == 0, ended.output
    assert (ended.copies, ended.copied_from) == ({"primary": True, "second": True}, None)
    assert stored(volume, s3_server) == stored(bucket, s3_server)
    assert files_in(staging) == [f"{Path(FOLDER).parent}/{needed.name}/data.dump.zst"]
    assert pod.run(pod.restore_plan(postgres_server.database(), volume)).status == 0


def test_a_staged_backup_that_is_complete_is_found_by_the_next_try_and_not_dumped_again(
    pod: Pod, s3_server: S3Server, bucket: S3Target, postgres_server: PostgresServer
) -> None:
    plan = pod.backup_plan(shop(postgres_server), bucket, staging=pod.volume("staging"))
    assert pod.run(plan).status == 0
    before = stored(bucket, s3_server)

    ended = pod.run(away(plan))

    assert ended.status == 0, ended.output
    assert ended.copies == {"primary": True}
    assert stored(bucket, s3_server) == before


def test_a_dump_stays_staged_when_its_upload_fails(staged: Staged) -> None:
    assert staged.ended.failure == (75, "storage-unavailable", "upload")
    assert files_in(staged.staging) == [f"{FOLDER}/{name}" for name in PENDING]


@pytest.mark.parametrize("again", [True, False])
def test_a_staged_dump_is_uploaded_by_the_next_try_and_by_a_retry(
    staged: Staged, pod: Pod, own_s3: S3Server, postgres_server: PostgresServer, again: bool
) -> None:
    plan = away(retried(staged.plan) if again else staged.plan)

    ended = pod.run(plan)

    assert ended.status == 0, ended.output
    assert ended.copied_from == "staging"
    assert "'staging'" in from_(ended)
    assert files_in(staged.staging) == []
    assert sorted(stored(staged.plan.targets[0], own_s3)) == FILES
    database = postgres_server.database()
    restore = pod.restore_plan(database, staged.plan.targets[0], backup_execution_id=plan.execution_id)
    assert pod.run(restore).status == 0
    assert content(postgres_server, database) == staged.before


def test_a_staged_dump_that_is_damaged_is_not_uploaded(
    staged: Staged, pod: Pod, own_s3: S3Server, postgres_server: PostgresServer
) -> None:
    damage(Path(staged.staging.root) / "prod" / FOLDER / "data.dump.zst")
    plan = retried(staged.plan, source=pod.endpoint(shop(postgres_server)))

    ended = pod.run(plan)

    assert ended.status == 0, ended.output
    assert "dump is made again" in from_(ended)
    assert sorted(stored(plan.targets[0], own_s3, OWN_FOLDER)) == FILES
    assert files_in(staged.staging) == []


def test_sigterm_in_an_upload_leaves_the_staged_dump_and_nothing_in_the_stores_that_answer(
    pod: Pod, s3_server: S3Server, own_s3: S3Server, bucket: S3Target, big_database: str
) -> None:
    staging = pod.volume("staging")
    with Valve(own_s3.host, own_s3.port) as way:
        way.hold_after(5_000_000, of_server=False)  # in the middle of a part: the other upload waits for this one
        slow = pod.s3(own_s3, own_s3.bucket(), location="slow", endpoint=f"http://{way.host}:{way.port}")
        running = pod.start(pod.backup_plan(big_database, bucket, targets=[bucket, slow], staging=staging))
        running.until(lambda: way.holds and s3_server.admin.uploads(bucket.bucket), "the upload is under way")
        started = time.monotonic()
        running.signal(signal.SIGTERM)

        ended = running.ended()

    assert ended.failure == (143, "cancelled", "upload")
    assert time.monotonic() - started < 10
    assert files_in(staging) == [f"{FOLDER}/{name}" for name in PENDING]
    assert_nothing_stored(s3_server, bucket)


def test_sigterm_while_the_dump_is_staged_leaves_nothing(
    pod: Pod, s3_server: S3Server, bucket: S3Target, big_database: str, valve: Valve
) -> None:
    staging = pod.volume("staging")
    valve.hold_after(20_000_000)
    source = pod.endpoint(big_database, host=valve.host, port=valve.port)
    running = pod.start(pod.backup_plan(big_database, bucket, staging=staging, source=source))
    running.until(lambda: valve.holds and files_in(staging), "the dump is staged")
    running.signal(signal.SIGTERM)

    ended = running.ended()

    assert ended.failure == (143, "cancelled", "dump")
    assert files_in(staging) == []
    assert_nothing_stored(s3_server, bucket)


def test_a_fallback_uploads_one_staged_dump_to_the_next_location(
    pod: Pod, s3_server: S3Server, postgres_server: PostgresServer
) -> None:
    missing = pod.s3(s3_server, "no-such-bucket", location="missing")
    staging, second = pod.volume("staging"), pod.volume("second")
    targets: list[Target] = [missing, second]
    plan = pod.backup_plan(shop(postgres_server), missing, targets=targets, strategy="Fallback", staging=staging)

    ended = pod.run(plan)

    assert ended.status == 0, ended.output
    assert ended.copies == {"missing": False, "second": True}
    assert ended.output.count("dump_began") == 1
    assert files_in(staging) == []
