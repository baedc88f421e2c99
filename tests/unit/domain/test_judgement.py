"""Jobs are judged by their entries when something has changed, and cleaned up where something is to be deleted."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguardian.domain.catalogue import Entry
from dataguardian.domain.judgement import Judged, digest, held_backups, is_due, judged, observed, refuted
from dataguardian.domain.policies import retention_policy
from dataguardian.domain.told import BackupKept, RemovalDeferred, Told
from dataguardian.resources.backup import BackupJob, RetentionStatus
from tests.unit.entries import NOW, entry, id_of, key_of
from tests.unit.objects import backup_job

HOUR = timedelta(hours=1)


def deferred(number: int) -> RemovalDeferred:
    name, key = f"nightly-{number}", key_of(number)
    return RemovalDeferred(execution_id=id_of(number), execution_name=name, location="primary", key=key, reason="")


def backups(*hours_old: int) -> list[Entry]:
    return [entry(hours, age=hours * HOUR) for hours in hours_old]


def job(known: RetentionStatus | None = None, /, **retention: Any) -> BackupJob:
    made = backup_job(retention=retention)
    return made.model_copy(update={"status": made.status.model_copy(update={"retention": known})})


def seen(entries: list[Entry], next_check: datetime | None = None) -> RetentionStatus:
    """What the job's status says after these were judged."""
    return RetentionStatus(observed_generation=1, observed_backups=digest(entries), next_check_time=next_check)


def judge(of: BackupJob, entries: list[Entry]) -> Judged:
    policy = retention_policy(of)
    assert policy is not None
    return judged(of, policy, entries, now=NOW)


def kept(found: Judged) -> dict[str, list[str]]:
    return {line.execution_name: line.kept_by for line in found.told}


def test_a_job_is_judged_when_its_rules_or_its_backups_are_others_or_a_time_has_come() -> None:
    before, after = backups(2, 3), backups(1, 2, 3)

    assert is_due(job(maxBackups=3), before, now=NOW)
    assert not is_due(job(seen(before), maxBackups=3), before, now=NOW)
    assert is_due(job(seen(before), maxBackups=3), after, now=NOW)
    assert is_due(job(seen(before).model_copy(update={"observed_generation": 0}), maxBackups=3), before, now=NOW)
    assert not is_due(job(seen(before, NOW + HOUR), maxBackups=3), before, now=NOW)
    assert is_due(job(seen(before, NOW), maxBackups=3), before, now=NOW)


def test_a_job_without_a_rule_or_without_a_backup_of_its_own_is_not_judged() -> None:
    (copy,) = entry().copies
    of_another = replace(entry(), copies=(replace(copy, key="shop/nightly-ffffffff/1/manifest.json"),))

    assert not is_due(job(), backups(1), now=NOW)
    assert not is_due(job(maxBackups=3), [], now=NOW)
    assert not is_due(job(maxBackups=3), [of_another], now=NOW)
    assert not is_due(job(maxBackups=3), [entry(copies={"primary": "Removed"})], now=NOW)


def test_failed_runs_are_a_reason_to_look_only_where_what_they_left_is_to_go() -> None:
    failed = [entry(phase="Failed", copies={"primary": "Failed"})]

    assert not is_due(job(maxBackups=3), failed, now=NOW)
    assert is_due(job(unfinishedMaxAge="24h"), failed, now=NOW)


def test_no_cleanup_is_needed_while_every_backup_is_kept_and_each_says_why() -> None:
    found = judge(job(maxBackups=3), backups(1, 2))

    assert not found.needs_cleanup
    assert (found.report.backups, found.report.expired, found.report.next_expiry) == (2, 0, None)
    assert kept(found) == {"nightly-1": ["maxBackups 1/3", "newest good backup"], "nightly-2": ["maxBackups 2/3"]}


def test_a_cleanup_is_needed_for_what_no_rule_keeps() -> None:
    found = judge(job(maxBackups=1), backups(1, 2))

    assert found.needs_cleanup
    assert found.report.expired == 1
    assert kept(found)["nightly-2"] == []


def test_with_auto_delete_off_no_cleanup_is_ever_needed() -> None:
    found = judge(job(maxBackups=1, unfinishedMaxAge="1h", autoDelete=False), backups(1, 2))

    assert not found.needs_cleanup
    assert found.report.expired == 1


def test_a_backup_becomes_too_old_by_the_time_of_its_dump() -> None:
    retried = replace(entry(1, age=HOUR), dumped=NOW - 30 * HOUR)
    fresh = entry(2, age=HOUR)

    found = judge(job(maxAge="24h"), [retried, fresh])

    assert kept(found)["nightly-1"] == []
    assert found.report.next_expiry is None  # the newest good one stays


