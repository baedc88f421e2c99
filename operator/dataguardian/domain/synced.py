"""What a sync's report says: in the status of its run, and as the entry of the backup that its dump was kept as."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ..resources.backup import BackupJob
from ..resources.sync import PreviousDatabase
from .report import Report, StoredCopy, Synced
from .restored import TEXT

ONE_COPY = "The sync that stored the backup made one copy; this one is made from it."


def sync_result(report: Report) -> dict[str, Any]:
    """The fields of a DatabaseSyncExecution's status that the report knows, whether the run went well or failed."""
    told = report.synced or Synced()
    found = {
        "dump_bytes": report.dump_bytes,
        "tables": report.tables,
        "rows": report.rows,
        "removed": told.removed if report.synced else None,
        "masking_digest": told.masking_digest,
        "masked_columns": told.masked_columns if told.masking_digest else None,
        "switch_milliseconds": told.switch_ms,
        "previous_database": _previous(told),
        "note": " ".join(report.warnings)[:TEXT] or None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _previous(told: Synced) -> PreviousDatabase | None:
    if told.previous is None or told.previous_until is None:
        return None
    try:
        until = datetime.fromisoformat(told.previous_until).astimezone(UTC)
        return PreviousDatabase(name=told.previous, server_identity=told.server_identity, drop_time=until)
    except ValueError:
        return None  # the end must be written all the same


def kept_copy(report: Report) -> StoredCopy | None:
    """The copy of the backup that the dump was kept as; None when it was not, or the report had no room for it."""
    if report.synced is None or report.synced.backup_execution_id is None:
        return None
    return next((copy for copy in report.copies if copy.stored), None)


def kept_backup(report: Report, kept: StoredCopy, job: BackupJob | None) -> Report:
    """What a run of this job would have reported that had stored this backup.

    A sync stores one copy. Those that the job wants elsewhere are told as not made, so that they are made from it.
    """
    storage = job.spec.storage if job else None
    wanted = [each.name for each in storage.locations] if storage and storage.strategy == "Replicate" else []
    missing = [
        StoredCopy(location=name, key=kept.key, stored=False, reason=ONE_COPY)
        for name in wanted
        if name != kept.location
    ]
    return Report(
        completed=True,
        dump_bytes=report.dump_bytes,
        stored_bytes=report.stored_bytes,
        checksum=report.checksum,
        engine_version=report.engine_version,
        dump_time=report.dump_time,
        copies=[kept, *missing],
    )
