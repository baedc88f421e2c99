"""What is known stays the newest that was seen."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

from dataguardian.domain.summary import sync_summary
from dataguardian.resources.backup import BACKUP_EXECUTION, BackupExecution
from dataguardian.resources.sync import DATABASE_SYNC_EXECUTION
from dataguardian.workers.catalog import Catalog
from tests.unit.objects import ended_sync, execution, sync_job


def version(number: int, phase: str) -> BackupExecution:
    found = execution(status={"phase": phase})
    return found.model_copy(update={"metadata": found.metadata.model_copy(update={"resource_version": str(number)})})


def phases(catalog: Catalog) -> list[Any]:
    return [run.status.phase for run in catalog.all(BACKUP_EXECUTION)]


def catalog(*seen: BackupExecution) -> Catalog:
    made = Catalog(cast(Any, None))
    for run in seen:
        made.put(BACKUP_EXECUTION, run)
    return made


def test_an_older_version_that_arrives_later_changes_nothing() -> None:
    assert phases(catalog(version(9, "Queued"), version(10, "Running"), version(9, "Queued"))) == ["Running"]


def test_a_run_that_was_seen_to_have_ended_does_not_come_back() -> None:
    assert phases(catalog(version(9, "Running"), version(10, "Failed"), version(9, "Running"))) == []


def test_a_version_of_before_its_end_takes_nothing_from_what_is_known_of_a_run_that_has_ended() -> None:
    kept: dict[str, Any] = {"previousDatabase": {"name": "dg_previous_orders_1", "dropTime": "2026-11-25T02:00:00Z"}}
    job, before, ended = sync_job(), ended_sync(phase="Running"), ended_sync(**kept)
    made = Catalog(cast(Any, None))
    runs = made.ended_runs[DATABASE_SYNC_EXECUTION.plural]
    for seen in (before, ended):
        made.put(DATABASE_SYNC_EXECUTION, seen)
    for told in runs.untold(job):
        runs.tell(told)

    for seen in (before, ended):
        made.put(DATABASE_SYNC_EXECUTION, seen)
        assert made.previous.is_kept(ended.metadata.uid)

    later = job.model_copy(update={"status": sync_summary(job.status, ended, now=datetime.now(UTC))})
    assert runs.untold(later) == []


def test_the_deletion_of_an_object_does_not_remove_its_successor_of_the_same_name() -> None:
    made = catalog(execution(number=6, status={"phase": "Queued"}))

    made.drop(BACKUP_EXECUTION, execution(number=5, status={"phase": "Running"}))

    assert phases(made) == ["Queued"]
