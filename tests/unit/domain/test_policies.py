"""A job's retention: the policy, when it is judged again, and what a judgement changes."""

from datetime import timedelta
from typing import Any

import pytest

from dataguardian.domain import report as reports
from dataguardian.domain.plan import RetentionPolicy
from dataguardian.domain.policies import (
    caught_up,
    decisions,
    put_off,
    retention_policy,
    retention_status,
    unfinished_before,
)
from dataguardian.domain.report import Report
from dataguardian.domain.told import BackupKept, BackupRemoved, RemovalDeferred, Told
from dataguardian.errors import StorageUnavailable
from dataguardian.resources.backup import BackupExecutionStatus, Copy, RetentionStatus
from tests.unit.entries import NOW, entry, id_of, key_of
from tests.unit.objects import backup_job

HOUR = timedelta(hours=1)


def kept(number: int, *rules: str) -> BackupKept:
    return BackupKept(execution_id=id_of(number), execution_name=f"nightly-{number}", kept_by=list(rules))


def removed(number: int, location: str = "primary") -> BackupRemoved:
    return BackupRemoved(
        execution_id=id_of(number),
        execution_name=f"nightly-{number}",
        location=location,
        key=key_of(number),
        reason="No rule keeps it: maxBackups 3",
    )


def deferred(number: int, location: str = "offsite", reason: str = "It is locked.") -> RemovalDeferred:
    return RemovalDeferred(
        execution_id=id_of(number),
        execution_name=f"nightly-{number}",
        location=location,
        key=key_of(number),
        reason=reason,
    )


def status_after(report: Report, put_off: list[str], known: RetentionStatus | None = None, **times: Any) -> Any:
    whole: dict[str, Any] = {"retry": None, "look": None, **times}
    return retention_status(known, report, put_off, generation=2, backups="digest", now=NOW, **whole)


def test_the_policy_has_every_rule_of_the_job() -> None:
    rules = {"maxBackups": 3, "maxAge": "1h30m", "keepDaily": 7, "keepWeekly": 4, "keepMonthly": 12, "keepYearly": 1}

    policy = retention_policy(backup_job(retention=rules, timeZone="Europe/Berlin"))

    assert policy == RetentionPolicy(
        max_backups=3,
        max_age_seconds=5400,
        keep_daily=7,
        keep_weekly=4,
        keep_monthly=12,
        keep_yearly=1,
        time_zone="Europe/Berlin",
    )


def test_a_job_without_a_rule_has_no_policy() -> None:
    assert retention_policy(backup_job(retention={"autoDelete": True})) is None


def test_what_is_unfinished_stays_unless_the_job_says_otherwise_and_a_little_longer_than_a_retry_may_use_it() -> None:
    job = backup_job(retention={"unfinishedMaxAge": "24h"})

    assert unfinished_before(backup_job(), now=NOW) is None
    assert unfinished_before(job, now=NOW) == NOW - timedelta(hours=24, minutes=10)
    assert retention_policy(job) == RetentionPolicy()


def test_a_location_is_caught_up_once_it_was_away_and_is_back() -> None:
    refuses, back = caught_up({"locked": False}, {"locked"})
    assert (refuses, back) == ({"locked": False}, False)

    gone, back = caught_up({"offsite": False}, set())
    assert (gone, back) == ({"offsite": True}, False)

    assert caught_up(gone, {"offsite"})[1]


def test_the_next_judgement_is_the_earliest_of_expiry_retry_and_look() -> None:
    report = Report(completed=True, backups=3, expired=1, next_expiry="2026-11-24T12:30:00Z")

    quiet = status_after(report, [])
    waiting = status_after(report, ["It is locked."], retry=NOW + timedelta(minutes=5))
    looking = status_after(report, [], look=NOW + timedelta(minutes=1))

    assert (quiet.next_check_time, quiet.message) == (NOW + timedelta(minutes=30), None)
    assert (waiting.next_check_time, waiting.message) == (NOW + timedelta(minutes=5), "It is locked.")
    assert looking.next_check_time == NOW + timedelta(minutes=1)
    assert (quiet.last_checked_time, quiet.expired) == (NOW, 1)
    assert (quiet.observed_generation, quiet.observed_backups) == (2, "digest")


def test_a_judgement_that_failed_says_why_and_is_tried_again() -> None:
    known = RetentionStatus(last_checked_time=NOW - HOUR, expired=2)
    report = reports.failed(StorageUnavailable("The store did not answer.", remedy="Look at it."), "cleanup")

    status = status_after(report, [], known, retry=NOW + HOUR)

    assert (status.last_checked_time, status.expired, status.next_check_time) == (NOW - HOUR, 2, NOW + HOUR)
    assert status.message == "The store did not answer. Look at it."


def test_what_cannot_be_removed_or_seen_is_tried_again() -> None:
    told: list[Told] = [kept(1, "maxBackups 1/3"), deferred(2), deferred(3)]

    assert put_off(Report(completed=True), told, []) == ["It is locked."]
    assert len(put_off(Report(completed=True, unread=["third"]), [], ["offsite"])) == 2


def test_decisions_are_shown_until_the_entry_has_them() -> None:
    found = decisions([kept(1, "maxBackups 1/3"), removed(2), removed(2, "offsite"), deferred(3)])

    assert found[id_of(1)].changes(entry(1))
    assert not found[id_of(1)].changes(entry(1, kept_by=("maxBackups 1/3",)))
    assert found[id_of(2)].changes(entry(2, copies={"primary": "Removed", "offsite": "Stored"}))
    assert not found[id_of(2)].changes(entry(2, copies={"primary": "Removed", "offsite": "Removed"}))
    assert found[id_of(3)].changes(entry(3, kept_by=("maxBackups 3/3",)))


def test_only_the_copy_that_was_removed_is_removed() -> None:
    before = BackupExecutionStatus(
        copies=[Copy(location=name, key=key_of(1), state="Stored") for name in ("primary", "offsite")],
        kept_by=["maxBackups 3/3"],
    )

    after = decisions([removed(1)])[id_of(1)].applied(before)

    assert [copy.state for copy in after.copies] == ["Removed", "Stored"]
    assert after.kept_by == []


@pytest.mark.parametrize("rules", [["r" * 100], [f"rule {index}" for index in range(20)]])
def test_rules_are_cut_to_what_the_status_holds(rules: list[str]) -> None:
    decision = decisions([kept(1, *rules)])[id_of(1)]

    BackupExecutionStatus.model_validate(decision.applied(BackupExecutionStatus()).model_dump())
