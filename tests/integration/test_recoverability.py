"""A BackupJob's recoverability follows its backups, its proofs, its spec and the time, on a real API server."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from dataguardian.handlers import backup_jobs, runs
from dataguardian.handlers.triggers import GONE, SEEN, Handler
from dataguardian.kube.client import JSON, objects_path
from dataguardian.resources import restore, storage_location
from dataguardian.resources.backup import BACKUP_EXECUTION, BACKUP_JOB, BackupJob, BackupJobStatus, Recoverability
from dataguardian.resources.common import Condition, timestamp
from dataguardian.resources.restore import RestoreRequest
from dataguardian.resources.storage_location import StorageLocation
from dataguardian.workers import judging, recoverability
from dataguardian.workers.context import Context
from dataguardian.workers.loop import forever
from dataguardian.workers.recoverability import Assessor
from dataguardian.workers.scheduler import Scheduler

from . import stored
from .clients import until
from .conftest import NewContext
from .workers import Counting, operator
from .world import World

FAULT = {"code": "verification-failed", "step": "check", "message": "A table is lost.", "remedy": "Back up again."}
PASSED = {"result": "Passed", "tables": 1, "rows": 1, "sequences": 0, "sampledRows": 1, "differenceCount": 0}
AWAY = {"code": "database-unavailable", "step": "load", "message": "No answer.", "remedy": "Look at the server."}


@dataclass
class Clock:
    """The worker's time, which a test moves on."""

    ahead: timedelta = field(default=timedelta())

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    moved = Clock()
    monkeypatch.setattr(recoverability, "now", moved.now)
    return moved


class Operator:
    """An operator's memory, which a restart throws away, in one namespace."""

    def __init__(self, context: Context, namespace: str) -> None:
        self.context, self.kube, self.namespace = context, context.kube, namespace
        self.assessor, self.scheduler = Assessor(context), Scheduler(context)

    async def start(self) -> None:
        """Everything is seen, as at a start, and assessed."""
        await self.context.catalog.load(storage_location.KIND)
        await self.context.catalog.entries.load()
        for request in (await self.kube.list(objects_path(restore.KIND, self.namespace)))[0]:
            await self.see_restore(RestoreRequest.read(request))
        for job in (await self.kube.list(objects_path(BACKUP_JOB, self.namespace)))[0]:
            await self.see_job(BackupJob.read(job))
        await self.assessor.step()

    async def see_job(self, job: BackupJob) -> None:
        await backup_jobs.seen(self.context, self.scheduler, BACKUP_JOB, job)

    async def see_restore(self, request: RestoreRequest) -> None:
        await runs.seen(self.context, self.scheduler, restore.KIND, request)

    async def see_location(self, body: JSON, table: dict[str, Handler] = SEEN) -> None:
        location = StorageLocation.read(body)
        await table[storage_location.KIND.plural](self.context, self.scheduler, storage_location.KIND, location)
        await self.assessor.step()

    async def job(self) -> BackupJob:
        return BackupJob.read(await self.kube.get(objects_path(BACKUP_JOB, self.namespace, "nightly")))

    async def condition(self) -> Condition:
        return next(each for each in (await self.job()).status.conditions if each.type == "Recoverable")

    async def verdict(self) -> tuple[str, str]:
        condition = await self.condition()
        return condition.status, condition.reason

    async def known(self) -> Recoverability:
        return (await self.job()).status.recoverability or Recoverability()

    async def events(self) -> list[tuple[str, str]]:
        """Type and reason of the job's events."""
        found, _ = await self.kube.list(f"/api/v1/namespaces/{self.namespace}/events")
        return [(each["type"], each["reason"]) for each in found if each["involvedObject"]["name"] == "nightly"]

    async def ended(self, name: str, of: str = "nightly-1", *, ago_s: int = 60, **status: Any) -> RestoreRequest:
        """A verification that is completed unless its status says otherwise; nobody has seen it yet."""
        spec = {
            "backupExecutionRef": {"name": of},
            "verificationMode": True,
            "confirmationPhrase": restore.VERIFY_PHRASE,
        }
        at = timestamp(datetime.now(UTC) - timedelta(seconds=ago_s))
        whole: JSON = {"phase": "Completed", "startTime": at, "completionTime": at, "backupJob": "nightly"}
        if "phase" not in status:
            whole["verification"] = PASSED
        whole |= status
        return RestoreRequest.read(await stored.make(self.kube, restore.KIND, self.namespace, name, spec, whole))


@pytest.fixture
async def first(new_context: NewContext, namespace: str) -> Operator:
    operator = Operator(new_context(), namespace)
    await stored.location(operator.context, namespace)
    return operator


