"""When a schedule is due."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataguardian.domain.schedule import Due, Timing, due, interval_after, next_slot
from dataguardian.errors import SpecInvalid
from dataguardian.resources.schedule import ScheduleSpec

ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe"])
MOMENTS = st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants naive bounds


def test_a_nightly_schedule_is_due_at_the_civil_time_of_its_zone() -> None:
    after = datetime(2026, 11, 24, 12, tzinfo=UTC)

    assert next_slot("0 2 * * *", "America/Sao_Paulo", after) == datetime(2026, 11, 25, 5, tzinfo=UTC)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
def test_each_civil_day_has_one_slot_also_where_clocks_change(zone: str) -> None:
    slot, days = datetime(2026, 1, 1, tzinfo=UTC), []
    for _ in range(364):
        slot = next_slot("30 2 * * *", zone, slot)
        days.append(slot.astimezone(ZoneInfo(zone)).date())

    assert len(set(days)) == len(days) == (days[-1] - days[0]).days + 1


@given(ZONES, MOMENTS, st.sampled_from(["*/7 3,4 * * *", "30 2 * * *", "15 0 * * *", "0,30 1,2 * * *"]))
def test_the_next_slot_is_always_later(zone: str, after: datetime, schedule: str) -> None:
    slot = next_slot(schedule, zone, after)

    assert after < slot <= after + timedelta(days=2)


def test_a_slot_that_was_due_before_clocks_went_back_does_not_come_again() -> None:
    repeated_hour = datetime(2026, 10, 25, 1, 15, tzinfo=UTC)  # 02:15 in Berlin for the second time

    slot = next_slot("30 2 * * *", "Europe/Berlin", repeated_hour)

    assert slot == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize("macro", ["@hourly", "@daily", "@weekly", "@monthly", "@yearly"])
def test_macros_are_schedules(macro: str) -> None:
    assert next_slot(macro, "UTC", datetime(2026, 11, 24, 12, tzinfo=UTC)).minute == 0


@pytest.mark.parametrize(
    ("schedule", "zone", "field"),
    [
        ("0 0 31 2 *", "UTC", "spec.schedule"),
        ("0 0 * *", "UTC", "spec.schedule"),
        ("@daily", "Mars/Base", "spec.timeZone"),
    ],
)
def test_a_schedule_that_never_comes_is_refused_by_the_field_that_is_wrong(
    schedule: str, zone: str, field: str
) -> None:
    with pytest.raises(SpecInvalid, match=field):
        next_slot(schedule, zone, datetime(2026, 1, 1, tzinfo=UTC))


def timing(schedule: str = "0 2 * * *", zone: str = "UTC", *, delay_s: int = 0, deadline_s: int = 3600) -> Timing:
    return Timing(schedule, zone, timedelta(seconds=delay_s), timedelta(seconds=deadline_s))


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


def test_a_slot_runs_when_its_time_has_come() -> None:
    assert due(timing(), at(24, 2), at(24, 2)) == Due(run=at(24, 2), missed=0, following=at(25, 2))


def test_nothing_runs_before_the_slot_and_its_jitter() -> None:
    assert due(timing(delay_s=60), at(24, 2), at(24, 2)) == Due(run=None, missed=0, following=at(24, 2))


def test_after_a_pause_the_latest_slot_is_caught_up_and_the_others_are_missed() -> None:
    assert due(timing("0 * * * *"), at(24, 2), at(24, 5, 30)) == Due(run=at(24, 5), missed=3, following=at(24, 6))


def test_a_slot_whose_deadline_has_passed_is_missed() -> None:
    assert due(timing(), at(24, 2), at(24, 3, 1)) == Due(run=None, missed=1, following=at(25, 2))


def test_after_months_no_more_than_a_week_is_counted() -> None:
    found = due(timing("* * * * *"), datetime(2026, 1, 1, tzinfo=UTC), at(24, 2))

    assert found.missed == 7 * 24 * 60
    assert found.run == at(24, 2)


def test_jitter_is_the_same_for_every_slot_of_an_object_and_parts_objects() -> None:
    spec = ScheduleSpec(schedule="@daily", jitter_seconds=300)
    delays = {timing.delay.total_seconds() for number in range(50) if (timing := Timing.of(spec, f"uid-{number}"))}

    assert Timing.of(spec, "uid-1") == Timing.of(spec, "uid-1")
    assert len(delays) > 30
    assert all(0 <= delay <= 300 for delay in delays)


def test_what_has_no_schedule_or_is_suspended_has_no_slot() -> None:
    assert Timing.of(ScheduleSpec(), "uid") is None
    assert Timing.of(ScheduleSpec(schedule="@daily", suspend=True), "uid") is None


@pytest.mark.parametrize(
    ("schedule", "zone", "before", "slot"),
    [
        # The hour does not exist: its end.
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00Z", "2026-03-29T01:00Z"),
        ("0,30 2 * * *", "Europe/Berlin", "2026-03-29T01:00Z", "2026-03-30T00:00Z"),
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00Z", "2026-10-03T15:30Z"),
        # The hour comes twice: its first passing.
        ("30 1 * * *", "America/New_York", "2026-10-31T12:00Z", "2026-11-01T05:30Z"),
        ("30 1 * * *", "America/New_York", "2026-11-01T05:30Z", "2026-11-02T06:30Z"),
        ("0 0 29 2 *", "America/Sao_Paulo", "2026-01-01T00:00Z", "2028-02-29T03:00Z"),
    ],
)
def test_slots_where_clocks_change_and_in_leap_years(schedule: str, zone: str, before: str, slot: str) -> None:
    assert next_slot(schedule, zone, datetime.fromisoformat(before)) == datetime.fromisoformat(slot)


SCHEDULES = st.sampled_from(["*/20 * * * *", "30 2 * * *", "0,30 1,2 * * *", "15 2 1 * *", "0 3 * * 0"])
STEPS = st.lists(st.integers(min_value=-7200, max_value=3 * 86400), min_size=1, max_size=6)


@settings(max_examples=50, deadline=None)
@given(ZONES, MOMENTS, SCHEDULES, STEPS, st.integers(min_value=0, max_value=600))
def test_however_the_clock_jumps_each_slot_runs_or_is_missed_exactly_once(
    zone: str, begin: datetime, schedule: str, steps: list[int], delay_s: int
) -> None:
    wanted = timing(schedule, zone, delay_s=delay_s)
    slot = first = wanted.next_slot(begin)
    moment, runs, missed = begin, list[datetime](), 0
    for step in steps:
        moment += timedelta(seconds=step)
        found = due(wanted, slot, moment)
        runs += [found.run] if found.run else []
        missed, slot = missed + found.missed, found.following

    passed, seen = first, 0
    while passed < slot:
        passed, seen = wanted.next_slot(passed), seen + 1
    assert passed == slot
    assert seen == len(runs) + missed
    assert len(set(runs)) == len(runs)
    assert all(run < slot for run in runs)


def test_the_interval_from_a_slot_is_to_the_next_one_as_clocks_go() -> None:
    before = datetime.fromisoformat("2026-10-24T02:00:00+01:00")  # in Lisbon, whose clocks go back that night

    assert interval_after("0 2 * * *", "Europe/Lisbon", before) == timedelta(hours=25)
    assert interval_after("@hourly", "Europe/Lisbon", before) == timedelta(hours=1)
