"""A restore waits for a cleanup that may remove its backup, against a real API server."""

from __future__ import annotations

import pytest

from dataguardian.domain import plan as plans
from dataguardian.domain.plan import CleanupPlan
from dataguardian.kube.client import JSON, jobs_path, objects_path
from dataguardian.kube.jobs import planned
from dataguardian.resources import datasource, restore
from dataguardian.resources.backup import BackupExecution
from dataguardian.resources.restore import RESTORE_PHRASE, VERIFY_PHRASE
from dataguardian.workers import dispatcher, side_jobs
from dataguardian.workers.cleanup import Cleanup
from dataguardian.workers.context import Context
from dataguardian.workers.operations import RUN_KINDS

from . import side_pods, stored
from .cleanups import JUDGED, RULES, cleanups
from .conftest import NewContext
from .kubelet import Kubelet
from .recording import Place
from .rehearsed import make_drill

SPEC: JSON = {"confirmationPhrase": RESTORE_PHRASE, "targetDatasourceRef": {"name": "orders"}}
VERIFY: JSON = {"verificationMode": True, "confirmationPhrase": VERIFY_PHRASE, "restoreDrillRef": {"name": "weekly"}}


async def stock(context: Context, namespace: str) -> tuple[BackupExecution, BackupExecution]:
    """Two backups, the newest first, of which the rules keep one."""
    await stored.location(context, namespace)
    spec = {"engine": "postgresql", "host": "db", "database": "orders", "credentialsSecretRef": {"name": "db"}}
    await stored.make(context.kube, datasource.KIND, namespace, "orders", spec, {})
    job = await stored.job(context, namespace, retention=RULES)
    newest = await stored.entry(context, job, 1, datasource="orders")
    return newest, await stored.entry(context, job, 2, datasource="orders")


async def request(context: Context, namespace: str, name: str, spec: JSON) -> None:
    """Somebody asks for a restore, and the operator looks at it."""
    await stored.make(context.kube, restore.KIND, namespace, name, spec, {})
    await look(context, namespace, name)


async def look(context: Context, namespace: str, name: str = "back") -> None:
    """The operator looks at the restore."""
    run = await context.catalog.read(restore.KIND, namespace, name)
    assert run is not None
    if run.status.phase is None:
        await dispatcher.accept(context, RUN_KINDS["restore"], run)
    await dispatcher.dispatch_known(context, RUN_KINDS["restore"], run)


async def told(context: Context, namespace: str, name: str = "back") -> tuple[str, str]:
    """Phase of the restore, and why it waits."""
    status: JSON = (await context.kube.get(objects_path(restore.KIND, namespace, name)))["status"]
    return status["phase"], next(each["reason"] for each in status["conditions"] if each["type"] == "Ready")


def of(backup: BackupExecution) -> JSON:
    return {**SPEC, "backupExecutionRef": {"name": backup.metadata.name}}


async def called(context: Context) -> list[str]:
    """The restores that have an entry in the queue, which are taken from it."""
    entries = await context.queue.take("restore-queue", "manual", count=9)
    for entry in entries:
        await context.queue.ack("restore-queue", entry)
    return [entry.name for entry in entries]


async def test_a_restore_waits_for_a_cleanup_that_does_not_know_of_it_and_is_called_at_its_end(
    new_context: NewContext, namespace: str, node: Kubelet
) -> None:
    context = new_context()
    newest, _ = await stock(context, namespace)
    (cleanup,) = await cleanups(context, namespace)

    await request(context, namespace, "back", of(newest))

    assert await told(context, namespace) == ("Queued", "CleanupRunning")
    assert await called(context) == ["back"]  # since it was made
    await Cleanup(context).step()
    assert await called(context) == []
    ended = await side_pods.end(context.kube, node, cleanup, JUDGED)
    side_jobs.observe(context, "MODIFIED", ended)
    await Cleanup(context).step()
    assert await called(context) == ["back"]
    await look(context, namespace)
    assert (await told(context, namespace))[0] == "Running"


async def test_a_restore_whose_backup_the_cleanup_was_told_to_keep_goes_on(context: Context, namespace: str) -> None:
    newest, _ = await stock(context, namespace)
    await stored.make(context.kube, restore.KIND, namespace, "back", of(newest), {})
    run = await context.catalog.read(restore.KIND, namespace, "back")
    assert run is not None
    await dispatcher.accept(context, RUN_KINDS["restore"], run)
    (cleanup,) = await cleanups(context, namespace)
    assert plans.decode(planned(cleanup), CleanupPlan).held == {newest.metadata.uid: "restore back"}

    await look(context, namespace)

    assert (await told(context, namespace))[0] == "Running"


async def test_a_cleanup_that_is_being_made_counts(
    context: Context, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest, _ = await stock(context, namespace)
    await context.catalog.entries.refresh()
    create = context.kube.create

    async def meanwhile(path: str, body: JSON) -> JSON:
        if body["metadata"]["name"] == "cleanup-nightly":
            await request(context, namespace, "back", of(newest))
        return await create(path, body)

    monkeypatch.setattr(context.kube, "create", meanwhile)

    await Cleanup(context).step()

    assert await told(context, namespace) == ("Queued", "CleanupRunning")


async def test_a_drill_holds_the_backup_that_it_has_chosen_before_it_runs(context: Context, namespace: str) -> None:
    newest, _ = await stock(context, namespace)
    await make_drill(context, namespace)
    await context.catalog.entries.refresh()
    (cleanup,) = await cleanups(context, namespace)
    await request(context, namespace, "back", VERIFY)
    assert await told(context, namespace) == ("Queued", "CleanupRunning")

    side_jobs.observe(context, "DELETED", cleanup)
    await look(context, namespace)

    assert (await told(context, namespace))[0] == "Running"
    assert context.catalog.holds.of_namespace(namespace) == {newest.metadata.name: "restore back"}


async def test_an_operator_that_has_just_started_knows_of_the_cleanup(
    context: Context, new_context: NewContext, namespace: str
) -> None:
    newest, _ = await stock(context, namespace)
    await cleanups(context, namespace)
    second = new_context()
    await dispatcher.take_over(second)

    await request(second, namespace, "back", of(newest))

    assert await told(second, namespace) == ("Queued", "CleanupRunning")


async def test_a_cleanup_that_has_ended_keeps_no_restore_waiting_while_history_is_away(
    place: Place, node: Kubelet
) -> None:
    context, namespace = place.operator().context, place.namespace
    newest, oldest = await stock(context, namespace)
    (cleanup,) = await cleanups(context, namespace)
    place.server.stop()
    ended = await side_pods.end(context.kube, node, cleanup, JUDGED, [stored.removed(oldest, "primary")])
    side_jobs.observe(context, "MODIFIED", ended)
    await Cleanup(context).step()
    assert (await context.kube.list(jobs_path(namespace)))[0] != []

    await request(context, namespace, "back", of(newest))

    assert (await told(context, namespace))[0] == "Running"
