"""Checks: when they are due, and what they say."""

from datetime import UTC, datetime, timedelta

import pytest

from dataguardian.domain import report as reports
from dataguardian.domain.health import datasource_status, is_due, location_status
from dataguardian.domain.report import Report
from dataguardian.errors import NotFound, StorageFull
from tests.unit.objects import bucket, datasource

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
GOOD = Report(completed=True, latency_ms=3, engine_version="17.2")
BAD = reports.failed(NotFound("Secret s3 has no key password.", remedy="Add it."), "connect")


def test_an_object_that_was_never_checked_is_due() -> None:
    assert is_due(datasource(), now=NOW)
    assert is_due(bucket(), now=NOW)


@pytest.mark.parametrize(("report", "seconds"), [(GOOD, 300), (BAD, 30)])
def test_an_unhealthy_object_is_checked_more_often(report: Report, seconds: int) -> None:
    checked = datasource()
    checked = checked.model_copy(update={"status": datasource_status(checked, report, generation=1, now=NOW)})

    assert not is_due(checked, now=NOW + timedelta(seconds=seconds - 1))
    assert is_due(checked, now=NOW + timedelta(seconds=seconds))


def test_a_changed_object_is_checked_at_once() -> None:
    checked = datasource()
    status = datasource_status(checked, GOOD, generation=0, now=NOW)

    assert is_due(checked.model_copy(update={"status": status}), now=NOW)


def test_a_slow_login_is_a_warning() -> None:
    checked = datasource(check={"latencyWarningMs": 2})

    assert datasource_status(checked, GOOD, generation=1, now=NOW).health == "warning"
    assert datasource_status(datasource(), GOOD, generation=1, now=NOW).health == "healthy"


def test_a_refused_check_says_reason_and_remedy() -> None:
    status = datasource_status(datasource(), BAD, generation=1, now=NOW)

    assert status.health == "critical"
    assert [(each.reason, each.message) for each in status.conditions] == [
        ("NotFound", "Secret s3 has no key password. Add it.")
    ]


def test_a_location_is_available_full_or_unreachable() -> None:
    full = reports.failed(StorageFull("No space left.", remedy="Make room."), "connect")
    phases = [location_status(bucket(), report, generation=1, now=NOW).phase for report in (GOOD, full, BAD)]

    assert phases == ["Available", "Full", "Unreachable"]
