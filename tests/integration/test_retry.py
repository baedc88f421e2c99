"""A failed backup that is tried again: what is whole is copied, and nothing is dumped a second time."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from dataguardian.domain import manifest as manifests
from dataguardian.domain.manifest import Manifest
from dataguardian.domain.plan import BackupPlan, CleanupPlan, FilesystemTarget, RetentionPolicy, S3Target, Target

from .runs import FOLDER, Ended, Pod, assert_nothing_stored, damage, files_in, stored
from .services import PostgresServer, S3Server, free_port
from .shop import content, shop
from .valve import Valve

FILES = ["data.dump.zst", "manifest.json", "schema.dump"]
PENDING = ["data.dump.zst", "pending.json", "schema.dump"]
RETRY = "1b1b1b1b-0000-4000-8000-000000000000"
LATER = "shop/nightly-0a1b2c3d/20261125T020000Z-ff"
OWN_FOLDER = "shop/nightly-0a1b2c3d/20261124T030000Z-1b1b1b1b"


def away(plan: BackupPlan) -> BackupPlan:
    """The same plan when its database does not answer: whoever completes it has dumped nothing."""
    return replace(plan, source=replace(plan.source, port=free_port()))


def retried(plan: BackupPlan, **changes: Any) -> BackupPlan:
    """The plan of another execution that tries the run of this plan again."""
    own = {"execution_id": RETRY, "execution_name": "again", "folder": OWN_FOLDER, "retry_folders": [FOLDER]}
    return replace(plan, **{**own, **changes})


def manifest_of(files: dict[str, bytes]) -> Manifest:
    """The manifest among the files."""
    return manifests.decode(files["manifest.json"])


def from_(ended: Ended) -> str:
    """What the log says of where the retry begins."""
    (line,) = [line for line in ended.lines if line["action"] == "retry_from"]
    return str(line["message"])


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
