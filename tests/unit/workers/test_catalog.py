"""What is known stays the newest that was seen."""

from __future__ import annotations

from typing import Any, cast

from dataguardian.resources.backup import BACKUP_EXECUTION, BackupExecution
from dataguardian.workers.catalog import Catalog
from tests.unit.objects import execution


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


def test_the_deletion_of_an_object_does_not_remove_its_successor_of_the_same_name() -> None:
    made = catalog(execution(number=6, status={"phase": "Queued"}))

    made.drop(BACKUP_EXECUTION, execution(number=5, status={"phase": "Running"}))

    assert phases(made) == ["Queued"]
