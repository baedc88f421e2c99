"""A report fits into a termination message, whatever happened."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataguardian.domain import report as reports
from dataguardian.domain.report import LIMIT_BYTES, Connections, Preview, Report, StoredCopy, Verification
from dataguardian.errors import DataGuardianError, StorageUnavailable, VerificationFailed, every_error

ERRORS = st.sampled_from(every_error())
REASONS = st.none() | st.text(max_size=200).map(lambda what: reports.reason(DataGuardianError(what, remedy="")))


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


NAMES = st.text("abc-.é", min_size=1, max_size=253)
COPIES = st.lists(
    st.builds(StoredCopy, location=NAMES, key=st.text("abc/-", max_size=160), stored=st.booleans(), reason=REASONS),
    max_size=8,
)


@settings(deadline=None)
@given(COPIES, st.text(max_size=2000), st.lists(st.text(max_size=500), max_size=8))
def test_a_failure_with_many_copies_fits_and_keeps_its_code(
    copies: list[StoredCopy], what: str, warnings: list[str]
) -> None:
    failure = DataGuardianError(what, remedy=what)

    message = reports.encode(reports.failed(failure, "dump", warnings, copies))

    report = reports.decode(message.decode())
    assert len(message) <= LIMIT_BYTES
    assert report is not None
    assert report.failure is not None
    assert report.failure.code == failure.code


def test_eight_copies_of_usual_names_are_all_told_with_their_reasons() -> None:
    reason = reports.reason(StorageUnavailable("The S3 server does not serve: " + "x" * 500, remedy="Wait."))
    key = "production/nightly-orders-0a1b2c3d/20261124T020000Z-9f8e7d6c/manifest.json"
    copies = [StoredCopy(location=f"location-{number}", key=key, stored=False, reason=reason) for number in range(8)]
    failure = StorageUnavailable("y" * 900, remedy="z" * 900)

    report = reports.decode(reports.encode(reports.failed(failure, "verify", ["w" * 900], copies)).decode())

    assert report is not None
    assert report.copies == copies
    assert reason.startswith("storage-unavailable: The S3 server")


LONGEST = st.text("abc-.", min_size=253, max_size=253)
KEYS = st.text("abc/-.", min_size=1, max_size=160)


@settings(deadline=None)
@given(ERRORS, st.text(max_size=2000), KEYS, st.lists(st.tuples(LONGEST, st.booleans(), REASONS), max_size=8))
def test_no_copy_is_left_out_however_long_the_names_of_the_locations_are(
    error: type[DataGuardianError], what: str, key: str, made: list[tuple[str, bool, str | None]]
) -> None:
    copies = [StoredCopy(location=name, key=key, stored=stored, reason=reason) for name, stored, reason in made]
    failed = reports.failed(error(what, remedy=what), "connect", [what], copies)
    completed = Report(
        completed=True,
        warnings=[what] * 8,
        dump_bytes=2**63,
        stored_bytes=2**63,
        checksum="sha256:" + "0" * 64,
        engine_version="1" * 64,
        copies=copies,
        tables=2**31,
        rows=2**63,
        copied_from="a" * 253,
        backups=2**31,
        expired=2**31,
        unread=["b" * 253] * 8,
        next_expiry="2026-11-24T02:00:00.000Z",
    )

    for report in (failed, completed):
        message = reports.encode(report)
        told = reports.decode(message.decode())
        assert len(message) <= LIMIT_BYTES
        assert told is not None
        assert [(copy.location, copy.key, copy.stored) for copy in told.copies] == [
            (copy.location, copy.key, copy.stored) for copy in copies
        ]


def test_copies_with_keys_of_their_own_keep_them() -> None:
    copies = [StoredCopy(location=str(number), key=key, stored=True) for number, key in enumerate("aaba")]

    told = reports.decode(reports.encode(Report(completed=True, copies=copies)).decode())

    assert told is not None
    assert told.copies == copies


def texts(count: int, limit: int) -> st.SearchStrategy[list[str]]:
    """Lists as long, of texts as long, as a preview or a verification has them."""
    return st.lists(st.text(max_size=400), max_size=count).map(
        lambda made: reports.brief(made, count=count, limit=limit)
    )


@settings(deadline=None)
@given(texts(10, 160), texts(8, 300), texts(16, 64), st.lists(st.text(max_size=900), max_size=4))
def test_a_preview_fits_and_keeps_its_numbers(
    dropped: list[str], obstacles: list[str], applications: list[str], warnings: list[str]
) -> None:
    preview = Preview(
        backup_tables=10**6,
        backup_rows=10**15,
        backup_bytes=2**50,
        backup_time="2026-11-24T02:00:00.000Z",
        target_identity="7420123456789012345",
        target_version="17.2",
        target_tables=10**6,
        target_rows=10**15,
        target_bytes=2**50,
        dropped_count=12345,
        dropped=dropped,
        connections=[Connections(application=name, sessions=100) for name in applications],
        obstacles=obstacles,
    )

    message = reports.encode(Report(completed=True, warnings=warnings, preview=preview))

    report = reports.decode(message.decode())
    assert len(message) <= LIMIT_BYTES
    assert report is not None
    assert report.preview is not None
    assert (report.preview.dropped_count, len(report.preview.obstacles)) == (12345, len(obstacles))


@settings(deadline=None)
@given(st.text(max_size=2000), texts(8, 320), st.lists(st.text(max_size=900), max_size=4))
def test_a_verification_that_failed_fits_and_is_told_beside_its_failure(
    what: str, differences: list[str], warnings: list[str]
) -> None:
    found = Verification(
        passed=False,
        tables=3,
        rows=5502,
        sequences=2,
        sampled_rows=128,
        difference_count=99,
        differences=differences,
        proof_key="production/nightly-orders-0a1b2c3d/20261124T020000Z-9f8e7d6c/proof.json",
    )
    failure = VerificationFailed(what, remedy=what)

    message = reports.encode(reports.failed(failure, "check", warnings, (), Report(completed=True, verification=found)))

    report = reports.decode(message.decode())
    assert len(message) <= LIMIT_BYTES
    assert report is not None
    assert report.failure is not None
    assert report.verification is not None
    assert (report.completed, report.failure.code) == (False, "verification-failed")
    assert (report.verification.passed, report.verification.difference_count) == (False, 99)
    assert (
        report.verification.differences[:1] == reports.brief(differences, count=1)[:1] or report.verification == found
    )


def test_of_warnings_that_do_not_fit_the_beginnings_of_the_first_ones_arrive() -> None:
    passed_over = "The copy in 'primary' cannot be restored, the next one is tried: " + "It is away. " * 70
    others = ["Table a.b has 3 rows; the backup's fingerprint has 4. " * 15] * 8

    report = reports.decode(reports.encode(Report(completed=True, warnings=[passed_over, *others])).decode())

    assert report is not None
    assert len(report.warnings) == 3
    assert report.warnings[0].startswith("The copy in 'primary' cannot be restored, the next one is tried: It is away.")


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
