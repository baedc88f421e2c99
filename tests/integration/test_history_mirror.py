"""What runs by a schedule → its table in history: on a real API server and a real PostgreSQL."""

from __future__ import annotations

from typing import Any, LiteralString

import pytest

from dataguardian.history import HistoryUnavailable
from dataguardian.kube.client import JSON, objects_path
from dataguardian.resources.backup import BACKUP_JOB, BackupJob
from dataguardian.resources.common import API_VERSION
from dataguardian.resources.sync import DATABASE_SYNC_JOB, DatabaseSyncJob
from dataguardian.workers.catalog import Catalog
from dataguardian.workers.mirror import BACKUPS, BATCH, SYNCS, Mirror
from tests.unit.objects import backup_job

from . import stored
from .recording import Place

NEXT = "2026-11-24T02:00:00Z"


def seen_by(place: Place) -> tuple[Catalog, Mirror[Any]]:
    """What an operator knows that has just started, and has seen no job yet."""
    context = place.operator().context
    return context.catalog, Mirror(context, BACKUPS)


async def make(place: Place, name: str, **spec: Any) -> BackupJob:
    storage = {"locations": [{"name": "primary"}]}
    body = {
        "apiVersion": API_VERSION,
        "kind": BACKUP_JOB.name,
        "metadata": {"name": name, "namespace": place.namespace},
        "spec": {"datasourceRef": {"name": "orders"}, "storage": storage, **spec},
    }
    return BackupJob.read(await place.kube.create(objects_path(BACKUP_JOB, place.namespace), body))


async def change(place: Place, name: str, body: JSON, *, part: str = "") -> BackupJob:
    return BackupJob.read(await place.kube.patch(objects_path(BACKUP_JOB, place.namespace, name) + part, body))


async def delete(place: Place, name: str) -> None:
    await place.kube.delete(objects_path(BACKUP_JOB, place.namespace, name))


def shown(place: Place, columns: LiteralString) -> list[tuple[Any, ...]]:
    """Columns of the table, by name."""
    return place.server.rows(place.database, "SELECT " + columns + " FROM backup_jobs ORDER BY name, deleted_at")


async def test_a_job_is_shown_with_its_next_run_and_how_the_last_one_ended(place: Place) -> None:
    catalog, mirror = seen_by(place)
    await make(place, "nightly", schedule="0 2 * * *", timeZone="America/Sao_Paulo")
    last = {"name": "nightly-1", "phase": "Failed", "completionTime": NEXT}
    status = {"nextScheduleTime": NEXT, "lastExecution": last, "lastSuccessfulTime": NEXT}
    catalog.put(BACKUP_JOB, await change(place, "nightly", {"status": status}, part="/status"))

    await mirror.step()

    assert shown(place, "namespace = '" + place.namespace + "', name, datasource, schedule, time_zone, suspended") == [
        (True, "nightly", "orders", "0 2 * * *", "America/Sao_Paulo", False)
    ]
    times = f"'{NEXT}'::timestamptz = ALL (ARRAY[next_execution_at, last_execution_at, last_successful_at])"
    assert shown(place, "last_execution_name, last_execution_status, deleted_at IS NULL, " + times) == [
        ("nightly-1", "failed", True, True)
    ]


async def test_edits_and_deletions_are_followed(place: Place) -> None:
    catalog, mirror = seen_by(place)
    for name in ("edited", "deleted"):
        catalog.put(BACKUP_JOB, await make(place, name, schedule="0 2 * * *"))
    await mirror.step()

    catalog.put(BACKUP_JOB, await change(place, "edited", {"spec": {"suspend": True, "schedule": "@daily"}}))
    catalog.drop(BACKUP_JOB, catalog.known(BACKUP_JOB, place.namespace, "deleted") or backup_job())
    await mirror.step()

    assert shown(place, "name, schedule, suspended, deleted_at IS NOT NULL") == [
        ("deleted", "0 2 * * *", False, True),
        ("edited", "@daily", True, False),
    ]


async def test_a_job_that_is_made_again_under_its_name_is_another_one(place: Place) -> None:
    catalog, mirror = seen_by(place)
    catalog.put(BACKUP_JOB, await make(place, "nightly"))
    await mirror.step()

    await delete(place, "nightly")
    catalog.put(BACKUP_JOB, await make(place, "nightly", schedule="@daily"))
    await mirror.step()

    assert shown(place, "schedule, deleted_at IS NOT NULL") == [(None, True), ("@daily", False)]


async def test_a_change_that_the_table_does_not_show_is_not_written(place: Place) -> None:
    catalog, mirror = seen_by(place)
    catalog.put(BACKUP_JOB, await make(place, "nightly"))
    await mirror.step()
    written = shown(place, "xmin::text")

    catalog.put(BACKUP_JOB, await change(place, "nightly", {"metadata": {"labels": {"team": "shop"}}}))
    await mirror.step()

    assert shown(place, "xmin::text") == written