async def test_a_job_whose_backup_grows_too_old_turns_by_the_passing_of_time_alone(
    first: Operator, clock: Clock
) -> None:
    job = await stored.job(first.context, first.namespace, objectives={"recoveryPoint": "24h"})
    await stored.entry(first.context, job)
    await first.start()
    before = await first.verdict()
    assert isinstance(first.kube, Counting)
    first.kube.patched.clear()

    clock.ahead = timedelta(hours=22, minutes=50)
    await first.assessor.step()
    in_time = await first.verdict(), list(first.kube.patched)
    clock.ahead = timedelta(hours=23, minutes=1)
    await first.assessor.step()
    await first.assessor.step()

    assert before == ("True", "AsIntended")
    assert in_time == (before, [])
    assert await first.verdict() == ("False", "RecoveryPointMissed")
    assert "nightly-1" in (await first.condition()).message
    assert first.kube.patched == [objects_path(BACKUP_JOB, first.namespace, "nightly") + "/status"]
    assert await first.events() == [("Warning", "RecoveryPointMissed")]


async def test_a_verification_turns_a_job_that_was_never_verified(first: Operator) -> None:
    job = await stored.job(first.context, first.namespace, objectives={"verifiedWithin": "24h", "recoveryTime": "1h"})
    entry = await stored.entry(first.context, job)
    await first.start()
    before = await first.verdict()

    request = await first.ended("drill", restoreSeconds=90, dumpBytes=2048)
    await first.see_restore(request)
    await first.assessor.step()

    known, proof = await first.known(), await stored.read(first.kube, entry)
    assert before == ("False", "NeverVerified")
    assert await first.verdict() == ("True", "AsIntended")
    assert (known.verified_backup, known.verified_time) == ("nightly-1", request.status.completion_time)
    assert (known.restore_seconds, known.restored_bytes) == (90, 2048)
    assert (proof.status.last_verification, proof.status.last_verified_time) == ("Passed", known.verified_time)
    assert await first.events() == [("Normal", "Recoverable")]


async def test_a_job_whose_only_location_does_not_answer_or_is_gone_turns_and_comes_back(first: Operator) -> None:
    job = await stored.job(first.context, first.namespace)
    await stored.entry(first.context, job)
    await first.start()
    verdicts = [await first.verdict()]
    path = objects_path(storage_location.KIND, first.namespace, "primary")

    for phase, ready in (("Unreachable", "False"), ("Available", "True")):
        condition = {"type": "Ready", "status": ready, "reason": "Checked", "message": "m"}
        status = {"phase": phase, "conditions": [{**condition, "lastTransitionTime": timestamp(datetime.now(UTC))}]}
        await first.see_location(await first.kube.patch(path + "/status", {"status": status}))
        verdicts.append(await first.verdict())
    await first.see_location(await first.kube.get(path), table=GONE)

    assert [*verdicts, await first.verdict()] == [
        ("True", "AsIntended"),
        ("False", "LocationUnavailable"),
        ("True", "AsIntended"),
        ("False", "LocationUnavailable"),
    ]


async def test_a_backup_that_fails_its_verification_is_no_longer_what_can_be_brought_back(first: Operator) -> None:
    job = await stored.job(first.context, first.namespace)
    newest, older = await stored.entry(first.context, job, 1), await stored.entry(first.context, job, 2)
    await first.start()
    before = await first.known()

    await first.see_restore(await first.ended("drill", phase="Failed", error=FAULT))
    await first.assessor.step()

    known = await first.known()
    assert (before.backup, known.backup) == ("nightly-1", "nightly-2")
    assert known.recoverable_to == older.status.start_time
    assert known.failed_backup == "nightly-1"
    assert (await stored.read(first.kube, newest)).status.last_verification == "Failed"
    assert await first.verdict() == ("False", "VerificationFailed")


async def test_a_pass_that_is_seen_late_hides_no_newer_failure(first: Operator, namespace: str) -> None:
    job = await stored.job(first.context, namespace)
    entry = await stored.entry(first.context, job, 1, datasource="orders")
    await first.start()
    failed = await first.ended("failed", ago_s=30, phase="Failed", error=FAULT)
    await first.see_restore(failed)
    await first.assessor.step()

    await first.see_restore(await first.ended("passed", ago_s=60))
    await first.assessor.step()

    status = (await stored.read(first.kube, entry)).status
    assert (status.last_verification, status.last_verification_time) == ("Failed", failed.status.completion_time)
    assert (status.last_verified_time is not None, await first.verdict()) == (True, ("False", "NoBackup"))


async def test_a_run_that_says_nothing_of_the_backup_writes_nothing(first: Operator) -> None:
    await stored.entry(first.context, await stored.job(first.context, first.namespace))
    await first.start()
    assert isinstance(first.kube, Counting)
    requests = [
        await first.ended("away", phase="Failed", error=AWAY),
        await first.ended("cancelled", phase="Cancelled"),
        await first.ended("by-key", backupJob=None),
    ]
    first.kube.patched.clear()

    for request in requests:
        await first.see_restore(request)
    await first.assessor.step()

    assert first.kube.patched == []


