"""What runs left that did not complete goes once it is old enough and nobody needs it, and never before."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from dataguardian.domain.naming import run_folder
from dataguardian.domain.plan import CleanupPlan
from dataguardian.domain.told import UnfinishedRemoved
from dataguardian.runner import unfinished
from dataguardian.runner.finding import Folder
from dataguardian.storage import opened

from .runs import Ended, Pod
from .shelves import CONTENT, JOB, NOW, Shelf, cleaned, cleanup_plan, folder_of, manifest, store

OLD, YOUNG = 10, 1  # days
BEFORE = NOW - timedelta(days=5)


def plan(*shelves: Shelf, in_use: list[str] | None = None, before: str | None = BEFORE.isoformat()) -> CleanupPlan:
    return msgspec.structs.replace(cleanup_plan(*shelves), unfinished_before=before, in_use=in_use or [])


def left(shelf: Shelf, days_old: int, number: int = 7, *names: str) -> str:
    """What a run left that was created so long ago; its folder."""
    folder = f"{JOB}/{run_folder(f'{number:08x}', NOW - timedelta(days=days_old))}"
    for name in names or ("data.dump.zst", "data.dump.zst.00001", "pending.json"):
        shelf.put(f"{folder}/{name}", CONTENT)
    return folder


def removed(ended: Ended) -> list[dict[str, Any]]:
    return [line for line in ended.lines if line["action"] == "unfinished_removed"]


@pytest.fixture(params=["s3", "volume"])
def shelf(request: pytest.FixtureRequest, primary: Shelf, offsite: Shelf) -> Shelf:
    """One location of each kind."""
    return primary if request.param == "s3" else offsite


def test_what_is_older_goes_and_what_is_younger_or_a_backup_stays(pod: Pod, shelf: Shelf) -> None:
    store([shelf], OLD, OLD + 1)
    left(shelf, YOUNG)
    before = shelf.stored
    folder = left(shelf, OLD)

    ended = pod.run(plan(shelf))

    assert cleaned(ended).warnings == []
    assert shelf.stored == before
    (line,) = removed(ended)
    assert (line["location"], line["folder"]) == (shelf.target.location, folder)
    assert line["stored_bytes"] == 3 * len(CONTENT)
    assert msgspec.json.decode(msgspec.json.encode(line), type=UnfinishedRemoved).folder == folder


def test_all_of_it_stays_for_ever_unless_the_job_says_otherwise(pod: Pod, shelf: Shelf) -> None:
    left(shelf, 1000)
    before = shelf.stored

    ended = pod.run(plan(shelf, before=None))

    assert shelf.stored == before
    (line,) = [line for line in ended.lines if line["action"] == "unfinished_left"]
    assert (line["location"], line["folders"], line["bytes"]) == (shelf.target.location, 1, 3 * len(CONTENT))


def test_what_somebody_needs_stays_however_old_it_is(pod: Pod, shelf: Shelf) -> None:
    folder = left(shelf, OLD)
    before = shelf.stored

    cleaned(pod.run(plan(shelf, in_use=[folder.rpartition("/")[2]])))

    assert shelf.stored == before


def test_a_backup_that_is_being_copied_from_another_location_stays(pod: Pod, primary: Shelf, offsite: Shelf) -> None:
    store([offsite], OLD)
    primary.put(f"{folder_of(manifest(OLD))}/data.dump.zst", CONTENT)
    before = primary.stored

    cleaned(pod.run(plan(primary, offsite)))

    assert primary.stored == before


def test_folders_that_no_run_has_made_stay(pod: Pod, shelf: Shelf) -> None:
    for name in ("before-the-migration", "20200101T000000Z", "20209999T000000Z-00000007", "20200101T000000Z-XXXXXXXX"):
        shelf.put(f"{JOB}/{name}/data.dump.zst", CONTENT)
    shelf.put("shop/other-0a1b2c3d/20200101T000000Z-00000007/data.dump.zst", CONTENT)
    before = shelf.stored

    cleaned(pod.run(plan(shelf)))

    assert shelf.stored == before


def test_a_read_only_location_keeps_it(pod: Pod, shelf: Shelf) -> None:
    left(shelf, OLD)
    before = shelf.stored
    looked_at = msgspec.structs.replace(plan(shelf), read_only=[shelf.target.location])

    cleaned(pod.run(looked_at))

    assert shelf.stored == before


def test_a_folder_that_has_changed_since_it_was_seen_stays(shelf: Shelf) -> None:
    path = left(shelf, OLD, 7, "data.dump.zst", "pending.json")
    seen = Folder(path, {"data.dump.zst": len(CONTENT), "pending.json": len(CONTENT)})
    shelf.put(f"{path}/manifest.json", CONTENT)  # a retry completes it
    before = shelf.stored

    assert not unfinished.remove(opened(shelf.target), seen)

    assert shelf.stored == before


def test_what_was_half_sent_by_a_killed_runner_goes_too(pod: Pod, shelf: Shelf) -> None:
    old, young = (f"{JOB}/{run_folder('0000000a', NOW - timedelta(days=days))}" for days in (OLD, YOUNG))
    for folder in (old, young):
        shelf.begin(f"{folder}/data.dump.zst")
    storage = opened(shelf.target)
    assert {key.rpartition("/")[0] for key in storage.partial(JOB)} == {old, young}

    ended = pod.run(plan(shelf))

    assert cleaned(ended).warnings == []
    assert [line["folder"] for line in removed(ended)] == [old]
    assert storage.partial(JOB) == {f"{young}/data.dump.zst"}


def test_an_interrupted_removal_is_gone_on_with(pod: Pod, shelf: Shelf) -> None:
    folder = left(shelf, OLD)
    shelf.delete(f"{folder}/pending.json")

    cleaned(pod.run(plan(shelf)))

    assert shelf.stored == set()
