"""Pauses after failures."""

from datetime import UTC, datetime, timedelta

from dataguardian.workers.pauses import Pauses

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def test_a_pause_doubles_with_each_failure_up_to_the_longest() -> None:
    pauses = Pauses()

    ends = [pauses.begin("offsite", first=MINUTE, longest=HOUR, now=NOW) - NOW for _ in range(8)]

    assert [end / MINUTE for end in ends] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_what_failed_is_left_alone_until_its_pause_is_over() -> None:
    pauses = Pauses()
    pauses.begin("offsite", first=MINUTE, longest=HOUR, now=NOW)

    assert not pauses.is_over("offsite", NOW + MINUTE / 2)
    assert pauses.is_over("offsite", NOW + MINUTE)
    assert pauses.is_over("primary", NOW)


def test_success_starts_over() -> None:
    pauses = Pauses()
    pauses.begin("offsite", first=MINUTE, longest=HOUR, now=NOW)
    pauses.forget("offsite")

    assert pauses.is_over("offsite", NOW)
    assert pauses.begin("offsite", first=MINUTE, longest=HOUR, now=NOW) == NOW + MINUTE
