"""RestoreDrills: what their slots run, and what their status says of it, against a real API server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dataguardian.domain.naming import slot_run_name
from dataguardian.errors import NoRecentBackup
from dataguardian.handlers import runs, scheduled
from dataguardian.kube.client import JSON, Kubernetes, objects_path
from dataguardian.resources import drill, restore
from dataguardian.resources.common import timestamp
from dataguardian.resources.drill import RestoreDrill
from dataguardian.resources.restore import RestoreRequest
from dataguardian.workers import recorder
from dataguardian.workers.catalog import Catalog
from dataguardian.workers.context import Context
from dataguardian.workers.judging import judge, judge_all
from dataguardian.workers.operations import RUN_KINDS
from dataguardian.workers.scheduler import Scheduler

from .rehearsed import PHRASE, make_drill, request
from .stored import make

HOURLY = {"schedule": "0 * * * *", "startingDeadlineSeconds": 7200}


def last_hour() -> datetime:
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


async def start_slots(context: Context, owner: RestoreDrill) -> None:
    """An operator starts, sees the drill, and starts what is due; twice, as if it were killed in between."""
    path = objects_path(drill.KIND, owner.metadata.namespace, owner.metadata.name)
    for _ in range(2):
        scheduler = Scheduler(context)
        await judge(context, scheduler, drill.KIND, RestoreDrill.read(await context.kube.get(path)))
        await scheduler.start_due()


async def requests(kube: Kubernetes, namespace: str) -> list[JSON]:
    return (await kube.list(objects_path(restore.KIND, namespace)))[0]


async def status(kube: Kubernetes, namespace: str) -> JSON:
    return dict((await kube.get(objects_path(drill.KIND, namespace, "weekly")))["status"])


async def told(kube: Kubernetes, namespace: str) -> list[tuple[str, str, str]]:
    """The events of the drill."""
    found, _ = await kube.list(f"/api/v1/namespaces/{namespace}/events")
    mine = [event for event in found if event["involvedObject"]["kind"] == "RestoreDrill"]
    return sorted((event["type"], event["reason"], event["message"]) for event in mine)


async def see(context: Context, *objects: RestoreDrill | RestoreRequest) -> None:
    """What the handlers and the worker do once these objects are seen."""
    scheduler = Scheduler(context)
    for owner in (each for each in objects if isinstance(each, RestoreDrill)):
        await scheduled.seen(context, scheduler, drill.KIND, owner)
    for run in (each for each in objects if isinstance(each, RestoreRequest)):
        await runs.seen(context, scheduler, restore.KIND, run)
    await judge_all(context, scheduler)


async def restarted(context: Context) -> Context:
    """An operator that knows what it finds in the objects."""
    fresh = Context(
        kube=context.kube,
        queue=context.queue,
        history=context.history,
        runner=context.runner,
        catalog=Catalog(context.kube),
    )
    await fresh.catalog.load(restore.KIND)
    return fresh


@pytest.mark.parametrize(
    ("spec", "differs"),
    [
        pytest.param({}, {"verificationTarget": "Datasource"}, id="where-it-came-from"),
        pytest.param(
            {"targetDatasourceRef": {"name": "rehearsal"}, "activeDeadlineSeconds": 600},
            {
                "verificationTarget": "Datasource",
                "targetDatasourceRef": {"name": "rehearsal"},
                "activeDeadlineSeconds": 600,
            },
            id="another-server",
        ),
        pytest.param(
            {"verificationTarget": "Ephemeral"}, {"verificationTarget": "Ephemeral"}, id="a-server-of-its-own"
        ),
    ],
)
async def test_a_slot_is_one_verification_that_the_api_server_takes(
    context: Context, kube: Kubernetes, namespace: str, spec: JSON, differs: JSON
) -> None:
    owner = await make_drill(context, namespace, promised=last_hour(), **HOURLY, **spec)

    await start_slots(context, owner)

    (run,) = await requests(kube, namespace)
    said: dict[str, Any] = {
        "restoreDrillRef": {"name": "weekly"},
        "trigger": "Schedule",
        "scheduledTime": timestamp(last_hour()),
        "activeDeadlineSeconds": 86400,
        **PHRASE,
        **differs,
    }
    assert run["metadata"]["name"] == slot_run_name("weekly", last_hour())
    assert {name: run["spec"].get(name) for name in said} == said
    assert "targetDatasourceRef" in differs or "targetDatasourceRef" not in run["spec"]
    now = await status(kube, namespace)
    assert now["lastScheduleTime"] == timestamp(last_hour())
    assert now["nextScheduleTime"] == timestamp(last_hour() + timedelta(hours=1))


async def test_a_slot_is_left_out_while_a_drill_has_not_ended_but_not_for_another_restore(
    context: Context, kube: Kubernetes, namespace: str
) -> None:
    spec = {"backupExecutionRef": {"name": "nightly-1"}, "confirmationPhrase": "RESTAURAR"}
    other = await make(kube, restore.KIND, namespace, "bring-back", spec, {"phase": "Running"})
    context.catalog.put(restore.KIND, RestoreRequest.read(other))
    owner = await make_drill(context, namespace, promised=last_hour(), **HOURLY)
    await start_slots(context, owner)
    assert len(await requests(kube, namespace)) == 2

    by_hand = await request(context, namespace, "by-hand", "Running")
    context.catalog.put(restore.KIND, by_hand)
    following = {"status": {"nextScheduleTime": timestamp(last_hour() - timedelta(hours=1))}}
    await kube.patch(objects_path(drill.KIND, namespace, "weekly") + "/status", following)
    await kube.delete(objects_path(restore.KIND, namespace, slot_run_name("weekly", last_hour())))
    await start_slots(context, owner)

    assert sorted(run["metadata"]["name"] for run in await requests(kube, namespace)) == ["bring-back", "by-hand"]
    ((_, reason, message),) = await told(kube, namespace)
    assert reason == "SlotForbidden"
    assert "by-hand" in message


@pytest.mark.parametrize(("spec", "event"), [({}, None), ({"dryRun": True}, "SlotNameTaken")])
async def test_what_has_the_name_of_a_slot_is_its_run_only_if_it_rehearses_a_restore(
    context: Context, kube: Kubernetes, namespace: str, spec: JSON, event: str | None
) -> None:
    owner = await make_drill(context, namespace, promised=last_hour(), **HOURLY)
    slot = {"restoreDrillRef": {"name": "weekly"}, "trigger": "Schedule", "scheduledTime": timestamp(last_hour())}
    name = slot_run_name("weekly", last_hour())
    await make(kube, restore.KIND, namespace, name, {**slot, **PHRASE, **spec}, {})

    await start_slots(context, owner)

    assert [reason for _, reason, _ in await told(kube, namespace)] == ([event] if event else [])
    assert ("lastScheduleTime" in await status(kube, namespace)) == (event is None)


async def test_a_run_that_ended_earlier_and_is_told_of_late_has_its_event_too(
    context: Context, kube: Kubernetes, namespace: str
) -> None:
    owner = await make_drill(context, namespace)
    slow = await request(context, namespace, "slow", "Running")
    await see(context, owner, slow, await request(context, namespace, "fast", "Completed", hours_ago=1))
    await see(context, RestoreDrill.read(await kube.get(objects_path(drill.KIND, namespace, "weekly"))))
    path = objects_path(restore.KIND, namespace, "slow") + "/status"
    at = timestamp(datetime.now(UTC) - timedelta(hours=2))
    ended = RestoreRequest.read(await kube.patch(path, {"status": {"phase": "Cancelled", "completionTime": at}}))

    await see(context, ended)
    await see(context, ended)

    assert [reason for _, reason, _ in await told(kube, namespace)] == ["DrillCancelled", "DrillPassed"]
    assert (await status(kube, namespace))["lastExecution"]["name"] == "fast"


async def test_a_drill_tells_of_its_runs_once_whoever_made_them_and_however_often_they_are_seen(
    context: Context, kube: Kubernetes, namespace: str
) -> None:
    owner = await make_drill(context, namespace)
    passed = await request(
        context, namespace, "a", "Completed", hours_ago=2, restoreSeconds=75, backupExecution="nightly-1"
    )
    error = {"code": "verification-failed", "step": "check", "message": "A table is missing.", "remedy": "Look."}
    failed = await request(context, namespace, "b", "Failed", hours_ago=1, error=error)

    await see(context, owner, failed, passed)
    first = await kube.get(objects_path(drill.KIND, namespace, "weekly"))
    await see(context, owner, passed, failed)
    await see(await restarted(context), owner)

    now = RestoreDrill.read(first).status
    assert (now.last_result, now.last_drill_time) == ("Failed", failed.status.completion_time)
    assert (now.last_restore_seconds, now.last_passed_time) == (75, passed.status.completion_time)
    assert now.last_execution is not None
    assert now.last_execution.name == "b"
    assert await kube.get(objects_path(drill.KIND, namespace, "weekly")) == first
    assert await told(kube, namespace) == [
        ("Normal", "DrillPassed", "RestoreRequest a: BackupExecution nightly-1 was restored and compared in 1m15s."),
        ("Warning", "DrillFailed", "RestoreRequest b: A table is missing. Look."),
    ]


async def test_a_run_that_ended_while_no_operator_worked_is_told(
    context: Context, kube: Kubernetes, namespace: str
) -> None:
    owner = await make_drill(context, namespace)
    await request(context, namespace, "a", "Cancelled")

    await see(await restarted(context), owner)

    assert (await status(kube, namespace))["lastResult"] == "Cancelled"


async def test_a_run_that_is_told_of_late_does_not_hide_a_newer_one(
    context: Context, kube: Kubernetes, namespace: str
) -> None:
    owner = await make_drill(context, namespace)
    await see(context, owner)
    await see(context, await request(context, namespace, "new", "Failed", hours_ago=1))

    await see(context, await request(context, namespace, "old", "Completed", hours_ago=2))

    assert (await status(kube, namespace))["lastExecution"]["name"] == "new"


async def test_a_drill_without_a_backup_to_verify_is_a_drill_that_failed(
    context: Context, kube: Kubernetes, namespace: str
) -> None:
    owner = await make_drill(context, namespace)
    run = await request(context, namespace, "a", "Queued")
    await see(context, owner, run)
    error = NoRecentBackup("BackupJob 'nightly' has no backup of the last 168h.", remedy="Look at its last runs.")

    await recorder.fail(context, RUN_KINDS["restore"], run, error)
    ended = await context.catalog.read(restore.KIND, namespace, "a")
    assert ended is not None
    await see(context, ended)

    now = await status(kube, namespace)
    (ready,) = [condition for condition in now["conditions"] if condition["type"] == "Ready"]
    assert (now["lastResult"], ready["status"], ready["reason"]) == ("Failed", "False", "NoRecentBackup")
    assert [(kind, reason) for kind, reason, _ in await told(kube, namespace)] == [("Warning", "DrillFailed")]
    assert context.unwritten[run.metadata.uid].error_code == "no-recent-backup"
