"""What ended RestoreRequests say of the backups that they read."""

from datetime import datetime, timedelta
from functools import reduce
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguardian.domain.evidence import Evidence, evidence_of, is_about, proven, verification
from dataguardian.resources.backup import Recoverability, Verdict
from dataguardian.resources.restore import RestoreRequestStatus
from tests.unit.entries import NOW, entry
from tests.unit.objects import restore_request

PASSED = {"result": "Passed", "tables": 1, "rows": 1, "sequences": 0, "sampledRows": 1, "differenceCount": 0}
VERIFY: dict[str, Any] = {"verificationMode": True, "confirmationPhrase": "VERIFICAR RESTORE"}


def ended(phase: str, code: str | None = None, *, status: dict[str, Any] | None = None, **spec: Any) -> Evidence | None:
    error = {"code": code, "step": "load", "message": "m", "remedy": "r"} if code else None
    whole: dict[str, Any] = {
        "phase": phase,
        "startTime": "2026-11-24T03:00:00Z",
        "completionTime": "2026-11-24T04:00:00Z",
        "backupJob": "nightly",
        "error": error,
        **(status or {}),
    }
    if phase == "Completed" and "verificationMode" in spec:
        whole = {"verification": PASSED, **whole}
    read = RestoreRequestStatus.model_validate(whole)
    return evidence_of(restore_request(**spec).model_copy(update={"status": read}))


def found(
    hours: int, verdict: Verdict | None = None, *, backup: str = "nightly-1", seconds: int | None = None
) -> Evidence:
    """A run that ended so many hours ago."""
    at = NOW - timedelta(hours=hours)
    return Evidence(
        namespace="shop", job="nightly", backup=backup, began=at, ended=at, verdict=verdict, restore_seconds=seconds
    )


@pytest.mark.parametrize("code", ["verification-failed", "backup-corrupt", "load-failed"])
def test_a_verification_that_finds_fault_with_the_backup_says_so(code: str) -> None:
    evidence = ended("Failed", code, **VERIFY)

    assert evidence is not None
    assert (evidence.job, evidence.backup, evidence.verdict) == ("nightly", "nightly-1", "Failed")


@pytest.mark.parametrize(
    ("phase", "code"),
    [
        ("Failed", "permission-refused"),
        ("Failed", "database-unavailable"),
        ("Failed", "storage-unavailable"),
        ("Failed", "prerequisite-missing"),
        ("Failed", "out-of-memory"),
        ("Cancelled", "cancelled"),
    ],
)
def test_what_keeps_a_verification_from_its_end_says_nothing_of_the_backup(phase: str, code: str) -> None:
    assert ended(phase, code, **VERIFY) is None


def test_a_restore_finds_stored_bytes_corrupt_and_proves_nothing_else() -> None:
    corrupt = ended("Failed", "backup-corrupt")

    assert corrupt is not None
    assert corrupt.verdict == "Failed"
    assert ended("Failed", "load-failed") is None
    assert ended("Completed") is None


def test_what_was_completed_is_measured_and_what_failed_is_not() -> None:
    measured: dict[str, Any] = {"restoreSeconds": 90, "dumpBytes": 2048}
    restore, verify = ended("Completed", status=measured), ended("Completed", status=measured, **VERIFY)
    failed = ended("Failed", "verification-failed", status=measured, **VERIFY)

    assert restore is not None
    assert (restore.verdict, restore.restore_seconds, restore.restored_bytes) == (None, 90, 2048)
    assert verify is not None
    assert (verify.verdict, verify.restore_seconds) == ("Passed", 90)
    assert failed is not None
    assert failed.restore_seconds is None


@pytest.mark.parametrize("verification", [None, {**PASSED, "result": "Failed"}])
def test_a_verification_that_tells_of_no_comparison_that_was_passed_proves_nothing(verification: Any) -> None:
    assert ended("Completed", status={"verification": verification}, **VERIFY) is None


