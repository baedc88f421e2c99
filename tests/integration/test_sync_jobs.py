"""DatabaseSyncJobs: what their slots run, and what their status says of it, against a real API server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from dataguardian.domain.naming import slot_run_name
from dataguardian.handlers import checked, runs, scheduled
from dataguardian.kube.client import JSON, Kubernetes, objects_path
from dataguardian.resources import datasource
from dataguardian.resources.common import timestamp
from dataguardian.resources.datasource import Datasource
from dataguardian.resources.sync import (
    DATABASE_SYNC_EXECUTION,
    DATABASE_SYNC_JOB,
    DatabaseSyncExecution,
    DatabaseSyncJob,
)
from dataguardian.workers.context import Context
from dataguardian.workers.judging import judge, judge_all
from dataguardian.workers.scheduler import Scheduler

from .synced import make_datasource, make_job, make_run

HOURLY = {"schedule": "0 * * * *", "startingDeadlineSeconds": 7200}
DIGEST = "sha256:" + "a" * 64


def last_hour() -> datetime:
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


async def start_slots(context: Context, job: DatabaseSyncJob) -> None:
    """An operator starts, sees the job, and starts what is due; twice, as if it were killed in between."""
    path = objects_path(DATABASE_SYNC_JOB, job.metadata.namespace, job.metadata.name)
    for _ in range(2):
        scheduler = Scheduler(context)
        await judge(context, scheduler, DATABASE_SYNC_JOB, DatabaseSyncJob.read(await context.kube.get(path)))
        await scheduler.start_due()


async def executions(kube: Kubernetes, namespace: str) -> list[JSON]:
    return (await kube.list(objects_path(DATABASE_SYNC_EXECUTION, namespace)))[0]


async def read(kube: Kubernetes, namespace: str) -> DatabaseSyncJob:
    return DatabaseSyncJob.read(await kube.get(objects_path(DATABASE_SYNC_JOB, namespace, "refresh")))


async def condition(kube: Kubernetes, namespace: str, type: str) -> tuple[str, str]:
    found = (await read(kube, namespace)).status.conditions
    return next((each.status, each.reason) for each in found if each.type == type)


async def told(kube: Kubernetes, namespace: str) -> list[tuple[str, str, str]]:
    """The events of the job."""
    found, _ = await kube.list(f"/api/v1/namespaces/{namespace}/events")
    mine = [event for event in found if event["involvedObject"]["kind"] == "DatabaseSyncJob"]
    return sorted((event["type"], event["reason"], event["message"]) for event in mine)


async def see(context: Context, *objects: DatabaseSyncJob | DatabaseSyncExecution) -> None:
    """What the handlers and the worker do once these objects are seen."""
    scheduler = Scheduler(context)
    for each in objects:
        if isinstance(each, DatabaseSyncJob):
            await scheduled.seen(context, scheduler, DATABASE_SYNC_JOB, each)
        else:
            await runs.seen(context, scheduler, DATABASE_SYNC_EXECUTION, each)
    await judge_all(context, scheduler)


async def test_a_slot_is_one_run_with_its_name(context: Context, kube: Kubernetes, namespace: str) -> None:
    job = await make_job(context, namespace, promised=last_hour(), **HOURLY)

    await start_slots(context, job)

    (run,) = await executions(kube, namespace)
    assert run["metadata"]["name"] == slot_run_name("refresh", last_hour())
    assert run["spec"] == {
        "databaseSyncJobRef": {"name": "refresh"},
        "trigger": "Schedule",
        "scheduledTime": timestamp(last_hour()),
        "cancel": False,
    }
    now = (await read(kube, namespace)).status
    assert (now.last_schedule_time, now.next_schedule_time) == (last_hour(), last_hour() + timedelta(hours=1))


async def test_a_slot_is_left_out_while_a_sync_of_the_job_has_not_ended(
    context: Context, kube: Kubernetes, namespace: str
) -> None:
    job = await make_job(context, namespace, promised=last_hour(), **HOURLY)
    context.catalog.put(DATABASE_SYNC_EXECUTION, await make_run(context, namespace, "by-hand", "Running"))

    await start_slots(context, job)

    assert [run["metadata"]["name"] for run in await executions(kube, namespace)] == ["by-hand"]
    ((_, reason, message),) = await told(kube, namespace)
    assert reason == "SlotForbidden"
    assert "by-hand" in message


async def test_nothing_runs_while_a_job_is_suspended(context: Context, kube: Kubernetes, namespace: str) -> None:
    job = await make_job(context, namespace, promised=last_hour(), suspend=True, **HOURLY)

    await start_slots(context, job)

    assert await executions(kube, namespace) == []


async def test_a_job_tells_of_its_runs_once_however_often_they_are_seen(
    context: Context, kube: Kubernetes, namespace: str
) -> None:
    job = await make_job(context, namespace)
    figures = {"tables": 3, "rows": 1200, "duration": "1m5s", "maskingDigest": DIGEST}
    good = await make_run(context, namespace, "good", "Completed", hours_ago=2, **figures)
    error = {"code": "database-unavailable", "step": "connect", "message": "No answer.", "remedy": "Look."}
    bad = await make_run(context, namespace, "bad", "Failed", hours_ago=1, error=error)

    await see(context, job, bad, good)
    first = await read(kube, namespace)
    await see(context, good, bad, job)

    now = first.status
    assert now.last_execution is not None
    assert (now.last_execution.name, now.last_execution.phase) == ("bad", "Failed")
    assert (now.last_successful_time, now.masking_digest) == (good.status.completion_time, DIGEST)
    assert await condition(kube, namespace, "Ready") == ("False", "Failed")
    assert await read(kube, namespace) == first
    assert await told(kube, namespace) == [
        (
            "Normal",
            "SyncCompleted",
            "DatabaseSyncExecution good: Datasource orders was copied to staging in 1m5s: 3 tables and 1200 rows.",
        ),
        ("Warning", "SyncFailed", "DatabaseSyncExecution bad: No answer. Look."),
    ]


async def test_what_stands_in_the_way_is_told_when_a_datasource_is_made_and_edited(
    context: Context, kube: Kubernetes, namespace: str
) -> None:
    scheduler = Scheduler(context)

    async def edit(spec: JSON, name: str = "staging") -> None:
        path = objects_path(datasource.KIND, namespace, name)
        edited = Datasource.read(await kube.patch(path, {"spec": spec}))
        await checked.seen(context, scheduler, datasource.KIND, edited)
        await judge_all(context, scheduler)
        found.append(await condition(kube, namespace, "Stalled"))

    await see(context, await make_job(context, namespace))
    found = [await condition(kube, namespace, "Stalled")]
    for name in ("orders", "staging"):
        made = await make_datasource(context, namespace, name)
        await checked.seen(context, scheduler, datasource.KIND, made)
    await edit({"classification": ["production"]})
    await edit({"classification": []})
    await checked.seen(context, scheduler, datasource.KIND, await make_datasource(context, namespace, "alias"))
    await edit({"classification": ["production"], "host": "staging-db.shop.svc"}, "alias")
    await edit({"classification": []}, "alias")
    await edit({"host": "orders-db.shop.svc"})

    assert found == [
        ("True", "DatasourceNotFound"),
        ("True", "ProductionTarget"),
        ("False", "AsExpected"),
        ("True", "ProductionTarget"),
        ("False", "AsExpected"),
        ("True", "SameDatabase"),
    ]
