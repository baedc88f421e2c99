"""A volume that hangs while a cleanup, a listing or a restore looks into it: it is away, and the others go on."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from msgspec.structs import replace

from dataguardian.domain import told
from dataguardian.domain.plan import CleanupPlan, FilesystemTarget, IndexPlan, RestoreSource, RetentionPolicy, Target
from dataguardian.domain.told import BackupKept, ManifestFound, RemovalDeferred, Told
from dataguardian.runner import watched
from dataguardian.runner.attended import Attended
from dataguardian.storage import opened

from .runs import FOLDER, Ended, Pod, backed_up
from .runs import folder_of as folder_of_backup
from .services import PostgresServer
from .shelves import JOB, Shelf, folder_of, manifest
from .shop import content, shop

# A runner as any other, but for the time that it waits for a store, and that a volume named so lists nothing, ever.
PROGRAM = """
import sys, threading
from dataguardian.runner import main, watched
from dataguardian.storage.filesystem import Filesystem
watched.STALL_SECONDS = 2
mounted = Filesystem._mounted
def hang(self):
    if self._location == "hangs":
        threading.Event().wait()
    mounted(self)
Filesystem._mounted = hang
sys.exit(main(sys.argv[1]))
"""
RUNNER = ("-c", PROGRAM)
LIMIT_S = 30


def volume(pod: Pod, name: str) -> FilesystemTarget:
    return replace(pod.volume(name), location=name)


def lines(ended: Ended) -> list[Told]:
    return [line for text in ended.output.splitlines() if (line := told.read(text.encode())) is not None]


def cleanup(*targets: Target) -> CleanupPlan:
    return CleanupPlan(folder=JOB, policy=RetentionPolicy(max_backups=1), targets=list(targets))


def stuck(folder: Path, name: str) -> None:
    """Let whoever opens this file wait for ever: nobody is at the other end of the pipe in its place."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)


def test_a_cleanup_leaves_out_a_location_that_hangs_and_judges_the_others(pod: Pod) -> None:
    hangs, serves = volume(pod, "hangs"), volume(pod, "serves")
    for shelf in (Shelf(hangs), Shelf(serves)):
        for age in (1, 2):
            shelf.store(manifest(age))

    ended = pod.start(cleanup(hangs, serves), RUNNER).ended(LIMIT_S)

    assert ended.status == 0, ended.output
    assert ended.report is not None
    assert ended.report.unread == ["hangs"]
    assert [line.execution_name for line in lines(ended) if isinstance(line, BackupKept)] == ["nightly-1-days-old"]
    assert not any(key.startswith(folder_of(manifest(2))) for key in Shelf(serves).stored)


def test_a_location_that_hangs_in_a_removal_waits_for_the_next_time(pod: Pod) -> None:
    first, second = volume(pod, "first"), volume(pod, "second")
    for shelf in (Shelf(first), Shelf(second)):
        for age in (1, 2):
            shelf.store(manifest(age))
    stuck(Path(first.root) / "prod" / folder_of(manifest(2)), ".removing.json.partial")

    ended = pod.start(cleanup(first, second), RUNNER).ended(LIMIT_S)

    assert ended.status == 0, ended.output
    deferred = [line for line in lines(ended) if isinstance(line, RemovalDeferred)]
    assert [(line.location, "has hung" in line.reason) for line in deferred] == [("first", True)]
    assert f"{folder_of(manifest(2))}/manifest.json" in Shelf(first).stored
    assert f"{folder_of(manifest(2))}/manifest.json" not in Shelf(second).stored


def test_a_location_that_hangs_when_what_is_unfinished_is_looked_for_does_not_end_the_cleanup(pod: Pod) -> None:
    first = volume(pod, "first")
    Shelf(first).store(manifest(1))
    program = PROGRAM.replace("Filesystem._mounted = hang", "Filesystem.partial = lambda *_: threading.Event().wait()")
    plan = replace(cleanup(first), unfinished_before="2020-01-01T00:00:00Z")

    ended = pod.start(plan, ("-c", program)).ended(LIMIT_S)

    assert ended.status == 0, ended.output
    assert ended.report is not None
    assert "has hung" in " ".join(ended.report.warnings)


def test_a_listing_fails_by_a_location_that_hangs_once_the_others_have_been_told(pod: Pod) -> None:
    hangs, serves = volume(pod, "hangs"), volume(pod, "serves")
    Shelf(serves).store(manifest(1))

    ended = pod.start(IndexPlan(folder="shop", targets=[hangs, serves]), RUNNER).ended(LIMIT_S)

    assert ended.failure == (75, "storage-unavailable", "index")
    assert [line.location for line in lines(ended) if isinstance(line, ManifestFound)] == ["serves"]


def test_a_restore_reads_the_next_copy_when_one_hangs(pod: Pod, postgres_server: PostgresServer) -> None:
    database = shop(postgres_server)
    first = backed_up(pod, database)
    second = volume(pod, "second")
    shutil.copytree(folder_of_backup(first), folder_of_backup(second))
    stuck(folder_of_backup(first), "manifest.json")
    target = postgres_server.database()
    sources = [RestoreSource(target=copy, manifest_key=f"{FOLDER}/manifest.json") for copy in (first, second)]

    ended = pod.start(pod.restore_plan(target, first, sources=sources), RUNNER).ended(LIMIT_S)

    assert ended.status == 0, ended.output
    assert ended.report is not None
    assert ended.report.read_from == "second"
    assert "has hung" in " ".join(ended.report.warnings)
    assert content(postgres_server, target) == content(postgres_server, database)


def test_a_store_that_is_attended_says_what_the_store_says(pod: Pod) -> None:
    target = volume(pod, "serves")
    store = Attended(opened(target), target.location, lambda: None)
    names = [f"a/{number}" for number in range(600)]
    for name in names:
        store.put(name, [b"x" * 3])
    big = b"y" * 3_000_000
    store.put("b", [big])

    assert sorted(store.keys("a")) == sorted(names)
    assert dict(store.sizes("a")) == dict.fromkeys(names, 3)
    assert (b"".join(store.get("b")), store.size("b")) == (big, len(big))
    store.delete("a/0")
    assert len(list(store.keys("a"))) == 599
    assert (store.partial("a"), store.discard_partial("a")) == (set(), 0)
    assert watched.STALL_SECONDS == 300