def test_a_dry_run_says_nothing() -> None:
    assert ended("Completed", dryRun=True, **VERIFY) is None


@pytest.mark.parametrize("missing", [{"backupJob": None}, {"startTime": None}, {"completionTime": None}])
def test_without_a_job_or_before_its_end_a_run_says_nothing(missing: dict[str, Any]) -> None:
    assert ended("Completed", status=missing, **VERIFY) is None


def test_a_run_by_the_key_of_a_manifest_speaks_of_the_entry_that_it_was_found_to_be_of_or_of_none() -> None:
    source = {"storageLocationRef": {"name": "primary"}, "key": "shop/manifest.json"}
    by_key: dict[str, Any] = {"backupExecutionRef": None, "source": source}

    assert ended("Completed", **VERIFY, **by_key) is None
    known = ended("Completed", status={"backupExecution": "nightly-7"}, **VERIFY, **by_key)
    assert known is not None
    assert known.backup == "nightly-7"


def test_a_backup_that_took_the_name_of_the_one_that_was_verified_is_not_proven() -> None:
    assert is_about(found(1), entry(1, age=timedelta(hours=2)))
    assert not is_about(found(3), entry(1, age=timedelta(hours=2)))
    assert not is_about(found(1), entry(2, age=timedelta(hours=2)))


def after(*evidence: Evidence) -> tuple[Verdict | None, datetime | None, datetime | None]:
    """What the entry says then: the verdict, when it was made, and when the backup was last found to be whole."""
    last: tuple[Verdict | None, datetime | None, datetime | None] = (None, None, None)
    for each in evidence:
        last = verification(each, *last)
    return last


def test_the_latest_verification_of_a_backup_counts_and_a_failed_one_keeps_the_time_of_the_last_that_passed() -> None:
    passed, failed = found(2, "Passed"), found(1, "Failed")

    assert after(passed, failed) == ("Failed", failed.ended, passed.ended)
    assert after(failed, found(0, "Passed")) == ("Passed", NOW, NOW)
    assert after(found(0, seconds=3)) == (None, None, None)


def test_a_pass_that_is_told_late_hides_no_newer_failure() -> None:
    passed, failed = found(2, "Passed"), found(1, "Failed")

    assert after(failed, passed) == after(passed, failed)


def test_a_failed_verification_clears_nothing_and_one_that_passes_later_clears_it() -> None:
    passed = proven(Recoverability(), found(3, "Passed", backup="a"))
    failed = proven(passed, found(2, "Failed", backup="b"))
    again = proven(failed, found(1, "Passed", backup="c"))

    assert (failed.verified_backup, failed.failed_backup) == ("a", "b")
    assert (again.verified_backup, again.failed_backup, again.failed_time) == ("c", None, None)


def test_the_last_restore_is_the_measured_one_whatever_is_seen_last() -> None:
    newest = proven(Recoverability(), found(1, seconds=60))

    assert proven(newest, found(2, seconds=10)) == newest
    assert proven(newest, found(0, seconds=20)).restore_seconds == 20


kinds = st.sampled_from([("Passed", None), ("Passed", 5), ("Failed", None), (None, 7)])


@given(st.lists(st.tuples(st.integers(0, 50), kinds), max_size=4, unique_by=lambda each: each[0]))
def test_in_whatever_order_and_however_often_evidence_comes_the_same_is_known(
    runs: list[tuple[int, tuple[Verdict | None, int | None]]],
) -> None:
    evidence = [found(hours, verdict, backup=f"b-{hours}", seconds=seconds) for hours, (verdict, seconds) in runs]
    entries = [after(*order) for order in permutations(evidence)]
    once = [reduce(proven, order, Recoverability()) for order in permutations(evidence)]
    twice = [reduce(proven, (*order, *order), Recoverability()) for order in permutations(evidence)]

    assert all(result == once[0] for result in (*once, *twice))
    assert all(result == entries[0] for result in entries)
