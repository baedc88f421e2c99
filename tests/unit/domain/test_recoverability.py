"""A BackupJob says that its database can be brought back as intended only when it can."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dataguardian.domain.catalogue import Entry
from dataguardian.domain.conditions import RECOVERABLE, ConditionStatus
from dataguardian.domain.evidence import Evidence
from dataguardian.domain.recoverability import assessed, next_change, turn
from dataguardian.resources.backup import BackupJob, Recoverability, Verdict
from dataguardian.resources.common import Condition
from tests.unit.entries import NOW, entry
from tests.unit.objects import backup_job

WIDELY = settings(max_examples=200, deadline=None)
DAY = timedelta(days=1)
INSTANT = datetime.resolution


def job(*, known: dict[str, Any] | None = None, **objectives: str) -> BackupJob:
    made = backup_job(objectives=objectives)
    status = made.status.model_copy(update={"recoverability": Recoverability(**known) if known else None})
    return made.model_copy(update={"status": status})


def after(of: BackupJob, *entries: Entry, evidence: tuple[Evidence, ...] = (), now: datetime = NOW) -> BackupJob:
    """The job as it is once it was assessed."""
    return of.model_copy(update={"status": assessed(of, entries, evidence, now=now)})


def told(of: BackupJob) -> Condition:
    return next(each for each in of.status.conditions if each.type == RECOVERABLE)


def verdict(of: BackupJob, *entries: Entry, now: datetime = NOW) -> tuple[str, str]:
    condition = told(after(of, *entries, now=now))
    return condition.status, condition.reason


def found(of: BackupJob, *entries: Entry, now: datetime = NOW) -> Recoverability:
    known = after(of, *entries, now=now).status.recoverability
    assert known is not None
    return known


def test_what_was_backed_up_of_another_datasource_says_nothing_of_this_one() -> None:
    """spec.datasourceRef was changed, or a new job has taken an old one's name."""
    stock = entry(1, datasource="stock", verification="Passed", verified=NOW - timedelta(minutes=30))
    proven = {"verified_time": NOW - timedelta(minutes=30), "verified_backup": "nightly-1", "restore_seconds": 9}
    proof = Evidence(
        namespace="shop", job="nightly", backup="nightly-1", began=NOW, ended=NOW, verdict="Passed", restore_seconds=9
    )

    assert verdict(job(), stock) == ("False", "NoBackup")
    known = after(job(known=proven), stock, entry(2), evidence=(proof,)).status.recoverability
    assert known == Recoverability(recoverable_to=NOW - timedelta(hours=1), backup="nightly-2")
    unknown = entry(3, datasource=None)  # an import whose manifest does not tell
    assert verdict(job(), stock, unknown) == ("True", "AsIntended")
    assert next_change(after(job(recoveryPoint="24h"), stock), [stock], now=NOW) is None


def test_backups_in_locations_that_do_not_answer_or_exist_bring_nothing_back() -> None:
    near, both = entry(1), entry(2, copies={"primary": "Stored", "offsite": "Stored"}, age=2 * DAY)

    lost = assessed(job(), [near, entry(3, copies={"offsite": "Removed"})], now=NOW, away=["primary", "offsite"])
    saved = assessed(job(), [near, both], now=NOW, away=["primary"])

    condition = next(each for each in lost.conditions if each.type == RECOVERABLE)
    assert (condition.status, condition.reason) == ("False", "LocationUnavailable")
    assert "'primary'" in condition.message
    assert "offsite" not in condition.message
    assert saved.recoverability == Recoverability(recoverable_to=both.dumped, backup="nightly-2")


def test_without_objectives_a_job_with_one_good_backup_is_recoverable_to_the_moment_of_its_data() -> None:
    known = found(job(), entry(1), entry(2, age=2 * DAY))

    assert verdict(job(), entry(1)) == ("True", "AsIntended")
    assert (known.recoverable_to, known.backup) == (NOW - timedelta(hours=1), "nightly-1")


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [entry(phase="Failed")],
        [entry(phase="Cancelled", copies={})],
        [entry(copies={"primary": "Missing"})],
        [entry(copies={"primary": "Removed"})],
        [entry(age=-DAY)],
        [entry(verification="Failed")],
    ],
)
def test_without_a_good_backup_nothing_can_be_brought_back(entries: list[Entry]) -> None:
    known = found(job(), *entries)

    assert verdict(job(), *entries) == ("False", "NoBackup")
    assert (known.recoverable_to, known.backup) == (None, None)


