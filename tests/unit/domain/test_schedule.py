"""When a schedule is due."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguardian.domain.schedule import next_slot
from dataguardian.errors import SpecInvalid

ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe"])
MOMENTS = st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


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
