"""No history, policy, clock or failure costs a good backup that something should have kept."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from dataguardian.domain.plan import RetentionPolicy
from dataguardian.domain.retention import FUTURE, NEWEST, NO_RULE, Backup, Judgement, in_words, judge
from dataguardian.errors import SpecInvalid
from dataguardian.resources.backup import BackupExecutionStatus

WIDELY = settings(max_examples=200, deadline=None)

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
LOCATIONS = ("primary", "offsite", "vault")
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe", "America/St_Johns"]
RULES = ("max_backups", "max_age_seconds", "keep_daily", "keep_weekly", "keep_monthly", "keep_yearly")


def backup(time: datetime | str, number: int = 0, **copies: bool) -> Backup:
    """A backup of the job; good in one location unless said otherwise."""
    moment = time if isinstance(time, datetime) else datetime.fromisoformat(time).replace(tzinfo=UTC)
    name = f"nightly-{moment:%Y%m%d%H%M%S}-{number}"
    return Backup(
        execution_id=f"{number:08d}-{moment:%Y%m%d%H%M%S}",
        execution_name=name,
        job_uid="0a1b2c3d",
        time=moment,
        copies=copies or {"primary": True},
    )


def reasons(judgement: Judgement) -> dict[str, list[str]]:
    """Name → the rules that keep it."""
    return {verdict.backup.execution_name: verdict.kept_by for verdict in judgement.verdicts}


def kept(judgement: Judgement) -> list[Backup]:
    """What stays."""
    return [verdict.backup for verdict in judgement.verdicts if verdict.kept_by]


def ids(backups: Collection[Backup]) -> set[str]:
    """What they are told apart by."""
    return {backup.execution_id for backup in backups}


def newest_good(backups: Collection[Backup]) -> Backup | None:
    """What must never go."""
    return max((each for each in backups if each.good), key=lambda each: (each.time, each.execution_id), default=None)


COPIES = st.dictionaries(st.sampled_from(LOCATIONS), st.booleans(), min_size=1)
# Dense enough for several a day and for equal times, with the edges of clocks, days and years in it.
MOMENTS = st.one_of(
    st.integers(-200, 30).map(lambda hours: NOW + timedelta(hours=hours)),
    st.datetimes(datetime(2023, 12, 1), datetime(2028, 3, 2), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis wants naive bounds
    st.sampled_from(
        [
            datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
            datetime(2026, 10, 25, 1, 30, tzinfo=UTC),
            datetime(2026, 11, 1, 3, 30, tzinfo=UTC),
            datetime(2024, 2, 29, 23, 59, tzinfo=UTC),
            datetime(2027, 1, 1, tzinfo=UTC),
            datetime(2009, 11, 1, 2, 30, 30, tzinfo=UTC),  # St. John's went back from 00:01 to the day before
            datetime(2009, 11, 1, 2, 45, tzinfo=UTC),
        ]
    ),
)


@st.composite
def histories(draw: st.DrawFn) -> list[Backup]:
    """The backups of one job in several locations, damaged ones among them, in any order."""
    moments = draw(st.lists(MOMENTS, max_size=12))
    return [backup(moment, number, **draw(COPIES)) for number, moment in enumerate(moments)]


HISTORIES = histories()


@st.composite
def policies(draw: st.DrawFn, least: int = 0) -> RetentionPolicy:
    """Few rules with few places, so that much is let go."""
    named = draw(st.sets(st.sampled_from(RULES), min_size=least, max_size=3))
    ages = st.sampled_from([1, 3600, 24 * 3600, 400 * 86400])
    rules: dict[str, Any] = {rule: draw(ages if rule == "max_age_seconds" else st.integers(1, 4)) for rule in named}
    return RetentionPolicy(**rules, time_zone=draw(st.sampled_from(ZONES)))


POLICIES = policies()
CLOCKS = st.just(NOW) | MOMENTS


def seen(history: Collection[Backup], locations: Collection[str]) -> list[Backup]:
    """What is known of the backups when only these locations answer."""
    parts = [
        msgspec.structs.replace(each, copies={at: whole for at, whole in each.copies.items() if at in locations})
        for each in history
    ]
    return [part for part in parts if part.copies]


@WIDELY
@given(HISTORIES, POLICIES, CLOCKS)
def test_the_newest_good_backup_stays(history: list[Backup], policy: RetentionPolicy, now: datetime) -> None:
    newest = newest_good(history)
    assume(newest is not None)

    assert newest in kept(judge(history, policy, now))


@WIDELY
@given(HISTORIES, st.data())
def test_rounds_with_any_policy_clock_and_failure_leave_a_good_copy_of_the_newest_good_backup(
    history: list[Backup], data: st.DataObject
) -> None:
    newest = newest_good(history)
    assume(newest is not None)
    for _ in range(4):
        answering = data.draw(st.sets(st.sampled_from(LOCATIONS)))
        judgement = judge(seen(history, answering), data.draw(POLICIES), data.draw(CLOCKS))
        going = {verdict.backup.execution_id for verdict in judgement.verdicts if not verdict.kept_by}
        refusing = data.draw(st.sets(st.sampled_from(LOCATIONS)))
        deleted = {(each, at) for each in going for at in answering - refusing}
        history = [
            msgspec.structs.replace(
                each, copies={at: whole for at, whole in each.copies.items() if (each.execution_id, at) not in deleted}
            )
            for each in history
        ]

    assert newest is not None
    assert newest.copies == next(each for each in history if each.execution_id == newest.execution_id).copies


@WIDELY
@given(HISTORIES, POLICIES, CLOCKS)
def test_judging_again_after_the_removal_removes_nothing_more(
    history: list[Backup], policy: RetentionPolicy, now: datetime
) -> None:
    left = kept(judge(history, policy, now))

    assert kept(judge(left, policy, now)) == left


@WIDELY
@given(HISTORIES, POLICIES, CLOCKS, st.sets(st.sampled_from(LOCATIONS)))
def test_a_location_that_is_not_seen_never_costs_a_backup_that_the_whole_view_keeps(
    history: list[Backup], policy: RetentionPolicy, now: datetime, locations: set[str]
) -> None:
    part = seen(history, locations)
    whole = ids(kept(judge(history, policy, now)))

    assert ids(kept(judge(part, policy, now))) >= whole & ids(part)


@WIDELY
@given(HISTORIES, policies(least=1), CLOCKS, st.data())
def test_a_more_generous_policy_keeps_all_that_the_other_keeps(
    history: list[Backup], policy: RetentionPolicy, now: datetime, data: st.DataObject
) -> None:
    rule = data.draw(st.sampled_from(RULES))
    more = (getattr(policy, rule) or 0) + data.draw(st.integers(1, 10))
    generous = msgspec.structs.replace(policy, **{rule: more})

    assert ids(kept(judge(history, generous, now))) >= ids(kept(judge(history, policy, now)))


@WIDELY
@given(HISTORIES, POLICIES, CLOCKS, st.data())
def test_what_is_held_stays_and_costs_no_other_backup_its_place(
    history: list[Backup], policy: RetentionPolicy, now: datetime, data: st.DataObject
) -> None:
    names = sorted(ids(history))
    held = dict.fromkeys(data.draw(st.sets(st.sampled_from(names)) if names else st.just(())), "safetyBackup back")
    free, found = judge(history, policy, now), judge(history, policy, now, held)

    assert ids(kept(found)) == ids(kept(free)) | held.keys()
    assert [[rule for rule in each.kept_by if rule != "safetyBackup back"] for each in found.verdicts] == [
        each.kept_by for each in free.verdicts
    ]


@WIDELY
@given(HISTORIES, POLICIES, CLOCKS)
def test_each_backup_is_judged_once_and_its_reasons_fit_its_status(
    history: list[Backup], policy: RetentionPolicy, now: datetime
) -> None:
    judgement = judge(history, policy, now)

    assert sorted(ids(history)) == sorted(verdict.backup.execution_id for verdict in judgement.verdicts)
    for verdict in judgement.verdicts:
        assert BackupExecutionStatus(kept_by=verdict.kept_by).kept_by == verdict.kept_by


@WIDELY
@given(st.data(), HISTORIES, POLICIES, CLOCKS)
def test_the_order_of_what_is_found_does_not_matter(
    data: st.DataObject, history: list[Backup], policy: RetentionPolicy, now: datetime
) -> None:
    shuffled = data.draw(st.permutations(history))

    assert judge(shuffled, policy, now) == judge(history, policy, now)


@WIDELY
@given(HISTORIES, POLICIES, CLOCKS, st.floats(0, 1))
def test_what_is_kept_changes_by_time_at_the_next_expiry_and_not_before(
    history: list[Backup], policy: RetentionPolicy, now: datetime, part: float
) -> None:
    judgement = judge(history, policy, now)
    until = judgement.next_expiry or now + timedelta(days=400)
    between = min(now + (until - now) * part, until - timedelta(microseconds=1))

    assert kept(judge(history, policy, between)) == kept(judgement)
    if judgement.next_expiry is not None and all(each.time <= now for each in history):
        assert kept(judge(history, policy, until)) != kept(judgement)


@WIDELY
@given(HISTORIES, POLICIES)
def test_a_rule_keeps_the_newest_good_backup_of_each_of_the_newest_days(
    history: list[Backup], policy: RetentionPolicy
) -> None:
    policy = RetentionPolicy(keep_daily=3, time_zone=policy.time_zone)
    past = [each for each in history if each.time <= NOW and each.good]
    newest: dict[str, Backup] = {}
    for each in sorted(past, key=lambda each: (each.time, each.execution_id), reverse=True):
        newest.setdefault(each.time.astimezone(ZoneInfo(policy.time_zone)).date().isoformat(), each)
    expected = {each.execution_id: f"keepDaily {day}" for day, each in list(newest.items())[:3]}

    verdicts = judge(past, policy, NOW).verdicts

    assert {
        verdict.backup.execution_id: reason
        for verdict in verdicts
        for reason in verdict.kept_by
        if reason.startswith("keepDaily")
    } == expected


@example(4)
@given(st.integers(4, 30))
def test_max_backups_keeps_the_newest_so_many(number: int) -> None:
    history = [backup(NOW - timedelta(hours=hours)) for hours in range(number)]

    judgement = judge(history, RetentionPolicy(max_backups=3), NOW)

    assert kept(judgement) == history[:3]
    assert [verdict.kept_by for verdict in judgement.verdicts[:4]] == [
        ["maxBackups 1/3", NEWEST],
        ["maxBackups 2/3"],
        ["maxBackups 3/3"],
        [],
    ]


def test_each_rule_says_which_period_it_keeps_a_backup_for() -> None:
    policy = RetentionPolicy(max_age_seconds=30 * 86400, keep_daily=2, keep_weekly=2, keep_monthly=2, keep_yearly=2)

    judgement = judge([backup("2026-11-24T02:00"), backup("2025-12-29T02:00")], policy, NOW)

    assert reasons(judgement) == {
        "nightly-20261124020000-0": [
            "keepDaily 2026-11-24",
            "keepWeekly 2026-W48",
            "keepMonthly 2026-11",
            "keepYearly 2026",
            NEWEST,
            "maxAge 720h",
        ],
        # The Monday of the week that most of 2026 begins in, by ISO 8601.
        "nightly-20251229020000-0": [
            "keepDaily 2025-12-29",
            "keepWeekly 2026-W01",
            "keepMonthly 2025-12",
            "keepYearly 2025",
        ],
    }


def test_days_are_those_of_the_jobs_time_zone() -> None:
    evening, night = backup("2026-11-24T01:00"), backup("2026-11-24T04:00")  # 22:00 and 01:00 in São Paulo

    one_day = judge([evening, night], RetentionPolicy(keep_daily=2), NOW)
    two_days = judge([evening, night], RetentionPolicy(keep_daily=2, time_zone="America/Sao_Paulo"), NOW)

    assert kept(one_day) == [night]
    assert kept(two_days) == [night, evening]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe", "UTC"])
def test_a_day_of_23_or_25_hours_and_a_leap_day_are_one_day_each(zone: str) -> None:
    start = datetime(2024, 1, 1, 12, tzinfo=ZoneInfo(zone))
    history = [backup((start + timedelta(days=day)).astimezone(UTC)) for day in range(366)]

    judgement = judge(history, RetentionPolicy(keep_daily=366, time_zone=zone), NOW)

    days = {reason for verdict in judgement.verdicts for reason in verdict.kept_by if "keepDaily" in reason}
    assert len(days) == len(kept(judgement)) == 366
    assert "keepDaily 2024-02-29" in days


def test_without_a_rule_everything_stays_for_ever() -> None:
    history = [backup("2001-01-01"), backup("2026-11-24")]

    judgement = judge(history, RetentionPolicy(), NOW)

    assert [verdict.kept_by for verdict in judgement.verdicts] == [[NO_RULE], [NO_RULE]]
    assert judgement.next_expiry is None


def test_a_backup_is_too_old_once_its_age_is_reached() -> None:
    policy = RetentionPolicy(max_age_seconds=3600)
    old, new = backup(NOW - timedelta(minutes=59)), backup(NOW)

    judgement = judge([old, new], policy, NOW)

    assert kept(judgement) == [new, old]
    assert judgement.next_expiry == NOW + timedelta(minutes=1)
    assert kept(judge([old, new], policy, NOW + timedelta(minutes=1))) == [new]


def test_a_damaged_backup_takes_no_good_ones_place_and_stays_until_good_ones_take_its_own() -> None:
    policy = RetentionPolicy(max_backups=2)
    good = [backup(NOW - timedelta(hours=hours)) for hours in range(6)]
    damaged = backup(NOW - timedelta(minutes=90), primary=False)

    assert kept(judge([*good[2:], damaged], policy, NOW)) == [damaged, good[2], good[3]]
    assert kept(judge([*good, damaged], policy, NOW)) == good[:2]


def test_a_backup_of_a_clock_that_ran_ahead_stays_and_pushes_none_out_before_its_time() -> None:
    policy = RetentionPolicy(max_backups=1)
    ahead, newest, old = backup(NOW + timedelta(days=900)), backup(NOW), backup(NOW - timedelta(days=1))

    judgement = judge([old, ahead, newest], policy, NOW)

    assert [verdict.kept_by for verdict in judgement.verdicts] == [[FUTURE], ["maxBackups 1/1", NEWEST], []]
    assert judgement.next_expiry == ahead.time


def test_of_equal_times_the_greater_id_counts_as_newer() -> None:
    same = [backup(NOW, number) for number in range(3)]

    assert kept(judge(same, RetentionPolicy(max_backups=1), NOW)) == [same[2]]


def test_backups_of_two_jobs_or_one_twice_are_not_judged() -> None:
    one = backup(NOW)
    of_another = msgspec.structs.replace(backup(NOW, 1), job_uid="another")

    for mixed in ([one, of_another], [one, one]):
        with pytest.raises(SpecInvalid, match="judged together"):
            judge(mixed, RetentionPolicy(max_backups=1), NOW)


@pytest.mark.parametrize("zone", ["Mars/Base", "America", "../UTC"])
def test_an_unknown_time_zone_removes_nothing(zone: str) -> None:
    with pytest.raises(SpecInvalid, match=r"spec\.timeZone"):
        judge([backup(NOW)], RetentionPolicy(keep_daily=1, time_zone=zone), NOW)


def test_the_example_of_the_documentation_is_what_the_rule_says() -> None:
    page = (Path(__file__).parents[3] / "docs/retention.md").read_text()
    rows = re.findall(r"^\| (?:Sat|Sun|Mon|Tue) (\d+) Nov (\d+:\d+) \| (.*) \|$", page, re.MULTILINE)
    policy = RetentionPolicy(max_backups=2, keep_daily=3, keep_weekly=2)

    judgement = judge([backup(f"2026-11-{day}T{time}") for day, time, _ in rows], policy, NOW + timedelta(hours=4))

    assert len(rows) == 6
    assert [", ".join(verdict.kept_by) or "nothing" for verdict in judgement.verdicts] == [
        words for _, _, words in rows
    ]


def test_a_policy_is_told_in_the_words_of_the_spec() -> None:
    policy = RetentionPolicy(max_backups=3, max_age_seconds=720 * 3600, keep_daily=7, keep_yearly=1)

    assert in_words(policy) == "maxBackups 3, maxAge 720h, keepDaily 7, keepYearly 1"
    assert in_words(RetentionPolicy()) == NO_RULE