def test_what_runs_left_is_looked_for_when_the_rule_is_new_and_when_its_time_has_come() -> None:
    stored = backups(1)

    assert judge(job(unfinishedMaxAge="24h"), stored).needs_cleanup
    assert not judge(job(seen(stored, NOW + HOUR), unfinishedMaxAge="24h"), stored).needs_cleanup
    assert judge(job(seen(stored, NOW), unfinishedMaxAge="24h"), stored).needs_cleanup


def test_an_unknown_time_zone_fails_the_judgement_of_that_job_alone() -> None:
    found = judge(backup_job(retention={"keepDaily": 1}, timeZone="Mars/Base"), backups(1))

    assert not found.needs_cleanup
    assert found.report.failure is not None
    assert "Mars/Base" in found.report.failure.message


def test_a_backup_that_came_during_a_cleanup_is_judged_after_it() -> None:
    old, waiting, new = entry(1), entry(2), replace(entry(3), seen=NOW + HOUR)
    told: list[Told] = [
        BackupKept(execution_id=id_of(1), execution_name="nightly-1", kept_by=["maxBackups 1/1"]),
        deferred(2),
    ]
    touched = replace(waiting, seen=NOW + HOUR)  # by what the cleanup told

    assert observed([old, touched, new], told, began=NOW) == digest([old, waiting])


def test_a_backup_that_a_cleanup_did_not_find_is_no_reason_for_another_one() -> None:
    assert observed([entry(1), entry(2)], [], began=NOW) == digest([entry(1), entry(2)])


@given(st.lists(st.integers(1, 50), unique=True), st.randoms())
def test_the_digest_tells_sets_of_stored_backups_apart_and_nothing_else(hours: list[int], random: Any) -> None:
    entries = backups(*hours)
    shuffled = [*entries, entry(99, copies={"primary": "Removed"})]
    random.shuffle(shuffled)

    assert digest(shuffled) == digest(entries)
    assert digest([*entries, entry(100)]) != digest(entries)


def test_a_job_is_judged_again_when_a_backup_is_held_or_let_go() -> None:
    entries, held = backups(1, 2), {id_of(2): "safetyBackup back"}
    known = seen(entries).model_copy(update={"observed_backups": digest(entries, held)})

    assert is_due(job(seen(entries), maxBackups=1), entries, now=NOW, held=held)
    assert not is_due(job(known, maxBackups=1), entries, now=NOW, held=held)
    assert is_due(job(known, maxBackups=1), entries, now=NOW)
    assert observed(entries, [], began=NOW, held=held) == digest(entries, held)


def test_a_held_backup_needs_no_cleanup_and_is_told_with_who_holds_it() -> None:
    entries, policy = backups(1, 2), retention_policy(job(maxBackups=1))
    held = held_backups(entries, {"nightly-2": "safetyBackup back", "other": "restore another"})
    assert policy is not None

    found = judged(job(maxBackups=1), policy, entries, now=NOW, held=held)

    assert kept(found)["nightly-2"] == ["safetyBackup back"]
    assert not found.needs_cleanup


def test_a_backup_whose_verification_failed_pushes_no_good_one_out() -> None:
    bad, good, older = entry(1, age=HOUR, verification="Failed"), entry(2, age=2 * HOUR), entry(3, age=3 * HOUR)

    found = judge(job(maxBackups=1), [bad, good, older])

    assert kept(found) == {
        "nightly-1": ["maxBackups 1/1", "no newer good backup"],
        "nightly-2": ["maxBackups 1/1", "newest good backup"],
        "nightly-3": [],
    }
    assert refuted([bad, good, entry(4, copies={"primary": "Removed"}, verification="Failed")]) == [id_of(1)]


def test_a_job_is_judged_again_when_a_verification_of_a_backup_fails_or_passes() -> None:
    before, after = [entry(1), entry(2)], [entry(1, verification="Failed"), entry(2)]

    assert is_due(job(seen(before), maxBackups=1), after, now=NOW)
    assert not is_due(job(seen(after), maxBackups=1), after, now=NOW)
    assert is_due(job(seen(after), maxBackups=1), before, now=NOW)
    # One that fails while a cleanup goes on is judged after it.
    assert observed(after, [], began=NOW) == digest(before)
    assert observed(after, [], began=NOW, refuted=[id_of(1)]) == digest(after)


@pytest.mark.parametrize("state", ["Failed", "Missing", "Removed"])
def test_only_what_is_stored_is_judged(state: Any) -> None:
    found = judge(job(maxBackups=1), [entry(1, copies={"primary": state}, age=HOUR), entry(2, age=2 * HOUR)])

    assert kept(found) == {"nightly-2": ["maxBackups 1/1", "newest good backup"]}
    assert not found.needs_cleanup