async def test_a_restart_writes_what_differs_and_nothing_else(place: Place) -> None:
    catalog, mirror = seen_by(place)
    jobs = [await make(place, name) for name in ("edited", "same", "vanished")]
    for job in jobs:
        catalog.put(BACKUP_JOB, job)
    await mirror.step()
    written = dict(shown(place, "name, xmin::text || xmax::text"))

    await delete(place, "vanished")
    edited = await change(place, "edited", {"spec": {"suspend": True}})
    catalog, mirror = seen_by(place)
    await mirror.step()  # before any job was seen
    early = shown(place, "name, deleted_at IS NOT NULL")
    catalog.put(BACKUP_JOB, edited)
    catalog.put(BACKUP_JOB, jobs[1])
    await mirror.step()

    assert early == [("edited", False), ("same", False), ("vanished", True)]
    assert shown(place, "name, suspended, deleted_at IS NOT NULL") == [
        ("edited", True, False),
        ("same", False, False),
        ("vanished", False, True),
    ]
    assert dict(shown(place, "name, xmin::text || xmax::text"))["same"] == written["same"]


async def test_what_changes_while_history_is_away_is_written_when_it_is_back(place: Place) -> None:
    catalog, mirror = seen_by(place)
    for name in ("deleted", "edited"):
        catalog.put(BACKUP_JOB, await make(place, name))
    await mirror.step()
    place.server.stop()
    catalog.put(BACKUP_JOB, await change(place, "edited", {"spec": {"suspend": True}}))
    catalog.drop(BACKUP_JOB, catalog.known(BACKUP_JOB, place.namespace, "deleted") or backup_job())
    await delete(place, "deleted")
    for _ in range(2):
        with pytest.raises(HistoryUnavailable):
            await mirror.step()

    place.server.start()
    await mirror.step()

    assert shown(place, "name, suspended, deleted_at IS NOT NULL") == [
        ("deleted", False, True),
        ("edited", True, False),
    ]


async def test_a_wiped_table_is_filled_again(place: Place) -> None:
    catalog, mirror = seen_by(place)
    catalog.put(BACKUP_JOB, await make(place, "nightly"))
    await mirror.step()
    place.server.sql(place.database, "ALTER TABLE backup_jobs RENAME TO lost")
    catalog.put(BACKUP_JOB, await change(place, "nightly", {"spec": {"suspend": True}}))
    with pytest.raises(HistoryUnavailable):
        await mirror.step()
    place.server.sql(place.database, "ALTER TABLE lost RENAME TO backup_jobs", "TRUNCATE backup_jobs")

    await mirror.step()

    assert shown(place, "name, suspended") == [("nightly", True)]


async def test_many_jobs_are_written_in_few_transactions(place: Place) -> None:
    catalog, mirror = seen_by(place)
    for number in range(2 * BATCH):
        job = backup_job()
        uid = f"00000000-0000-4000-8000-{number:012d}"
        named = job.metadata.model_copy(update={"uid": uid, "name": f"job-{number}"})
        catalog.put(BACKUP_JOB, job.model_copy(update={"metadata": named}))

    await mirror.step()

    assert place.server.rows(place.database, "SELECT count(*), count(DISTINCT xmin::text) FROM backup_jobs") == [
        (2 * BATCH, 2)
    ]


async def test_a_sync_job_is_shown_in_a_table_of_its_own_with_its_two_datasources(place: Place) -> None:
    context = place.operator().context
    mirror = Mirror(context, SYNCS)
    spec = {"sourceRef": {"name": "orders"}, "targetRef": {"name": "staging"}, "schedule": "@daily"}
    last = {"name": "refresh-1", "phase": "Completed", "completionTime": NEXT}
    status = {"nextScheduleTime": NEXT, "lastExecution": last, "lastSuccessfulTime": NEXT}
    made = await stored.make(place.kube, DATABASE_SYNC_JOB, place.namespace, "refresh", spec, status)
    job = DatabaseSyncJob.read(made)
    context.catalog.put(DATABASE_SYNC_JOB, job)
    read = "SELECT source, target, schedule, last_execution_status, next_execution_at IS NULL, deleted_at IS NULL"

    await mirror.step()
    there = place.server.rows(place.database, read + " FROM database_sync_jobs")
    context.catalog.drop(DATABASE_SYNC_JOB, job)
    await mirror.step()

    assert there == [("orders", "staging", "@daily", "completed", False, True)]
    gone = [("orders", "staging", "@daily", "completed", True, False)]
    assert place.server.rows(place.database, read + " FROM database_sync_jobs") == gone
    assert shown(place, "name") == []
