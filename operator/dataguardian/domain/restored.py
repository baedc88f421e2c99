"""What a restore's report says in the status of its request, for people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ..resources.restore import ConnectionsStatus, PreviewStatus, VerificationStatus
from . import report as reports
from .naming import human_seconds
from .report import Report

# A report has what a database and a manifest told: nothing in it is believed to have the right size.
NAME, SENTENCE, WORD, TEXT = 160, 320, 64, 1024  # characters
NAMES, SENTENCES = 16, 8


def restore_result(report: Report, *, now: datetime, note: str | None = None) -> dict[str, Any]:
    """The fields of a RestoreRequest's status that the report knows, whether the run went well or failed. ``note`` is
    what was worth knowing before."""
    found = {
        "dump_bytes": report.dump_bytes,
        "stored_bytes": report.stored_bytes,
        "tables": report.tables,
        "rows": report.rows,
        "restore_seconds": report.restore_seconds,
        "storage_location": report.read_from,
        "verification": _verification(report.verification) if report.verification else None,
        "preview": _preview(report.preview, now) if report.preview else None,
        "note": " ".join([*filter(None, [note]), *report.warnings])[:TEXT] or None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _verification(told: reports.Verification) -> VerificationStatus:
    return VerificationStatus(
        result="Passed" if told.passed else "Failed",
        tables=told.tables,
        rows=told.rows,
        sequences=told.sequences,
        sampled_rows=told.sampled_rows,
        difference_count=told.difference_count,
        differences=[text[:SENTENCE] for text in told.differences[:SENTENCES]],
        database=told.database,
        proof_key=told.proof_key,
    )


def _preview(told: reports.Preview, now: datetime) -> PreviewStatus | None:
    try:
        moment = datetime.fromisoformat(told.backup_time).astimezone(UTC)
    except ValueError:
        return None  # nor does the manifest tell anything else that could be believed
    return PreviewStatus(
        backup_tables=told.backup_tables,
        backup_rows=told.backup_rows,
        backup_bytes=told.backup_bytes,
        backup_time=moment,
        backup_age=human_seconds((now - moment).total_seconds()),
        target_identity=told.target_identity[:WORD],
        target_version=told.target_version[:WORD],
        target_tables=told.target_tables,
        target_rows=max(told.target_rows, 0),  # of a table that was never analyzed PostgreSQL estimates -1
        target_bytes=told.target_bytes,
        dropped_count=told.dropped_count,
        dropped=[name[:NAME] for name in told.dropped[:NAMES]],
        connections=[
            ConnectionsStatus(application=each.application[:WORD], sessions=each.sessions)
            for each in told.connections[:NAMES]
        ],
        expected_duration=None if told.expected_seconds is None else human_seconds(told.expected_seconds),
        obstacles=[text[:SENTENCE] for text in told.obstacles[:SENTENCES]],
    )
