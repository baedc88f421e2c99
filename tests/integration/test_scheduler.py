"""Each slot once: against a real API server, with slots that passed while no operator ran."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dataguardian.domain.naming import slot_run_name
from dataguardian.kube.client import JSON, Kubernetes, objects_path
from dataguardian.resources.backup import BACKUP_EXECUTION, BACKUP_JOB, BackupJob
from dataguardian.resources.common import API_VERSION, timestamp
from dataguardian.workers.context import Context
from dataguardian.workers.judging import judge
from dataguardian.workers.scheduler import Scheduler

from .apiserver import ApiServer

HOURLY = "0 * * * *"


def last_hour(hours_ago: int = 0) -> datetime:
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=hours_ago)


async def create_job(kube: Kubernetes, namespace: str, promised: datetime | None, **spec: object) -> BackupJob:
    """A job as an operator left it that promised a slot and then was away."""
    body = {
        "apiVersion": API_VERSION,
        "kind": BACKUP_JOB.name,
        "metadata": {"name": "nightly", "namespace": namespace},
        "spec": {
            "datasourceRef": {"name": "orders"},
            "storage": {"locations": [{"name": "primary"}]},
            "schedule": HOURLY,
            **spec,
        },
    }
    made = await kube.create(objects_path(BACKUP_JOB, namespace), body)
    if promised is not None:
        status = {"status": {"nextScheduleTime": timestamp(promised)}}
        made = await kube.patch(objects_path(BACKUP_JOB, namespace, "nightly") + "/status", status)
    return BackupJob.read(made)


async def run_for_a_while(context: Context, job: BackupJob) -> None:
    """An operator starts, sees the job, and starts what is due; twice, as if it were killed in between."""
    path = objects_path(BACKUP_JOB, job.metadata.namespace, job.metadata.name)
    for _ in range(2):
        scheduler = Scheduler(context)
        await judge(context, scheduler, BACKUP_JOB, BackupJob.read(await context.kube.get(path)))
        await scheduler.start_due()


async def runs(kube: Kubernetes, namespace: str) -> list[JSON]:
    return (await kube.list(objects_path(BACKUP_EXECUTION, namespace)))[0]


async def status(kube: Kubernetes, namespace: str) -> JSON:
    return dict((await kube.get(objects_path(BACKUP_JOB, namespace, "nightly")))["status"])


async def warnings(kube: Kubernetes, namespace: str) -> list[tuple[str, str]]:
    found, _ = await kube.list(f"/api/v1/namespaces/{namespace}/events")
    return [(event["reason"], event["message"]) for event in found]


def run_object(namespace: str, slot: datetime, **spec: object) -> JSON:
    return {
        "apiVersion": API_VERSION,
        "kind": BACKUP_EXECUTION.name,
        "metadata": {"name": slot_run_name("nightly", slot), "namespace": namespace},
        "spec": {"backupJobRef": {"name": "nightly"}, **spec},
    }


async def test_after_a_pause_the_latest_slot_is_caught_up_once_and_the_others_are_counted(
    context: Context, kube: Kubernetes, namespace: str
) -> None:
    job = await create_job(kube, namespace, last_hour(3), startingDeadlineSeconds=7200)

    await run_for_a_while(context, job)

    (run,) = await runs(kube, namespace)
    now = await status(kube, namespace)
    assert run["spec"]["scheduledTime"] == timestamp(last_hour()) == now["lastScheduleTime"]
    assert now["missedSchedules"] == 3
    assert now["nextScheduleTime"] == timestamp(last_hour(-1))


async def test_a_slot_whose_deadline_passed_is_missed_and_told(
    context: Context, kube: Kubernetes, namespace: str
) -> None:
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    job = await create_job(kube, namespace, midnight, schedule=f"0 0 {midnight.day} * *")

    await run_for_a_while(context, job)

    assert await runs(kube, namespace) == []
    assert (await status(kube, namespace))["missedSchedules"] == 1
    assert [reason for reason, _ in await warnings(kube, namespace)] == ["SlotsMissed"]


@pytest.mark.parametrize(
    "promised",
    [pytest.param(None, id="created"), pytest.param(timedelta(minutes=-30), id="edited")],
)
async def test_a_job_that_was_just_created_or_edited_waits_for_its_next_slot(
    context: Context, kube: Kubernetes, namespace: str, promised: timedelta | None
) -> None:
    job = await create_job(kube, namespace, None if promised is None else last_hour() + promised)

    await run_for_a_while(context, job)

    assert await runs(kube, namespace) == []
    assert (await status(kube, namespace))["nextScheduleTime"] == timestamp(last_hour(-1))


async def test_a_slot_is_left_out_while_an_earlier_run_has_not_ended(
    context: Context, kube: Kubernetes, namespace: str
) -> None:
    job = await create_job(kube, namespace, last_hour(), startingDeadlineSeconds=7200)
    earlier = run_object(namespace, last_hour(1), trigger="Schedule", scheduledTime=timestamp(last_hour(1)))
    made = await kube.create(objects_path(BACKUP_EXECUTION, namespace), earlier)
    context.catalog.put(BACKUP_EXECUTION, BACKUP_EXECUTION.model.read(made))

    await run_for_a_while(context, job)

    assert len(await runs(kube, namespace)) == 1
    assert (await status(kube, namespace))["missedSchedules"] == 1
    ((reason, message),) = await warnings(kube, namespace)
    assert reason == "SlotForbidden"
    assert earlier["metadata"]["name"] in message


async def test_where_runs_may_wait_behind_each_other_a_slot_starts_beside_an_open_run(
    context: Context, kube: Kubernetes, namespace: str
) -> None:
    job = await create_job(kube, namespace, last_hour(), startingDeadlineSeconds=7200, concurrencyPolicy="Allow")
    earlier = run_object(namespace, last_hour(1), trigger="Schedule", scheduledTime=timestamp(last_hour(1)))
    made = await kube.create(objects_path(BACKUP_EXECUTION, namespace), earlier)
    context.catalog.put(BACKUP_EXECUTION, BACKUP_EXECUTION.model.read(made))

    await run_for_a_while(context, job)

    assert len(await runs(kube, namespace)) == 2


async def test_a_strangers_object_under_the_slots_name_is_told_and_the_next_slot_is_waited_for(
    context: Context, kube: Kubernetes, namespace: str
) -> None:
    job = await create_job(kube, namespace, last_hour(), startingDeadlineSeconds=7200)
    await kube.create(objects_path(BACKUP_EXECUTION, namespace), run_object(namespace, last_hour()))

    await run_for_a_while(context, job)

    (run,) = await runs(kube, namespace)
    assert run["spec"]["trigger"] == "Manual"
    now = await status(kube, namespace)
    assert now["missedSchedules"] == 1
    assert now["nextScheduleTime"] == timestamp(last_hour(-1))
    assert [reason for reason, _ in await warnings(kube, namespace)] == ["SlotNameTaken"]


async def test_a_slots_run_that_a_killed_operator_created_is_adopted(
    context: Context, kube: Kubernetes, namespace: str
) -> None:
    job = await create_job(kube, namespace, last_hour(), startingDeadlineSeconds=7200)
    slots_own = run_object(namespace, last_hour(), trigger="Schedule", scheduledTime=timestamp(last_hour()))
    await kube.create(objects_path(BACKUP_EXECUTION, namespace), slots_own)

    await run_for_a_while(context, job)

    assert len(await runs(kube, namespace)) == 1
    now = await status(kube, namespace)
    assert now["lastScheduleTime"] == timestamp(last_hour())
    assert now["missedSchedules"] == 0
    assert await warnings(kube, namespace) == []


async def test_a_job_that_was_deleted_unseen_is_forgotten(
    context: Context, kube: Kubernetes, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dataguardian.workers.scheduler.RETRY", timedelta(0))
    job = await create_job(kube, namespace, last_hour())
    context.catalog.put(BACKUP_JOB, job)
    scheduler = Scheduler(context)
    scheduler.next_time(BACKUP_JOB, job)
    await kube.delete(objects_path(BACKUP_JOB, namespace, "nightly"))

    await scheduler.start_due()
    for run in await runs(kube, namespace):
        await kube.delete(objects_path(BACKUP_EXECUTION, namespace, run["metadata"]["name"]))
    await scheduler.start_due()

    assert await runs(kube, namespace) == []
    assert context.catalog.known(BACKUP_JOB, namespace, "nightly") is None


async def test_a_slot_that_cannot_be_started_holds_up_no_other(
    context: Context, apiserver: ApiServer, kube: Kubernetes
) -> None:
    going, *others = [apiserver.namespace() for _ in range(3)]
    scheduler = Scheduler(context)
    for namespace in (going, *others):
        job = await create_job(kube, namespace, last_hour(), startingDeadlineSeconds=7200)
        await judge(context, scheduler, BACKUP_JOB, job)
    apiserver.kubectl("delete", "namespace", going, "--wait=false")  # takes no new object

    await scheduler.start_due()

    assert [len(await runs(kube, namespace)) for namespace in (going, *others)] == [0, 1, 1]
