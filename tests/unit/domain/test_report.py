"""A report fits into a termination message, whatever happened."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataguardian.domain import report as reports
from dataguardian.domain.report import LIMIT_BYTES, Report, StoredCopy
from dataguardian.errors import DataGuardianError, every_error

ERRORS = st.sampled_from(every_error())


@settings(deadline=None)
@given(ERRORS, st.text(max_size=5000), st.text(max_size=5000), st.lists(st.text(max_size=3000), max_size=4))
def test_a_failure_fits_and_keeps_its_code(
    error: type[DataGuardianError], what: str, remedy: str, warnings: list[str]
) -> None:
    message = reports.encode(reports.failed(error(what, remedy=remedy), "dump", warnings))

    report = reports.decode(message.decode())
    assert len(message) <= LIMIT_BYTES
    assert report is not None
    assert report.failure is not None
    assert (report.completed, report.failure.code, report.failure.step) == (False, error.code, "dump")


@settings(deadline=None)
@given(st.text(max_size=300), st.text(max_size=300))
def test_a_message_of_usual_length_is_kept_whole(what: str, remedy: str) -> None:
    failure = reports.failed(DataGuardianError(what, remedy=remedy), "dump").failure

    assert failure is not None
    if len(repr(what)) < 200:
        assert failure.message == what


def test_a_success_arrives_as_it_was() -> None:
    report = Report(
        completed=True,
        warnings=["w"],
        dump_bytes=2**40,
        stored_bytes=2**39,
        checksum="sha256:0",
        copies=[StoredCopy(location="primary", key="a/manifest.json", stored=True)],
        tables=3,
        rows=4,
    )

    assert reports.decode(reports.encode(report).decode()) == report


@pytest.mark.parametrize("message", ["", "OOMKilled", "{}", '{"completed": 1}'])
def test_a_message_that_no_runner_wrote_is_no_report(message: str) -> None:
    assert reports.decode(message) is None
