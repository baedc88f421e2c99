"""A location that a cleanup cannot read, or that refuses, is waited for, and delays no other one."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataguardian.domain.plan import FilesystemTarget

from .runs import Pod
from .services import S3Server
from .shelves import Shelf, ages, cleaned, cleanup_plan, folder_of, manifest, store, told


def test_a_location_that_is_away_is_caught_up_later(pod: Pod, offsite: Shelf) -> None:
    server = S3Server()
    try:
        server.start()
        primary = Shelf(pod.s3(server, server.bucket()), server)
        plan = cleanup_plan(primary, offsite, max_backups=3)
        store([primary, offsite], 1, 2, 3, 4)
        server.stop()

        ended = pod.run(plan)

        report = cleaned(ended)
        assert (report.backups, report.expired, report.unread) == (4, 1, ["primary"])
        assert "'primary'" in report.warnings[0]
        assert told(ended, "removal_deferred") == [("nightly-4-days-old", "primary")]
        assert ages(offsite) == [1, 2, 3]
        server.start()
        assert ages(primary) == [1, 2, 3, 4]

        ended = pod.run(plan)

        assert cleaned(ended).unread == []
        assert told(ended, "backup_removed") == [("nightly-4-days-old", "primary")]
        assert ages(primary) == [1, 2, 3]
    finally:
        server.remove()


def test_a_cleanup_fails_as_the_location_does_when_none_can_be_read(pod: Pod, offsite: Shelf) -> None:
    assert isinstance(offsite.target, FilesystemTarget)
    Path(offsite.target.root).rmdir()

    ended = pod.run(cleanup_plan(offsite, max_backups=1))

    assert ended.failure == (66, "not-found", "cleanup")


def test_a_read_only_location_is_only_looked_at(pod: Pod, primary: Shelf, offsite: Shelf) -> None:
    store([primary, offsite], 1, 2, 3, 4)
    before = offsite.stored

    ended = pod.run(cleanup_plan(primary, offsite, read_only=("offsite",), max_backups=3))

    report = cleaned(ended)
    assert (report.backups, report.expired, report.warnings) == (4, 1, [])
    assert ages(primary) == [1, 2, 3]
    assert offsite.stored == before


def test_a_locked_bucket_is_asked_once_and_waited_for(pod: Pod, s3_server: S3Server, offsite: Shelf) -> None:
    locked = Shelf(pod.s3(s3_server, s3_server.locked_bucket()), s3_server)
    store([locked, offsite], 1, 2, 3, 4)
    before = locked.stored

    ended = pod.run(cleanup_plan(locked, offsite, max_backups=1))

    report = cleaned(ended)
    assert (report.backups, report.expired) == (4, 3)
    assert len(report.warnings) == 1
    assert "object lock" in report.warnings[0]
    assert len(told(ended, "removal_deferred")) == 3
    assert ages(offsite) == [1]
    # Of the oldest backup alone it tried to delete anything.
    assert locked.stored - before == {f"{folder_of(manifest(4))}/removing.json"}
    assert before <= locked.stored


def mounted(folder: Path, *arguments: str) -> None:
    """Mount something there, or skip the test where nobody may."""
    ended = subprocess.run(["mount", *arguments, str(folder)], capture_output=True, text=True, check=False)
    if ended.returncode:
        pytest.skip(f"mount: {ended.stderr.strip()}")


@pytest.fixture
def small(pod: Pod) -> Iterator[Shelf]:
    """A volume with little room."""
    root = pod.folder / "small"
    root.mkdir()
    mounted(root, "-t", "tmpfs", "-o", "size=64k", "none")
    try:
        yield Shelf(FilesystemTarget(location="small", root=str(root), prefix="prod"))
    finally:
        subprocess.run(["umount", str(root)], check=True)


def test_a_volume_that_refuses_is_waited_for(pod: Pod, small: Shelf, offsite: Shelf) -> None:
    assert isinstance(small.target, FilesystemTarget)
    store([small, offsite], 1, 2, 3)
    mounted(Path(small.target.root), "-o", "remount,ro")
    before = small.stored

    report = cleaned(pod.run(cleanup_plan(small, offsite, max_backups=1)))

    assert (report.backups, report.expired, len(report.warnings)) == (3, 2, 1)
    assert small.stored == before
    assert ages(offsite) == [1]


def test_a_full_volume_is_made_room_in(pod: Pod, small: Shelf) -> None:
    assert isinstance(small.target, FilesystemTarget)
    store([small], 1, 2)
    with pytest.raises(OSError, match="No space"):
        small.put("filling", bytes(1_000_000))

    cleaned(pod.run(cleanup_plan(small, max_backups=1)))

    assert ages(small) == [1]
    assert not any(folder_of(manifest(2)) in key for key in small.stored)