def test_a_backup_that_failed_its_verification_is_not_what_can_be_brought_back() -> None:
    bad, good = entry(1, verification="Failed"), entry(2, age=DAY)

    assert found(job(), bad, good).backup == "nightly-2"


def test_at_the_limit_the_recovery_point_is_met_and_after_it_is_missed() -> None:
    asked, last = job(recoveryPoint="24h"), entry(age=DAY)

    assert verdict(asked, last) == ("True", "AsIntended")
    assert verdict(asked, last, now=NOW + INSTANT) == ("False", "RecoveryPointMissed")


def test_at_the_limit_a_verification_is_in_time_and_after_it_is_overdue() -> None:
    asked, proof = job(verifiedWithin="24h"), entry(age=2 * DAY, verification="Passed", verified=NOW - DAY)

    assert verdict(asked, proof) == ("True", "AsIntended")
    assert verdict(asked, proof, now=NOW + INSTANT) == ("False", "VerificationOverdue")


def test_a_job_that_is_to_be_verified_and_never_was_is_not_as_intended() -> None:
    assert verdict(job(verifiedWithin="24h"), entry()) == ("False", "NeverVerified")
    assert verdict(job(), entry()) == ("True", "AsIntended")


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (3600, ("True", "AsIntended")),
        (3601, ("False", "RecoveryTimeExceeded")),
        (None, ("Unknown", "RecoveryTimeUnknown")),
    ],
)
def test_the_last_restore_is_compared_with_the_recovery_time(seconds: int | None, expected: tuple[str, str]) -> None:
    assert verdict(job(known={"restore_seconds": seconds}, recoveryTime="1h"), entry()) == expected


def test_what_is_missed_hides_that_something_else_is_unknown() -> None:
    condition = told(after(job(recoveryTime="1h", recoveryPoint="1h"), entry(age=DAY)))

    assert (condition.status, condition.reason) == ("False", "RecoveryPointMissed")
    assert "recoveryTime" in condition.message


def test_the_worst_comes_first_and_all_that_is_missed_is_told_with_figures() -> None:
    asked = job(known={"restore_seconds": 3700}, recoveryPoint="24h", recoveryTime="1h", verifiedWithin="168h")
    condition = told(after(asked, entry(1, age=2 * DAY), entry(2, age=3 * DAY, verification="Failed")))

    assert condition.reason == "RecoveryPointMissed"
    parts = ["nightly-1", "2026-11-22T12:00:00Z", "24h", "nightly-2", "168h", "1h1m40s"]
    places = [condition.message.find(part) for part in parts]
    assert -1 not in places


def test_a_suspended_job_is_judged_too_and_told_what_to_do() -> None:
    condition = told(after(backup_job(objectives={"recoveryPoint": "1h"}, suspend=True), entry(age=DAY)))

    assert condition.reason == "RecoveryPointMissed"
    assert "spec.suspend" in condition.message


def at(hours: int, verdict: Verdict, backup: str) -> Evidence:
    """A verification that ended so many hours ago."""
    moment = NOW - timedelta(hours=hours)
    return Evidence(namespace="shop", job="nightly", backup=backup, began=moment, ended=moment, verdict=verdict)


def test_after_a_failed_verification_a_newer_backup_is_trusted_once_one_has_passed() -> None:
    failed = after(job(), entry(1, age=2 * DAY, verification="Failed"), evidence=(at(3, "Failed", "nightly-1"),))
    new = after(failed, entry(1, age=2 * DAY, verification="Failed"), entry(2))
    passed = entry(2, verification="Passed", verified=NOW)
    cured = after(new, entry(1, age=2 * DAY, verification="Failed"), passed)

    assert (told(new).status, told(new).reason) == ("False", "VerificationFailed")
    assert new.status.recoverability is not None
    assert new.status.recoverability.backup == "nightly-2"
    assert told(cured).reason == "AsIntended"


def test_a_failed_verification_is_told_after_its_backup_is_gone() -> None:
    failed = after(job(), entry(1, verification="Failed"), evidence=(at(3, "Failed", "nightly-1"),))

    assert told(after(failed, entry(2))).reason == "VerificationFailed"


def test_an_older_backup_that_passes_says_where_to_restore_from_and_not_that_backups_are_good_again() -> None:
    old = entry(1, age=2 * DAY, verification="Passed", verified=NOW)
    failed = after(job(), old, entry(2, age=DAY, verification="Failed"), evidence=(at(3, "Failed", "nightly-2"),))

    assert told(failed).reason == "VerificationFailed"
    assert "nightly-1 of 2026-11-22T12:00:00Z is the newest that passed" in told(failed).message


