"""Healing: which copies are made again, and from where."""

from typing import Any

import pytest

from dataguardian.domain import report as reports
from dataguardian.domain.catalogue import Entry
from dataguardian.domain.healing import Healing, healed, healing
from dataguardian.domain.report import Report, StoredCopy
from dataguardian.errors import BackupCorrupt
from dataguardian.resources.backup import BackupExecutionStatus, BackupJob, Copy
from dataguardian.resources.storage_location import StorageLocation
from tests.unit.entries import CopyState, entry, key_of
from tests.unit.objects import backup_job, bucket

BOTH = [{"name": "primary"}, {"name": "offsite"}]


def location(name: str, phase: str = "Available", **spec: Any) -> StorageLocation:
    there = bucket(**spec)
    meta = there.metadata.model_copy(update={"name": name})
    return there.model_copy(update={"metadata": meta, "status": there.status.model_copy(update={"phase": phase})})


def job(**spec: Any) -> BackupJob:
    return backup_job(**{"storage": {"locations": BOTH}, **spec})


def heal(backup: Entry, of: BackupJob | None = None, *locations: StorageLocation) -> Healing | None:
    there = {"primary": location("primary"), "offsite": location("offsite")}
    return healing(backup, of or job(), there | {each.metadata.name: each for each in locations})


def names(found: Healing | None) -> tuple[list[str], list[str]] | None:
    if found is None:
        return None
    return (
        [each.metadata.name for each in found.sources],
        [each.metadata.name for each in found.targets],
    )


@pytest.mark.parametrize("state", ["Failed", "Missing"])
def test_a_copy_that_is_not_there_is_made_from_one_that_is(state: CopyState) -> None:
    found = heal(entry(copies={"primary": "Stored", "offsite": state}))

    assert names(found) == (["primary"], ["offsite"])
    assert found is not None
    assert found.key == key_of(1)


@pytest.mark.parametrize(
    ("copies", "why"),
    [
        ({"primary": "Stored", "offsite": "Stored"}, "nothing is missing"),
        ({"primary": "Stored", "offsite": "Removed"}, "retention has removed it"),
        ({"primary": "Stored"}, "it was never to be there"),
        ({"primary": "Missing", "offsite": "Failed"}, "there is no good copy"),
        ({"primary": "Stored", "third": "Failed"}, "the job does not name it"),
    ],
)
def test_nothing_is_copied_when(copies: dict[str, CopyState], why: str) -> None:
    assert heal(entry(copies=copies)) is None, why


def test_a_failed_run_has_no_backup_to_copy() -> None:
    assert heal(entry(copies={"primary": "Stored", "offsite": "Failed"}, phase="Failed")) is None


def test_what_no_rule_keeps_is_not_copied() -> None:
    copies: dict[str, CopyState] = {"primary": "Stored", "offsite": "Failed"}
    ruled = job(retention={"maxBackups": 3})

    assert heal(entry(copies=copies), ruled) is None
    assert heal(entry(copies=copies, kept_by=("maxBackups 1/3",)), ruled) is not None


def test_a_job_that_writes_to_the_first_location_that_works_wants_no_other_copy() -> None:
    fallback = job(storage={"strategy": "Fallback", "locations": BOTH})

    assert heal(entry(copies={"primary": "Failed", "offsite": "Stored"}), fallback) is None


@pytest.mark.parametrize(
    "target",
    [location("offsite", "Unreachable"), location("offsite", "Full"), location("offsite", accessMode="ReadOnly")],
    ids=["unreachable", "full", "read-only"],
)
def test_a_location_that_takes_no_backups_now_is_waited_for(target: StorageLocation) -> None:
    assert heal(entry(copies={"primary": "Stored", "offsite": "Failed"}), None, target) is None


def test_a_copy_in_an_unreachable_location_is_no_source() -> None:
    away = location("primary", "Unreachable")

    assert heal(entry(copies={"primary": "Stored", "offsite": "Failed"}), None, away) is None


def status(**states: CopyState) -> BackupExecutionStatus:
    return BackupExecutionStatus(
        copies=[Copy(location=name, key=key_of(1), state=state) for name, state in states.items()]
    )


def test_a_copy_that_was_made_is_stored() -> None:
    report = Report(completed=True, copies=[StoredCopy(location="offsite", key=key_of(1), stored=True)])

    after = healed(status(primary="Stored", offsite="Missing"), report, ["offsite"])

    assert after == status(primary="Stored", offsite="Stored")


def test_a_copy_that_failed_says_why() -> None:
    report = reports.failed(BackupCorrupt("No source has it whole.", remedy="Look."), "copy")

    after = healed(status(primary="Stored", offsite="Failed"), report, ["offsite"])

    assert after.copies[1].model_dump() == {
        "location": "offsite",
        "key": key_of(1),
        "state": "Failed",
        "reason": "No source has it whole.",
    }


def test_a_copy_that_retention_removed_meanwhile_stays_removed() -> None:
    report = Report(completed=True, copies=[StoredCopy(location="offsite", key=key_of(1), stored=True)])
    before = status(primary="Removed", offsite="Removed")

    assert healed(before, report, ["offsite"]) == before