async def test_an_operator_that_starts_finds_what_ended_unseen_and_writes_nothing_else(
    first: Operator, new_context: NewContext
) -> None:
    await stored.entry(first.context, await stored.job(first.context, first.namespace))
    await first.ended("older", ago_s=90, restoreSeconds=10)
    await first.ended("newer", ago_s=60, restoreSeconds=20)

    await first.start()
    known = await first.known()
    assert isinstance(first.kube, Counting)
    first.kube.patched.clear()
    second = Operator(new_context(), first.namespace)
    await second.start()

    assert (known.verified_backup, known.restore_seconds) == ("nightly-1", 20)
    assert await second.known() == known
    assert [path for path in first.kube.patched if first.namespace in path] == []


async def test_nothing_is_judged_before_all_backups_are_known(first: Operator) -> None:
    job = await stored.job(first.context, first.namespace)
    await first.see_job(job.model_copy(update={"status": BackupJobStatus(observed_generation=1)}))

    await first.assessor.step()

    assert (await first.job()).status.conditions == []


@pytest.mark.parametrize("is_loaded", [True, False])
async def test_a_new_job_is_written_once_when_its_backups_are_known(first: Operator, is_loaded: bool) -> None:
    await first.see_job(await stored.job(first.context, first.namespace))
    if is_loaded:
        await first.context.catalog.entries.load()
    assert isinstance(first.kube, Counting)
    first.kube.patched.clear()

    await judging.judge_all(first.context, first.scheduler)
    told = {condition.type for condition in (await first.job()).status.conditions}
    await first.context.catalog.entries.load()
    await first.see_job(await first.job())
    await first.assessor.step()

    assert ("Recoverable" in told) == is_loaded
    assert await first.verdict() == ("False", "NoBackup")
    path = objects_path(BACKUP_JOB, first.namespace, "nightly") + "/status"
    assert first.kube.patched == [path] * (1 if is_loaded else 2)


async def test_a_backup_that_took_the_name_of_the_verified_one_is_not_proven(first: Operator) -> None:
    job = await stored.job(first.context, first.namespace)
    entry = await stored.entry(first.context, job)
    await first.ended("before", ago_s=3 * 3600)

    await first.start()

    assert (await stored.read(first.kube, entry)).status.last_verification is None
    assert (await first.known()).verified_time is None


async def test_a_job_follows_its_spec_and_its_backups(first: Operator) -> None:
    job = await stored.job(first.context, first.namespace)
    newest, _ = await stored.entry(first.context, job, 1), await stored.entry(first.context, job, 2)
    await first.start()
    told = [await first.verdict()]

    edit = {"spec": {"objectives": {"recoveryPoint": "90m"}}}
    path = objects_path(BACKUP_JOB, first.namespace, "nightly")
    await first.see_job(BackupJob.read(await first.kube.patch(path, edit)))
    await first.assessor.step()
    told.append(await first.verdict())
    await first.kube.delete(objects_path(BACKUP_EXECUTION, first.namespace, newest.metadata.name))
    await runs.gone(first.context, first.scheduler, BACKUP_EXECUTION, newest)
    await first.assessor.step()
    told.append(await first.verdict())

    assert told == [("True", "AsIntended"), ("True", "AsIntended"), ("False", "RecoveryPointMissed")]
    assert (await first.known()).backup == "nightly-2"
    assert (await first.condition()).observed_generation == 2


async def test_a_backup_that_completes_makes_its_job_recoverable(new_context: NewContext, world: World) -> None:
    context = new_context()
    await world.stock("orders")
    await context.catalog.entries.load()

    async def reason() -> str:
        conditions = (await world.status("orders", BACKUP_JOB)).get("conditions", [])
        return next((str(each["reason"]) for each in conditions if each["type"] == "Recoverable"), "")

    async def is_told(wanted: str) -> None:
        async def look() -> bool:
            return await reason() == wanted

        await until(look, what=f"orders is {wanted}")

    async with operator(context):
        judges = partial(judging.judge_all, context, Scheduler(context))
        tasks = [
            asyncio.create_task(forever("judge", judges, every_s=0.2)),
            asyncio.create_task(forever("recoverability", Assessor(context).step, every_s=0.2)),
        ]
        try:
            await is_told("NoBackup")
            await world.backup("first")
            await world.until_running("first")
            await world.complete("first")
            await is_told("AsIntended")
        finally:
            for task in tasks:
                task.cancel()

    known = (await world.status("orders", BACKUP_JOB))["recoverability"]
    assert known["backup"] == "first"
