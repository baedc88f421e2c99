"""A volume that hangs: its copy is given up in bounded time, the others are made, and nothing comes of it later."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec.structs import replace

from dataguardian.domain.plan import FilesystemTarget, S3Target

from .runs import FOLDER, Pod, files_in, stored
from .services import PostgresServer, S3Server
from .shop import HELD_AFTER, shop
from .valve import Valve

FILES = ["data.dump.zst", "manifest.json", "schema.dump"]
LIMIT_S = 2
# A runner as any other, but for the time that it waits for a store.
PROGRAM = f"""
import sys
from dataguardian.runner import main, watched
watched.STALL_SECONDS = {LIMIT_S}
sys.exit(main(sys.argv[1]))
"""
RUNNER = ("-c", PROGRAM)


def stuck(volume: FilesystemTarget, name: str) -> None:
    """Let the volume block whoever begins to write this file, for ever: nobody reads from the pipe in its place."""
    folder = Path(volume.root) / volume.prefix / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    os.mkfifo(folder / f".{name}.partial")


@dataclass
class Disk:
    """A volume with a file system of its own, which the kernel can freeze: whoever writes to it hangs."""

    target: FilesystemTarget
    is_frozen: bool = False

    def freeze(self) -> None:
        """Let writing hang."""
        subprocess.run(["fsfreeze", "--freeze", self.target.root], check=True)
        self.is_frozen = True

    def thaw(self) -> None:
        """Let it go on."""
        if self.is_frozen:
            subprocess.run(["fsfreeze", "--unfreeze", self.target.root], check=True)
        self.is_frozen = False


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A volume of 200 MB."""
    image, root = tmp_path / "image", tmp_path / "disk"
    root.mkdir()
    with image.open("wb") as file:
        file.truncate(200_000_000)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(root)], check=True)
    made = Disk(FilesystemTarget(location="offsite", root=str(root), prefix="prod"))
    try:
        yield made
    finally:
        made.thaw()
        subprocess.run(["umount", str(root)], check=True)


def test_a_volume_that_freezes_in_the_middle_of_a_dump_is_left_out_and_gets_nothing_when_it_wakes_up(
    pod: Pod, s3_server: S3Server, bucket: S3Target, disk: Disk, big_database: str, valve: Valve
) -> None:
    valve.hold_after(HELD_AFTER)
    source = pod.endpoint(big_database, host=valve.host, port=valve.port)
    with Valve(s3_server.host, s3_server.port) as way:
        slow = replace(bucket, endpoint=f"http://{way.host}:{way.port}")
        running = pod.start(pod.backup_plan(big_database, slow, targets=[slow, disk.target], source=source), RUNNER)
        running.until(lambda: valve.holds and files_in(disk.target), "the dump has begun")
        disk.freeze()
        way.hold_after(0, of_server=False)
        valve.open()
        running.until(lambda: way.holds, "the rest of the dump waits for the bucket")
        running.until_action("copy_failed")
        disk.thaw()
        running.until(lambda: not files_in(disk.target), "the volume's thread has woken up and ended")
        way.open()

        ended = running.ended()

    assert ended.status == 0, ended.output
    assert ended.copies == {"primary": True, "offsite": False}
    assert "has hung" in ended.reason("offsite")
    assert sorted(stored(bucket, s3_server)) == FILES
    assert files_in(disk.target) == []


def test_a_run_ends_while_a_volume_hangs(
    pod: Pod, s3_server: S3Server, bucket: S3Target, postgres_server: PostgresServer
) -> None:
    volume = pod.volume("offsite")
    stuck(volume, "data.dump.zst")
    plan = pod.backup_plan(shop(postgres_server), bucket, targets=[volume, bucket])

    ended = pod.start(plan, RUNNER).ended(LIMIT_S + 30)

    assert ended.status == 0, ended.output
    assert ended.copies == {"primary": True, "offsite": False}
    assert sorted(stored(bucket, s3_server)) == FILES


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize(("name", "step"), [("data.dump.zst", "dump"), ("manifest.json", "finalize")])
def test_when_every_volume_hangs_the_run_fails_as_storage_unavailable_and_the_next_try_completes(
    pod: Pod, postgres_server: PostgresServer, s3_server: S3Server, count: int, name: str, step: str
) -> None:
    volumes = [pod.volume(f"volume-{number}") for number in range(count)]
    for volume in volumes:
        stuck(volume, name)
    plan = pod.backup_plan(shop(postgres_server), volumes[0], targets=[*volumes])

    ended = pod.start(plan, RUNNER).ended(LIMIT_S + 30)

    assert ended.failure == (75, "storage-unavailable", step)
    assert "volume-0" in ended.text
    assert "manifest.json" not in stored(volumes[0], s3_server)
    for volume in volumes:
        (Path(volume.root) / volume.prefix / FOLDER / f".{name}.partial").unlink()
    assert pod.run(plan).status == 0
    assert all(sorted(stored(volume, s3_server)) == FILES for volume in volumes)


def test_a_fallback_goes_on_to_the_next_location_when_the_first_one_hangs(
    pod: Pod, postgres_server: PostgresServer, s3_server: S3Server, bucket: S3Target
) -> None:
    volume = pod.volume("first")
    stuck(volume, "data.dump.zst")
    plan = pod.backup_plan(shop(postgres_server), volume, targets=[volume, bucket], strategy="Fallback")

    ended = pod.start(plan, RUNNER).ended(LIMIT_S + 30)

    assert ended.status == 0, ended.output
    assert ended.copies == {"first": False, "primary": True}
    assert sorted(stored(bucket, s3_server)) == FILES


def test_a_backup_whose_second_manifest_hangs_is_complete_and_a_copy_heals_it(
    pod: Pod, postgres_server: PostgresServer, s3_server: S3Server, bucket: S3Target
) -> None:
    volume = pod.volume("offsite")
    stuck(volume, "manifest.json")
    plan = pod.backup_plan(shop(postgres_server), bucket, targets=[bucket, volume], min_copies=2)

    ended = pod.start(plan, RUNNER).ended(LIMIT_S + 30)

    assert ended.status == 0, ended.output
    assert ended.copies == {"primary": True, "offsite": False}
    (Path(volume.root) / volume.prefix / FOLDER / ".manifest.json.partial").unlink()
    assert pod.run(pod.copy_plan([bucket], [volume])).status == 0
    assert stored(volume, s3_server) == stored(bucket, s3_server)