def test_an_older_backup_that_fails_is_no_alarm_when_a_newer_one_has_passed_since() -> None:
    entries = entry(1, age=2 * DAY, verification="Failed"), entry(2, verification="Passed", verified=NOW)

    assert verdict(job(), *entries) == ("True", "AsIntended")


def test_a_job_that_was_made_anew_knows_what_its_backups_have_passed() -> None:
    known = found(job(), entry(1, verification="Passed", verified=NOW - DAY))

    assert (known.verified_backup, known.verified_time) == ("nightly-1", NOW - DAY)


def test_a_judgement_that_is_the_same_says_the_same_later() -> None:
    first = after(job(recoveryPoint="1h"), entry(age=DAY))

    assert after(first, entry(age=DAY), now=NOW + DAY).status == first.status


def test_events_tell_of_turns_only() -> None:
    def conditions(status: ConditionStatus | None) -> list[Condition]:
        said = {"reason": "R", "message": "m", "last_transition_time": NOW}
        return [Condition(type=RECOVERABLE, status=status, **said)] if status else []

    def turned(before: ConditionStatus | None, after: ConditionStatus) -> bool:
        return turn(conditions(before), conditions(after)) is not None

    assert turned("True", "False")
    assert turned("False", "True")
    assert turned("Unknown", "False")
    assert not turned("False", "False")
    assert not turned("True", "Unknown")
    assert not turned(None, "False")  # of a job that has just been made


limits = st.one_of(st.none(), st.integers(0, 72).map(lambda hours: f"{hours}h"))
verdicts: st.SearchStrategy[Verdict | None] = st.sampled_from([None, "Passed", "Failed"])


@st.composite
def jobs(draw: st.DrawFn) -> BackupJob:
    asked = {name: draw(limits) for name in ("recoveryPoint", "verifiedWithin", "recoveryTime")}
    known = {"restore_seconds": draw(st.one_of(st.none(), st.integers(0, 7200)))}
    objectives = {name: limit for name, limit in asked.items() if limit is not None}
    return job(known=known, **objectives)


@st.composite
def some_entries(draw: st.DrawFn, *, oldest: int = 100, youngest: int = -10) -> list[Entry]:
    made = []
    for number in range(draw(st.integers(0, 4))):
        found = draw(verdicts)
        age = timedelta(hours=draw(st.integers(youngest, oldest)))
        made.append(
            entry(
                number,
                age=age,
                phase=draw(st.sampled_from(["Completed", "Completed", "Failed"])),
                copies={"primary": draw(st.sampled_from(["Stored", "Stored", "Missing"]))},
                verification=found,
                verified=NOW - timedelta(hours=draw(st.integers(0, 100))) if found == "Passed" else None,
            )
        )
    return made


@WIDELY
@given(jobs(), some_entries(youngest=0), st.integers(1, 50))
def test_an_older_newest_backup_makes_nothing_right(of: BackupJob, entries: list[Entry], hours: int) -> None:
    good = [each for each in entries if each.good]
    assume(good and verdict(of, *entries)[0] == "False")
    newest = max(good, key=lambda each: each.dumped)
    older = _aged(newest, hours)

    assert verdict(of, *[older if each is newest else each for each in entries])[0] == "False"


def _aged(of: Entry, hours: int) -> Entry:
    number = int(of.name.rpartition("-")[2])
    age = NOW - of.dumped + timedelta(hours=hours)
    return entry(number, age=age, verification=of.verification, verified=of.verified)


@WIDELY
@given(jobs(), some_entries())
def test_the_judgement_changes_when_it_is_told_to_and_not_before(of: BackupJob, entries: list[Entry]) -> None:
    now = after(of, *entries)
    change = next_change(now, entries, now=NOW)
    just_before = change - INSTANT if change else NOW + 10000 * DAY

    assert after(now, *entries, now=just_before).status == now.status
    if change:
        assert change > NOW
        assert after(now, *entries, now=change).status != now.status


@WIDELY
@given(jobs(), some_entries())
def test_assessing_twice_is_assessing_once(of: BackupJob, entries: list[Entry]) -> None:
    once = after(of, *entries)

    assert after(once, *entries).status == once.status


@WIDELY
@given(jobs(), some_entries())
def test_a_miss_is_told_by_a_sentence_with_a_remedy_and_never_too_long(of: BackupJob, entries: list[Entry]) -> None:
    condition = told(after(of, *entries))

    assert 20 < len(condition.message) < 1024
    assert condition.message.endswith(".")
