"""The backup that a sync kept its dump as becomes an entry like any other, against a real API server."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

import msgspec
import pytest

from dataguardian.domain.naming import SYNC_EXECUTION, run_folder, sync_backup_id, sync_backup_name
from dataguardian.domain.report import Report, StoredCopy, Synced
from dataguardian.domain.safety import WHOLE
from dataguardian.domain.told import ManifestFound
from dataguardian.kube.client import JSON, objects_path
from dataguardian.resources.backup import BACKUP_EXECUTION, BACKUP_JOB, BackupExecution, BackupJob
from dataguardian.resources.common import API_VERSION
from dataguardian.resources.storage_location import StorageLocation
from dataguardian.resources.sync import DATABASE_SYNC_EXECUTION as SYNC
from dataguardian.resources.sync import DatabaseSyncExecution
from dataguardian.workers import imports, recorder, sync_backups
from dataguardian.workers.catalog import Catalog
from dataguardian.workers.context import Context
from dataguardian.workers.in_use import folders_in_use
from dataguardian.workers.operations import RUN_KINDS

from . import stored
from .clients import until
from .conftest import NewContext
from .workers import operator
from .world import COMPLETED, STOPPED, World

FAILED: JSON = {
    "completed": False,
    "failure": {"code": "load-failed", "step": "load", "message": "A row is refused.", "remedy": "Look at it."},
}


async def stocked(world: World) -> None:
    await world.stock("orders", "staging")
    await world.sync_job(storageLocationRef={"name": "primary"})


async def key_of(world: World, uid: str) -> str:
    job = await world.get("orders", BACKUP_JOB)
    folder = f"20261124T020000Z-{sync_backup_id(uid)[:8]}"
    return f"{world.namespace}/orders-{job['metadata']['uid'][:8]}/{folder}/manifest.json"


async def report_of(world: World, uid: str, end: JSON = COMPLETED) -> JSON:
    """The report of a sync that ended so, and had stored its backup by then."""
    figures = {name: COMPLETED[name] for name in ("dump_bytes", "stored_bytes", "checksum")}
    copies = [{"location": "primary", "key": await key_of(world, uid), "stored": True}]
    told = {"dump_time": "2026-11-24T02:00:00Z", "engine_version": "17.2", "copies": copies}
    return {**end, **figures, **told, "synced": {"backup_execution_id": sync_backup_id(uid)}}


async def entry_of(world: World, uid: str) -> JSON:
    return await world.get(sync_backup_name(uid))


async def ended(world: World, uid: str, end: JSON, exit_code: int) -> JSON:
    """The runner of a sync that is being cancelled says so; returns the status of the sync."""
    pod = await world.start_pod("first", "sync")
    await world.cancel("first", SYNC)
    await world.until_going("first", "sync")
    await world.end_pod(pod, await report_of(world, uid, end), exit_code)
    status = await world.until_phase("first", "Cancelled", SYNC)
    await world.remove_pod(pod)
    await world.collect_job("first", "sync")
    return status


async def test_the_kept_backup_is_in_the_catalogue_when_its_sync_has_ended(
    world: World, new_context: NewContext
) -> None:
    context = new_context()
    await stocked(world)
    async with operator(context):
        uid = (await world.sync("first"))["metadata"]["uid"]
        await world.until_phase("first", "Running", SYNC)

        await world.complete("first", "sync", report=await report_of(world, uid))

        status = await world.until_phase("first", "Completed", SYNC)
        entry = await entry_of(world, uid)

        async def summarized() -> bool:
            last = (await world.status("orders", BACKUP_JOB)).get("lastExecution", {})
            return bool(last.get("name") == entry["metadata"]["name"])

        await until(summarized, what="the BackupJob knows of it")
    assert status["backupExecution"] == entry["metadata"]["name"]
    assert entry["metadata"]["labels"] == {SYNC_EXECUTION: "first"}
    assert (entry["spec"]["trigger"], entry["spec"]["backupJobRef"]) == ("Sync", {"name": "orders"})
    told = entry["status"]
    assert (told["phase"], told["executionId"]) == ("Completed", sync_backup_id(uid))
    assert (told["datasource"], told["optionsDigest"], told["storedBytes"]) == ("orders", WHOLE, 500)
    assert told["copies"] == [{"location": "primary", "key": await key_of(world, uid), "state": "Stored"}]
    assert (await world.status("orders", BACKUP_JOB))["lastSuccessfulSizeBytes"] == 500
    assert context.catalog.entries.stored(world.namespace, "orders") == 1


@pytest.mark.parametrize(("end", "exit_code"), [(FAILED, 70), (STOPPED, 143)], ids=["failed", "stopped"])
async def test_a_backup_that_was_stored_counts_however_its_sync_ends(
    world: World, new_context: NewContext, end: JSON, exit_code: int
) -> None:
    await stocked(world)
    async with operator(new_context()):
        uid = (await world.sync("first"))["metadata"]["uid"]
        await world.until_phase("first", "Running", SYNC)

        status = await ended(world, uid, end, exit_code)

        assert status["backupExecution"] == sync_backup_name(uid)
        assert (await entry_of(world, uid))["status"]["phase"] == "Completed"


@dataclass
class Shop:
    """A sync that has ended, as the recorder sees it."""

    context: Context
    namespace: str
    job: BackupJob
    location: StorageLocation
    sync: DatabaseSyncExecution

    @property
    def id(self) -> str:
        return sync_backup_id(self.sync.metadata.uid)

    @property
    def name(self) -> str:
        return sync_backup_name(self.sync.metadata.uid)

    @property
    def key(self) -> str:
        meta = self.job.metadata
        return f"{self.namespace}/{meta.name}-{meta.uid[:8]}/20261124T020000Z-{self.id[:8]}/manifest.json"

    @property
    def report(self) -> Report:
        return Report(
            completed=True,
            dump_bytes=2048,
            stored_bytes=1024,
            checksum=stored.CHECKSUM,
            dump_time="2026-11-24T02:00:00Z",
            copies=[StoredCopy(location="primary", key=self.key, stored=True)],
            synced=Synced(backup_execution_id=self.id),
        )

    @property
    def manifest(self) -> ManifestFound:
        ids = {"execution_id": self.id, "execution_name": self.name, "backup_job_uid": self.job.metadata.uid}
        return stored.found(self.namespace, key=self.key, **ids)

    async def enter(self) -> None:
        """What the recorder does."""
        await sync_backups.enter(self.context, self.sync, self.report, source="orders", ended=datetime.now(UTC))

    async def end(self) -> DatabaseSyncExecution:
        """The same with the end of the sync; returns it."""
        kind = RUN_KINDS["sync"]
        run = await recorder.end(self.context, kind, self.sync, self.report, ended_at=datetime.now(UTC))
        assert isinstance(run, DatabaseSyncExecution)
        return run

    async def listed(self) -> None:
        """What a listing of the location does."""
        await imports.take(self.context, self.location, [self.manifest], began=datetime.now(UTC), complete=True)

    async def entries(self) -> dict[str, BackupExecution]:
        return await stored.entries(self.context.kube, self.namespace)


@pytest.fixture
async def shop(context: Context, namespace: str) -> Shop:
    """One whose BackupJob has one location."""
    return await opened(context, namespace, "primary")


async def opened(context: Context, namespace: str, *locations: str) -> Shop:
    """One whose BackupJob has these locations; the sync has stored its backup in the first."""
    location = await stored.location(context, namespace)
    job = await stored.job(context, namespace, *locations)
    spec: JSON = {"databaseSyncJobRef": {"name": "refresh"}}
    body = await stored.make(context.kube, SYNC, namespace, "first", spec, {"phase": "Running"})
    return Shop(context, namespace, job, location, DatabaseSyncExecution.read(body))


async def test_an_entry_is_made_once_however_often_the_end_of_its_sync_is_recorded(shop: Shop) -> None:
    await shop.enter()
    (first,) = (await shop.entries()).values()
    shop.context.catalog = Catalog(shop.context.kube)  # the operator starts again

    await shop.enter()
    await shop.listed()

    assert await shop.entries() == {shop.name: first}
    row = shop.context.unwritten[shop.id]
    assert (row.operation, row.trigger, row.status, row.job) == ("backup", "sync", "completed", "nightly")


@pytest.mark.parametrize("order", [["listed"], ["listed", "enter"], ["enter", "listed"]], ids=" then ".join)
async def test_whoever_tells_of_a_kept_backup_first_it_gets_the_copies_that_its_job_wants(
    context: Context, namespace: str, order: list[str]
) -> None:
    shop = await opened(context, namespace, "primary", "offsite")
    for step in order:
        await getattr(shop, step)()

    (entry,) = (await shop.entries()).values()
    assert stored.states(entry) == {"primary": "Stored", "offsite": "Failed"}
    assert entry.status.options_digest == WHOLE
    assert [each.name for each in context.catalog.entries.incomplete()] == [shop.name]
    assert "enter" not in order or list(context.unsummarized) == [entry.metadata.uid]


async def test_the_end_of_a_sync_brings_what_an_earlier_listing_did_not_know(context: Context, namespace: str) -> None:
    shop = await opened(context, namespace, "primary", "offsite")
    of_another_job = msgspec.structs.replace(shop.manifest, backup_job_uid=str(uuid4()))
    await imports.take(context, shop.location, [of_another_job], began=datetime.now(UTC), complete=True)
    (before,) = (await shop.entries()).values()

    await shop.enter()

    (after,) = (await shop.entries()).values()
    assert (before.status.options_digest, stored.states(before)) == (None, {"primary": "Stored"})
    assert (after.status.options_digest, stored.states(after)) == (WHOLE, {"primary": "Stored", "offsite": "Failed"})
    assert after.spec.trigger == "Import"


async def test_an_operator_that_dies_before_it_can_write_the_status_leaves_that_to_a_listing(shop: Shop) -> None:
    spec = imports.entry_spec("Sync", "nightly", "primary", shop.key)
    body: JSON = {"apiVersion": API_VERSION, "kind": "BackupExecution", "metadata": {"name": shop.name}, "spec": spec}
    await shop.context.kube.create(objects_path(BACKUP_EXECUTION, shop.namespace), body)

    await shop.listed()

    (entry,) = (await shop.entries()).values()
    assert (entry.status.phase, entry.execution_id, entry.spec.trigger) == ("Completed", shop.id, "Sync")


async def test_a_stranger_that_has_the_name_is_left_alone_and_a_listing_finds_another(shop: Shop) -> None:
    stranger = await stored.entry(shop.context, shop.job, phase="Failed", copies={}, name=shop.name)

    ended = await shop.end()
    before = await shop.entries()
    await shop.listed()

    assert (ended.status.phase, ended.status.backup_execution) == ("Completed", None)
    assert before == {shop.name: stranger}
    assert shop.context.unsummarized == {}
    (found,) = [each for name, each in (await shop.entries()).items() if name != shop.name]
    assert found.execution_id == shop.id


async def test_a_cleanup_takes_what_a_sync_is_storing_for_no_left_over(shop: Shop) -> None:
    shop.context.catalog.put(SYNC, shop.sync)

    names = await folders_in_use(shop.context.catalog, shop.job)

    assert names == [run_folder(shop.id, shop.sync.metadata.creation_timestamp)]
