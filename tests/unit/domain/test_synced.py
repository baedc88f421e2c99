"""What a sync's report says, in the status of its run and as the entry of the backup that it has kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from dataguardian.domain import report as reports
from dataguardian.domain import status as moves
from dataguardian.domain.imports import stored_by_sync
from dataguardian.domain.naming import sync_backup_id
from dataguardian.domain.report import Report, StoredCopy, Synced
from dataguardian.domain.safety import WHOLE
from dataguardian.domain.synced import kept_backup, kept_copy
from dataguardian.errors import TargetLocked
from dataguardian.resources.backup import BackupExecutionStatus
from dataguardian.resources.sync import DatabaseSyncExecutionStatus
from tests.unit.objects import backup_job

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
UID = "00000000-0000-0000-0000-000000000009"
ID = sync_backup_id(UID)
COPY = StoredCopy(location="primary", key="shop/nightly-00000000/x/manifest.json", stored=True)
SYNCED = Synced(
    removed=2,
    masking_digest="sha256:" + "0" * 64,
    masked_columns=3,
    switch_ms=120,
    previous="dg_previous_orders_20261124120000",
    previous_until="2026-11-24T13:00:00Z",
    server_identity="7000000000000000001",
    backup_execution_id=ID,
)
REPORT = Report(
    completed=True,
    dump_bytes=1000,
    stored_bytes=100,
    checksum="sha256:" + "a" * 64,
    engine_version="17.2",
    dump_time="2026-11-24T11:58:00Z",
    tables=7,
    rows=40,
    copies=[COPY],
    synced=SYNCED,
)


def ended(report: Report) -> DatabaseSyncExecutionStatus:
    queued = moves.accepted(DatabaseSyncExecutionStatus(), uid=UID, generation=1, now=NOW)
    assert queued is not None
    running = moves.started(queued, now=NOW, datasource="staging", source="orders", strategy="Swap")
    assert running is not None
    status = moves.ended(running, report, now=NOW)
    assert status is not None
    return status


def test_a_sync_shows_its_figures_and_what_it_left() -> None:
    status = ended(REPORT)

    assert (status.phase, status.dump_bytes, status.tables, status.rows) == ("Completed", 1000, 7, 40)
    assert (status.removed, status.masked_columns, status.switch_milliseconds) == (2, 3, 120)
    assert status.previous_database is not None
    assert status.previous_database.name == "dg_previous_orders_20261124120000"
    assert status.previous_database.server_identity == "7000000000000000001"
    assert status.previous_database.drop_time == NOW + timedelta(hours=1)


def test_a_sync_that_never_began_has_no_figures() -> None:
    status = ended(reports.failed(TargetLocked("Locked.", remedy="Wait."), "connect"))

    assert (status.rows, status.removed, status.previous_database) == (None, None, None)


@pytest.mark.parametrize(
    "fields", [{"previous_until": "soon"}, {"previous": "x" * 100}, {"server_identity": "x" * 100}]
)
def test_whatever_a_runner_tells_the_end_can_be_written(fields: dict[str, Any]) -> None:
    strange = msgspec.structs.replace(SYNCED, **fields)

    assert ended(msgspec.structs.replace(REPORT, synced=strange)).previous_database is None


def test_only_a_stored_copy_of_a_backup_that_is_complete_becomes_an_entry() -> None:
    assert kept_copy(REPORT) == COPY
    assert kept_copy(msgspec.structs.replace(REPORT, copies=[])) is None
    assert kept_copy(msgspec.structs.replace(REPORT, synced=Synced())) is None


@pytest.mark.parametrize(
    ("storage", "copies"),
    [
        ({}, [("primary", True), ("offsite", False)]),
        ({"strategy": "Fallback"}, [("primary", True)]),
    ],
)
def test_copies_that_the_job_wants_elsewhere_are_to_be_made(
    storage: dict[str, Any], copies: list[tuple[str, bool]]
) -> None:
    job = backup_job(storage={"locations": [{"name": "offsite"}, {"name": "primary"}], **storage})

    backup = kept_backup(REPORT, COPY, job)

    assert [(copy.location, copy.stored) for copy in backup.copies] == copies
    assert kept_backup(REPORT, COPY, None).copies == [COPY]


def test_the_entry_of_a_kept_backup_is_one_of_the_source_as_a_run_would_have_made_it() -> None:
    entered: dict[str, Any] = {
        "backup": kept_backup(REPORT, COPY, None),
        "sync": "refresh-1",
        "execution_id": ID,
        "source": "orders",
        "generation": 1,
        "ended": NOW,
    }

    status = stored_by_sync(BackupExecutionStatus(), **entered)

    assert status is not None
    assert (status.phase, status.execution_id, status.datasource) == ("Completed", ID, "orders")
    assert (status.dump_bytes, status.stored_bytes, status.checksum) == (1000, 100, REPORT.checksum)
    assert (status.dump_time, status.completion_time) == (NOW - timedelta(minutes=2), NOW)
    assert (status.options_digest, status.engine_version) == (WHOLE, "17.2")
    (ready,) = [each for each in status.conditions if each.type == "Ready"]
    assert (ready.reason, "'refresh-1'" in ready.message) == ("StoredBySync", True)
    assert stored_by_sync(status, **entered) is None
