"""The backup of the target that a restore asks for first, against a real API server."""

from __future__ import annotations

from typing import Any

import pytest

from dataguardian.domain.naming import RESTORE_REQUEST
from dataguardian.domain.safety import WHOLE
from dataguardian.kube.client import JSON, objects_path
from dataguardian.resources.backup import BACKUP_EXECUTION, BACKUP_JOB
from dataguardian.resources.datasource import KIND as DATASOURCE
from dataguardian.resources.restore import KIND as RESTORE
from dataguardian.resources.restore import RESTORE_PHRASE
from dataguardian.workers import dispatcher, sweep
from dataguardian.workers.context import Context
from dataguardian.workers.operations import RUN_KINDS

from . import stored
from .clients import until
from .conftest import NewContext
from .ended import set_status
from .services import RedisServer
from .workers import operator
from .world import World

WANTED: dict[str, Any] = {
    "backupExecutionRef": {"name": "good"},
    "confirmationPhrase": RESTORE_PHRASE,
    "safetyBackup": True,
}


async def good_backup(world: World, *datasources: str, **job: Any) -> None:
    """A completed backup of ``orders``."""
    await world.stock(*datasources, **job)
    status = {"phase": "Completed", "datasource": "orders", "copies": [stored.COPY]}
    spec = {"backupJobRef": {"name": "orders"}}
    await stored.make(world.kube, BACKUP_EXECUTION, world.namespace, "good", spec, status)


async def safety_of(world: World, request: str = "back") -> JSON:
    """The safety backup, once it is there."""
    name = f"safety-{(await world.get(request, RESTORE))['metadata']['uid']}"

    async def look() -> bool:
        found, _ = await world.kube.list(objects_path(BACKUP_EXECUTION, world.namespace))
        return name in [each["metadata"]["name"] for each in found]

    await until(look, what="the safety backup is made")
    return await world.get(name)


async def reason(world: World) -> str:
    conditions = (await world.status("back", RESTORE)).get("conditions", [])
    return next((str(each["reason"]) for each in conditions if each["type"] == "Ready"), "")


async def waits(world: World) -> None:
    async def look() -> bool:
        return await reason(world) == "SafetyBackupRunning"

    await until(look, what="the restore waits for the safety backup")


async def test_a_restore_starts_once_its_target_has_been_backed_up(world: World, new_context: NewContext) -> None:
    context = new_context()
    async with operator(context):
        await good_backup(world, "orders")
        await world.create(RESTORE, "back", WANTED)
        safety = await safety_of(world)
        name = safety["metadata"]["name"]
        await waits(world)

        # The datasource takes one run at once: its slot is the backup's.
        await world.until_phase(name, "Running")
        waiting = await world.status("back", RESTORE)
        await world.complete(name)
        status = await world.until_phase("back", "Running", RESTORE)

    assert (waiting["phase"], waiting["safetyBackup"], waiting.get("queuePosition")) == ("Queued", name, None)
    assert safety["spec"] == {"backupJobRef": {"name": "orders"}, "trigger": "Safety", "cancel": False}
    assert safety["metadata"]["labels"] == {RESTORE_REQUEST: "back"}
    assert (status["safetyBackup"], status["datasource"]) == (name, "orders")


async def test_the_end_of_the_safety_backup_is_news_for_its_restore_at_once(
    world: World, new_context: NewContext
) -> None:
    context = new_context()
    async with operator(context, sweep_s=600):
        await good_backup(world, "orders")
        await world.create(RESTORE, "back", WANTED)
        name = (await safety_of(world))["metadata"]["name"]
        await waits(world)
        await world.until_phase(name, "Running")

        await world.complete(name)

        await world.until_phase("back", "Running", RESTORE)


async def test_without_redis_too_the_slot_goes_to_the_safety_backup_first(
    world: World, new_context: NewContext, own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "QUEUE_AWAY_S", 0.0)
    own_redis.stop()
    async with operator(new_context()):
        await good_backup(world, "orders")
        await world.backup("busy")
        await world.until_phase("busy", "Running")
        await world.create(RESTORE, "back", WANTED)
        name = (await safety_of(world))["metadata"]["name"]
        await world.until_reason(name, "LimitReached")

        await world.complete("busy")

        await world.until_phase(name, "Running")


async def test_a_restore_is_not_done_when_the_backup_of_its_target_was_not(
    world: World, new_context: NewContext
) -> None:
    async with operator(new_context()):
        await good_backup(world, "orders")
        await world.create(RESTORE, "back", WANTED)
        name = (await safety_of(world))["metadata"]["name"]
        await world.until_phase(name, "Running")

        await world.cancel(name)
        await world.until_going(name)
        await world.collect_job(name)

        status = await world.until_phase("back", "Failed", RESTORE)
    assert status["error"]["code"] == "safety-backup-failed"
    assert status["safetyBackup"] == name
    assert name in status["error"]["message"]
    assert "restore-back" not in await world.jobs()


