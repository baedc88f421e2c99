"""What the status of a RestoreRequest says of the run's report."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from dataguardian.domain import report as reports
from dataguardian.domain import status as moves
from dataguardian.domain.report import Connections, Preview, Report, Verification
from dataguardian.errors import VerificationFailed
from dataguardian.resources.restore import RestoreRequestStatus

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
FIGURES = Verification(passed=True, tables=3, rows=40, sequences=1, sampled_rows=30, proof_key="a/proof.json")
PREVIEW = Preview(
    backup_tables=3,
    backup_rows=40,
    backup_bytes=1000,
    backup_time="2026-11-24T02:00:00.000Z",
    target_version="17.2",
    target_tables=2,
    target_rows=-1,
    target_bytes=5000,
    dropped_count=40,
    dropped=["public.orders"],
    connections=[Connections(application="shop", sessions=4)],
    expected_seconds=90,
    obstacles=["target-not-empty: It has tables."],
)


def ended(report: Report) -> RestoreRequestStatus:
    queued = moves.accepted(RestoreRequestStatus(), uid="u", generation=1, now=NOW)
    assert queued is not None
    running = moves.started(queued, now=NOW, storage_location="primary", datasource="orders")
    assert running is not None
    status = moves.ended(running, report, now=NOW)
    assert status is not None
    return status


def test_a_restore_says_which_copy_it_read_how_long_it_took_and_what_is_worth_knowing() -> None:
    warnings = ["The copy in 'primary' was passed over.", "Table a.b has 3 rows less."]

    status = ended(Report(completed=True, read_from="offsite", restore_seconds=75, rows=40, warnings=warnings))

    assert (status.storage_location, status.restore_seconds, status.rows) == ("offsite", 75, 40)
    assert status.note == " ".join(warnings)


@pytest.mark.parametrize("warnings", [[], ["The copy in 'primary' was passed over."]])
def test_what_was_worth_knowing_at_the_start_still_is_at_the_end(warnings: list[str]) -> None:
    running = moves.started(RestoreRequestStatus(phase="Queued"), now=NOW, note="The safety backup is old.")
    assert running is not None

    status = moves.ended(running, Report(completed=True, warnings=warnings), now=NOW)

    assert status is not None
    assert status.note == " ".join(["The safety backup is old.", *warnings])


def test_a_passed_verification_shows_its_figures_and_its_proof() -> None:
    status = ended(Report(completed=True, verification=FIGURES))

    assert status.verification is not None
    assert (status.verification.result, status.verification.rows) == ("Passed", 40)
    assert status.verification.proof_key == "a/proof.json"
    assert status.storage_location == "primary"


def test_a_verification_that_failed_shows_its_figures_beside_the_error() -> None:
    differences = [f"Table public.t{number} is missing. " + "x" * 400 for number in range(10)]
    figures = msgspec.structs.replace(FIGURES, passed=False, difference_count=99, differences=differences)
    report = reports.failed(VerificationFailed("99 differences.", remedy="Restore another backup."), "check")

    status = ended(msgspec.structs.replace(report, verification=figures, restore_seconds=9))

    assert (status.phase, status.error.code if status.error else None) == ("Failed", "verification-failed")
    assert status.verification is not None
    assert (status.verification.result, status.verification.difference_count) == ("Failed", 99)
    assert [len(text) for text in status.verification.differences] == [320] * 8
    assert status.restore_seconds == 9


def test_a_preview_is_told_for_people() -> None:
    preview = ended(Report(completed=True, preview=PREVIEW)).preview

    assert preview is not None
    assert (preview.backup_age, preview.expected_duration) == ("10h", "1m30s")
    assert (preview.target_rows, preview.dropped, preview.dropped_count) == (0, ["public.orders"], 40)
    assert [(each.application, each.sessions) for each in preview.connections] == [("shop", 4)]


def test_whatever_a_manifest_and_a_server_tell_the_end_can_be_written() -> None:
    wild = msgspec.structs.replace(
        PREVIEW,
        dropped=["x" * 500] * 40,
        connections=[Connections(application="a" * 500, sessions=1)] * 40,
        obstacles=["x" * 500] * 40,
        target_identity="9" * 500,
        target_version="17" * 500,
    )

    assert ended(Report(completed=True, preview=wild, warnings=["x" * 5000])).preview is not None
    assert ended(Report(completed=True, preview=msgspec.structs.replace(wild, backup_time="soon"))).preview is None


def test_a_restore_that_failed_early_keeps_what_was_chosen() -> None:
    report = reports.failed(VerificationFailed("Broken.", remedy="Look."), "fetch")

    status = ended(report)

    assert (status.storage_location, status.datasource, status.note) == ("primary", "orders", None)
