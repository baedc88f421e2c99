"""A failed backup that is tried again: what is whole is copied, and nothing is dumped a second time."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec.structs import replace

from dataguardian.domain import manifest as manifests
from dataguardian.domain.plan import BackupPlan, CleanupPlan, FilesystemTarget, RetentionPolicy, S3Target, Target

from .retries import FILES, OWN_FOLDER, PENDING, RETRY, away, from_, manifest_of, retried
from .runs import FOLDER, Ended, Pod, damage, files_in, stored
from .services import PostgresServer, S3Server
from .shop import shop
from .valve import Valve

LATER = "shop/nightly-0a1b2c3d/20261125T020000Z-ff"


@dataclass
class Short:
    """A run that stored one copy of the two that it needs: what the second location has got is damaged."""

    plan: BackupPlan
    bucket: S3Target
    volume: FilesystemTarget
    ended: Ended

    @property
    def obstacle(self) -> Path:
        """A folder where the second location begins a file, so that it cannot."""
        return Path(self.volume.root) / self.volume.prefix / FOLDER / ".data.dump.zst.partial"


@pytest.fixture
def short(pod: Pod, s3_server: S3Server, bucket: S3Target, postgres_server: PostgresServer) -> Short:
    """Such a run; its database is dropped after it."""
    volume, database = pod.volume("second"), shop(postgres_server)
    second = Path(volume.root) / volume.prefix / FOLDER / "data.dump.zst"
    plan = pod.backup_plan(database, bucket, targets=[bucket, volume], min_copies=2)
    with Valve(s3_server.host, s3_server.port) as way:
        way.hold_after(60_000, of_server=False)  # in the middle of the dump: the second location has it all by then
        slow = replace(bucket, endpoint=f"http://{way.host}:{way.port}")
        running = pod.start(replace(plan, targets=[slow, volume]))
        running.until(lambda: way.holds and second.exists(), "the second location has the dump")
        damage(second)
        way.open()
        ended = running.ended()
    postgres_server.drop(database)
    return Short(plan, bucket, volume, ended)


def test_a_run_with_too_few_copies_fails_and_keeps_its_good_copy_without_a_manifest(
    short: Short, s3_server: S3Server
) -> None:
    assert short.ended.failure == (65, "backup-corrupt", "verify")
    assert short.ended.copies == {"primary": False, "second": False}
    assert "waits for a retry" in short.ended.reason("primary")
    assert sorted(stored(short.bucket, s3_server)) == PENDING
    assert files_in(short.volume) == []


def test_the_next_try_of_the_same_run_copies_what_is_there(short: Short, pod: Pod, s3_server: S3Server) -> None:
    ended = pod.run(short.plan)

    assert ended.status == 0, ended.output
    assert (ended.copies, ended.copied_from) == ({"primary": True, "second": True}, "primary")
    files = stored(short.bucket, s3_server)
    assert sorted(files) == FILES
    assert stored(short.volume, s3_server) == files


def test_a_retry_copies_into_the_folder_of_the_failed_run_under_its_own_name(
    short: Short, pod: Pod, s3_server: S3Server, postgres_server: PostgresServer
) -> None:
    ended = pod.run(retried(short.plan))

    assert ended.status == 0, ended.output
    assert "'primary'" in from_(ended)
    assert ended.report is not None
    assert {copy.key for copy in ended.report.copies} == {f"{FOLDER}/manifest.json"}
    manifest = manifest_of(stored(short.bucket, s3_server))
    assert (manifest.execution_id, manifest.execution_name) == (RETRY, "again")
    assert sorted(stored(short.bucket, s3_server)) == FILES
    for target in (short.bucket, short.volume):
        plan = pod.restore_plan(postgres_server.database(), target, backup_execution_id=RETRY)
        assert pod.run(plan).status == 0


def test_retention_judges_a_retried_backup_like_any_other(short: Short, pod: Pod, s3_server: S3Server) -> None:
    assert pod.run(retried(short.plan)).status == 0
    cleanup = CleanupPlan(
        folder=FOLDER.rpartition("/")[0], policy=RetentionPolicy(max_backups=1), targets=[short.bucket, short.volume]
    )

    alone = pod.run(cleanup)
    newer = pod.backup_plan("none", short.volume, targets=[short.volume], execution_id="ff", folder=LATER)
    assert pod.run(replace(newer, source=pod.endpoint("postgres"))).status == 0
    replaced = pod.run(cleanup)

    assert alone.report is not None
    assert (alone.report.backups, alone.report.warnings) == (1, [])
    assert replaced.status == 0, replaced.output
    assert stored(short.bucket, s3_server) == stored(short.volume, s3_server) == {}


def test_a_retried_backup_is_as_old_as_its_dump(short: Short, pod: Pod, s3_server: S3Server) -> None:
    dumped_at = manifests.decode(stored(short.bucket, s3_server)["pending.json"]).started_at
    newer = pod.backup_plan("none", short.volume, targets=[short.volume], execution_id="ff", folder=LATER)
    assert pod.run(replace(newer, source=pod.endpoint("postgres"))).status == 0
    ended = pod.run(retried(short.plan))

    assert ended.status == 0, ended.output
    assert manifest_of(stored(short.bucket, s3_server)).started_at == dumped_at
    targets: list[Target] = [short.bucket, short.volume]
    policy = RetentionPolicy(max_backups=1)
    assert pod.run(CleanupPlan(folder=FOLDER.rpartition("/")[0], policy=policy, targets=targets)).status == 0
    assert stored(short.bucket, s3_server) == stored(short.volume, s3_server) == {}
    assert sorted(stored(short.volume, s3_server, LATER)) == FILES


def test_a_retry_that_fails_again_leaves_the_copy_for_the_next_one(short: Short, pod: Pod, s3_server: S3Server) -> None:
    short.obstacle.mkdir(parents=True)

    ended = pod.run(retried(short.plan))

    assert ended.failure == (75, "storage-unavailable", "upload")
    assert sorted(stored(short.bucket, s3_server)) == PENDING
    assert files_in(short.volume) == []
    short.obstacle.rmdir()
    assert pod.run(retried(short.plan)).status == 0


def test_a_failed_run_whose_manifest_is_stored_all_the_same_is_completed_by_its_retry(
    short: Short, pod: Pod, s3_server: S3Server
) -> None:
    base, admin = f"prod/{FOLDER}", s3_server.admin
    admin.put(short.bucket.bucket, f"{base}/manifest.json", stored(short.bucket, s3_server)["pending.json"])
    admin.delete(short.bucket.bucket, f"{base}/pending.json")

    ended = pod.run(away(retried(short.plan)))

    assert ended.status == 0, ended.output
    assert ended.copies == {"primary": True, "second": True}
    files = stored(short.bucket, s3_server)
    assert sorted(files) == FILES
    assert manifest_of(files).execution_id == RETRY
    assert stored(short.volume, s3_server) == files


@pytest.mark.parametrize("is_damaged", [False, True])
def test_what_a_retry_has_completed_belongs_to_it(
    short: Short, pod: Pod, s3_server: S3Server, postgres_server: PostgresServer, is_damaged: bool
) -> None:
    assert pod.run(retried(short.plan)).status == 0
    if is_damaged:
        (Path(short.volume.root) / "prod" / FOLDER / "schema.dump").unlink()
        s3_server.admin.delete(short.bucket.bucket, f"prod/{FOLDER}/schema.dump")
    before = stored(short.bucket, s3_server), stored(short.volume, s3_server)
    second = "2c2c2c2c-0000-4000-8000-000000000000"
    folder = OWN_FOLDER.replace("1b1b1b1b", "2c2c2c2c")
    source = pod.endpoint(shop(postgres_server))

    ended = pod.run(retried(short.plan, execution_id=second, execution_name="twice", folder=folder, source=source))

    assert (stored(short.bucket, s3_server), stored(short.volume, s3_server)) == before
    if is_damaged:
        assert ended.status == 0, ended.output
        assert sorted(stored(short.bucket, s3_server, folder)) == FILES
    else:
        assert ended.failure == (64, "spec-invalid", "connect")
        assert "was completed by again" in ended.output
        assert stored(short.bucket, s3_server, folder) == {}


def test_a_copy_that_is_damaged_is_not_used_and_the_dump_is_made_again(
    short: Short, pod: Pod, s3_server: S3Server, postgres_server: PostgresServer
) -> None:
    damage(s3_server.store / short.bucket.bucket / "prod" / FOLDER / "data.dump.zst")
    plan = retried(short.plan, source=pod.endpoint(shop(postgres_server)))

    ended = pod.run(plan)

    assert ended.status == 0, ended.output
    assert "dump is made again" in from_(ended)
    assert ended.copied_from is None
    assert any("checksum" in warning for warning in ended.report.warnings) if ended.report else False
    assert sorted(stored(short.bucket, s3_server, OWN_FOLDER)) == FILES


def test_a_retry_of_a_run_that_kept_nothing_dumps_into_its_own_folder(
    pod: Pod, s3_server: S3Server, bucket: S3Target, postgres_server: PostgresServer
) -> None:
    ended = pod.run(retried(pod.backup_plan(shop(postgres_server), bucket)))

    assert ended.status == 0, ended.output
    assert "dump is made again" in from_(ended)
    assert sorted(stored(bucket, s3_server, OWN_FOLDER)) == FILES
    assert manifest_of(stored(bucket, s3_server, OWN_FOLDER)).execution_id == RETRY


@pytest.fixture
def no_manifest(pod: Pod) -> FilesystemTarget:
    """A location that takes all of a backup but its manifest."""
    volume = pod.volume("second")
    (Path(volume.root) / volume.prefix / FOLDER / ".manifest.json.partial").mkdir(parents=True)
    return volume


def test_a_backup_with_one_manifest_is_complete_whatever_copies_it_needs(
    no_manifest: FilesystemTarget, pod: Pod, s3_server: S3Server, bucket: S3Target, postgres_server: PostgresServer
) -> None:
    plan = pod.backup_plan(shop(postgres_server), bucket, targets=[bucket, no_manifest], min_copies=2)

    ended = pod.run(plan)

    assert ended.status == 0, ended.output
    assert ended.copies == {"primary": True, "second": False}
    again = pod.run(away(plan))
    assert (again.status, again.copies) == (0, {"primary": True, "second": False})
    (Path(no_manifest.root) / no_manifest.prefix / FOLDER / ".manifest.json.partial").rmdir()
    assert pod.run(pod.copy_plan([bucket], [no_manifest])).status == 0
    assert stored(no_manifest, s3_server) == stored(bucket, s3_server)


def test_a_dump_whose_manifest_no_location_takes_is_kept_for_the_next_try(
    no_manifest: FilesystemTarget, pod: Pod, s3_server: S3Server, postgres_server: PostgresServer
) -> None:
    plan = pod.backup_plan(shop(postgres_server), no_manifest)

    ended = pod.run(plan)

    assert ended.failure == (75, "storage-unavailable", "finalize")
    assert sorted(stored(no_manifest, s3_server)) == PENDING
    (Path(no_manifest.root) / no_manifest.prefix / FOLDER / ".manifest.json.partial").rmdir()
    assert pod.run(away(plan)).status == 0
    assert sorted(stored(no_manifest, s3_server)) == FILES


def test_sigterm_ends_a_fallback_that_goes_on_after_a_manifest_was_refused(
    no_manifest: FilesystemTarget, pod: Pod, s3_server: S3Server, bucket: S3Target, big_database: str
) -> None:
    with Valve(s3_server.host, s3_server.port) as way:
        way.hold_after(2_000_000, of_server=False)
        slow = replace(bucket, endpoint=f"http://{way.host}:{way.port}")
        plan = pod.backup_plan(big_database, no_manifest, targets=[no_manifest, slow], strategy="Fallback")
        running = pod.start(plan)
        running.until(lambda: way.holds, "the dump goes to the second location")
        started = time.monotonic()
        running.signal(signal.SIGTERM)

        ended = running.ended()

    assert ended.failure == (143, "cancelled", "dump")
    assert time.monotonic() - started < 10