@pytest.mark.parametrize(
    ("job", "code"),
    [
        pytest.param({}, None, id="whole"),
        pytest.param({"options": {"schemas": ["sales"]}}, "spec-invalid", id="part"),
        pytest.param(None, "spec-invalid", id="none"),
    ],
)
async def test_another_target_is_backed_up_by_a_job_that_dumps_all_of_it(
    world: World, new_context: NewContext, job: JSON | None, code: str | None
) -> None:
    await good_backup(world, "orders")
    spec = {"engine": "postgresql", "host": "db", "database": "copy", "credentialsSecretRef": {"name": "db"}}
    await world.create(DATASOURCE, "copy", spec)
    if job is not None:
        storage = {"locations": [{"name": "primary"}]}
        await world.create(BACKUP_JOB, "of-copy", {"datasourceRef": {"name": "copy"}, "storage": storage, **job})
    await world.create(RESTORE, "back", {**WANTED, "targetDatasourceRef": {"name": "copy"}})

    await dispatched(new_context(), world)

    if code is None:
        assert (await safety_of(world))["spec"]["backupJobRef"] == {"name": "of-copy"}
    else:
        error = (await world.status("back", RESTORE))["error"]
        assert (error["code"], "BackupJob" in error["message"]) == (code, True)


async def test_another_backup_with_the_name_of_the_safety_backup_is_refused(
    world: World, new_context: NewContext
) -> None:
    await good_backup(world, "orders")
    request = await world.create(RESTORE, "back", WANTED)
    spec = {"backupJobRef": {"name": "orders"}, "trigger": "Manual"}
    status = {"phase": "Completed", "datasource": "orders", "copies": [stored.COPY]}
    name = f"safety-{request['metadata']['uid']}"
    await stored.make(world.kube, BACKUP_EXECUTION, world.namespace, name, spec, status)

    await dispatched(new_context(), world)

    error = (await world.status("back", RESTORE))["error"]
    assert (error["code"], name in error["message"]) == ("spec-invalid", True)
    assert "restore-back" not in await world.jobs()


async def test_a_job_that_was_narrowed_since_does_not_back_up_the_target(world: World, new_context: NewContext) -> None:
    await good_backup(world, "orders", options={"schemas": ["sales"]})
    await world.create(RESTORE, "back", WANTED)

    await dispatched(new_context(), world)

    error = (await world.status("back", RESTORE))["error"]
    assert (error["code"], "safetyBackup" in error["message"]) == ("spec-invalid", True)
    assert await world.runs("Queued") == []


async def test_a_part_is_backed_up_before_the_same_part_is_restored(world: World, new_context: NewContext) -> None:
    async with operator(new_context()):
        await world.stock("orders", options={"schemas": ["sales"]})
        await world.backup("good")
        await world.until_phase("good", "Running")
        await world.complete("good")
        await world.until_phase("good", "Completed")
        path = objects_path(BACKUP_EXECUTION, world.namespace, "good") + "/status"
        await world.kube.patch(path, {"status": {"copies": [stored.COPY]}})
        await world.create(RESTORE, "back", WANTED)

        safety = await safety_of(world)

    assert safety["spec"]["backupJobRef"] == {"name": "orders"}


async def test_a_dry_run_makes_no_safety_backup(world: World, new_context: NewContext) -> None:
    await good_backup(world, "orders")
    await world.create(RESTORE, "back", {**WANTED, "dryRun": True})

    await dispatched(new_context(), world)

    status = await world.status("back", RESTORE)
    assert (status["phase"], status.get("safetyBackup")) == ("Running", None)
    assert await world.runs("Queued") == []


async def test_an_operator_that_died_beside_the_safety_backup_finds_it_again(
    world: World, new_context: NewContext
) -> None:
    await good_backup(world, "orders")
    await world.create(RESTORE, "back", WANTED)
    await dispatched(new_context(), world)
    safety = await safety_of(world)
    path = objects_path(RESTORE, world.namespace, "back") + "/status"
    await world.kube.patch(path, {"status": {"safetyBackup": None, "datasource": None}})
    done = {"phase": "Completed", "copies": [stored.COPY], "datasource": "orders", "optionsDigest": WHOLE}
    await set_status(world.kube, BACKUP_EXECUTION, safety, {**done, "dumpTime": "2020-11-24T02:00:00Z"})

    await dispatched(new_context(), world)

    status = await world.status("back", RESTORE)
    assert (status["phase"], status["safetyBackup"]) == ("Running", safety["metadata"]["name"])
    assert "2020-11-24T02:00:00Z" in status["note"]  # long before: the restore waited for something


async def dispatched(context: Context, world: World) -> None:
    """The operator has looked at the restore once."""
    run_kind = RUN_KINDS["restore"]
    await dispatcher.take_over(context)
    run = await context.catalog.read(RESTORE, world.namespace, "back")
    assert run is not None
    if run.status.phase is None:
        await dispatcher.accept(context, run_kind, run)
    await dispatcher.dispatch_known(context, run_kind, run)
