"""What a restore finds before its start, as a real API server has it: the backup, its copies, the target."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dataguardian.domain.plan import Endpoint, EphemeralServer, RestorePlan
from dataguardian.errors import (
    BackupNotCompleted,
    DataGuardianError,
    NoCopyAvailable,
    NoRecentBackup,
    NotFound,
    SpecInvalid,
)
from dataguardian.kube.client import Kubernetes, objects_path
from dataguardian.resources import datasource, restore, storage_location
from dataguardian.resources.backup import BACKUP_EXECUTION, BACKUP_JOB
from dataguardian.resources.restore import RESTORE_PHRASE, VERIFY_PHRASE, RestoreRequest
from dataguardian.settings import ServerSettings
from dataguardian.workers import dispatcher
from dataguardian.workers.catalog import Catalog
from dataguardian.workers.context import Context
from dataguardian.workers.operations import RUN_KINDS
from dataguardian.workers.prepared import NotYet, Prepared
from dataguardian.workers.restores import prepare_restore

from . import rehearsed, stored
from .conftest import NewContext
from .workers import operator
from .world import World

KEY = "nightly-0badcafe/1/manifest.json"
VERIFY: dict[str, Any] = {"verificationMode": True, "confirmationPhrase": VERIFY_PHRASE}
EPHEMERAL: dict[str, Any] = {**VERIFY, "verificationTarget": "Ephemeral"}


async def request(kube: Kubernetes, namespace: str, name: str = "back", **spec: Any) -> RestoreRequest:
    """A RestoreRequest; of the backup ``nightly-1`` unless it names another one."""
    named = spec.keys() & {"backupExecutionRef", "source", "restoreDrillRef"}
    whole = {**({} if named else {"backupExecutionRef": {"name": "nightly-1"}}), "confirmationPhrase": RESTORE_PHRASE}
    return RestoreRequest.read(await stored.make(kube, restore.KIND, namespace, name, {**whole, **spec}, {}))


async def prepared(kube: Kubernetes, namespace: str, **spec: Any) -> Prepared:
    """What an operator that has just started finds."""
    return await prepare_restore(Catalog(kube), await request(kube, namespace, **spec))


def plan_of(found: Prepared) -> RestorePlan:
    assert isinstance(found.run.plan, RestorePlan)
    return found.run.plan


def places(found: Prepared) -> list[str]:
    return [source.target.location for source in plan_of(found).sources]


@pytest.fixture
async def shop(context: Context, kube: Kubernetes, namespace: str) -> str:
    """A backup with three copies: the first location is away, the second answers, the third was never checked."""
    for name, phase in {"primary": "Unreachable", "offsite": "Available"}.items():
        await stored.location(context, namespace, name, phase)
    s3 = {"bucket": "backups", "credentialsSecretRef": {"name": "s3"}}
    spec = {"s3": s3, "accessMode": "ReadOnly"}
    await stored.make(kube, storage_location.KIND, namespace, "frozen", spec, {})
    for name in ("orders", "elsewhere"):
        source = {"engine": "postgresql", "host": name, "database": "orders", "credentialsSecretRef": {"name": "db"}}
        await stored.make(kube, datasource.KIND, namespace, name, source, {})
    job = await stored.job(context, namespace, "primary", "offsite", "frozen")
    copies = dict.fromkeys(("primary", "offsite", "frozen"), "Stored")
    await stored.entry(context, job, copies=copies, datasource="orders", engineVersion="17.2", dumpBytes=100)
    return namespace


async def test_the_copies_are_tried_from_the_best_location_to_the_one_that_is_away(kube: Kubernetes, shop: str) -> None:
    found = await prepared(kube, shop)

    assert places(found) == ["offsite", "frozen", "primary"]
    assert [source.read_only for source in plan_of(found).sources] == [False, True, False]
    assert isinstance(plan_of(found).target, Endpoint)
    assert [used.metadata.name for used in found.datasources] == ["orders"]
    assert found.chosen == {
        "datasource": "orders",
        "backup_execution": "nightly-1",
        "backup_job": "nightly",
        "storage_location": "offsite",
        "safety_backup": None,
    }


async def test_a_copy_that_is_named_is_the_only_one_and_the_target_may_be_another(kube: Kubernetes, shop: str) -> None:
    found = await prepared(
        kube, shop, storageLocationRef={"name": "primary"}, targetDatasourceRef={"name": "elsewhere"}
    )

    assert places(found) == ["primary"]
    assert (found.chosen["datasource"], found.chosen["storage_location"]) == ("elsewhere", "primary")


async def test_locations_that_do_not_exist_are_left_out_while_another_has_a_copy(kube: Kubernetes, shop: str) -> None:
    await kube.delete(objects_path(storage_location.KIND, shop, "offsite"))
    assert places(await prepared(kube, shop)) == ["frozen", "primary"]

    for name in ("primary", "frozen"):
        await kube.delete(objects_path(storage_location.KIND, shop, name))
    with pytest.raises(NotYet) as wait:
        await prepared(kube, shop, name="again")

    assert wait.value.obstacle.reason == "StorageLocationNotFound"


@pytest.mark.parametrize(
    ("spec", "error", "says"),
    [
        ({"backupExecutionRef": {"name": "nowhere"}}, NotFound, "spec.backupExecutionRef"),
        ({"backupExecutionRef": {"name": "nightly-2"}}, BackupNotCompleted, "is Failed, not Completed"),
        ({"storageLocationRef": {"name": "elsewhere"}}, NoCopyAvailable, "no stored copy"),
        ({"restoreDrillRef": {"name": "nowhere"}, **VERIFY}, NotFound, "spec.restoreDrillRef"),
    ],
)
async def test_a_backup_that_cannot_be_restored_is_refused(
    context: Context, kube: Kubernetes, shop: str, spec: dict[str, Any], error: type[DataGuardianError], says: str
) -> None:
    job = next(iter(context.catalog.all(BACKUP_JOB)))
    await stored.entry(context, job, 2, phase="Failed")

    with pytest.raises(error, match=says) as refused:
        await prepared(kube, shop, **spec)

    assert type(refused.value) is error
    assert refused.value.remedy


async def test_a_target_that_is_missing_is_waited_for(kube: Kubernetes, shop: str) -> None:
    with pytest.raises(NotYet) as wait:
        await prepared(kube, shop, targetDatasourceRef={"name": "nowhere"})

    assert wait.value.obstacle.reason == "DatasourceNotFound"


async def test_a_backup_without_an_entry_is_restored_by_the_key_of_its_manifest(kube: Kubernetes, shop: str) -> None:
    key = f"{shop}/{KEY}"
    place = {"storageLocationRef": {"name": "primary"}, "key": key}

    found = await prepared(kube, shop, source=place, targetDatasourceRef={"name": "elsewhere"})

    plan = plan_of(found)
    assert [(source.target.location, source.manifest_key) for source in plan.sources] == [("primary", key)]
    assert (plan.backup_execution_id, found.chosen["backup_job"]) == (None, None)


@pytest.mark.parametrize("key", [f"other/{KEY}", KEY, f"{{shop}}/../other/{KEY}", f"{{shop}}-2/{KEY}"])
async def test_the_key_of_another_namespaces_backup_is_refused(kube: Kubernetes, shop: str, key: str) -> None:
    place = {"storageLocationRef": {"name": "primary"}, "key": key.format(shop=shop)}

    with pytest.raises(SpecInvalid, match=f"folder of namespace '{shop}'"):
        await prepared(kube, shop, source=place, targetDatasourceRef={"name": "elsewhere"})


async def test_the_entry_of_a_key_is_found_when_the_catalogue_has_one(kube: Kubernetes, shop: str) -> None:
    entry = (await stored.entries(kube, shop))["nightly-1"]
    place = {"storageLocationRef": {"name": "primary"}, "key": entry.status.copies[0].key}

    found = await prepared(kube, shop, source=place, targetDatasourceRef={"name": "elsewhere"})

    assert places(found) == ["primary"]
    assert plan_of(found).backup_execution_id == entry.metadata.uid
    assert (found.chosen["backup_execution"], found.chosen["backup_job"]) == ("nightly-1", "nightly")


async def test_a_run_of_a_drill_takes_the_newest_stored_backup_of_its_job(
    context: Context, kube: Kubernetes, shop: str
) -> None:
    await rehearsed.make_drill(context, shop, schedule="@daily", maxBackupAge="3h")
    (job,) = context.catalog.all(BACKUP_JOB)
    await stored.entry(context, job, 2, datasource="orders")
    run = {"restoreDrillRef": {"name": "weekly"}, **VERIFY}

    found = await prepared(kube, shop, **run)
    await kube.delete(objects_path(BACKUP_EXECUTION, shop, "nightly-1"))
    older = await prepared(kube, shop, name="again", **run)

    assert plan_of(found).verify
    assert found.chosen["backup_execution"] == "nightly-1"
    assert older.chosen["backup_execution"] == "nightly-2"


async def test_a_drill_without_a_young_backup_fails_with_its_own_reason_and_the_age_of_the_newest(
    context: Context, kube: Kubernetes, shop: str
) -> None:
    await rehearsed.make_drill(context, shop, schedule="@daily", maxBackupAge="30m")

    with pytest.raises(NoRecentBackup, match=r"'nightly-1', is 1h[0-9]*m?[0-9]*s? old; maxBackupAge is 30m"):
        await prepared(kube, shop, restoreDrillRef={"name": "weekly"}, **VERIFY)


async def test_an_ephemeral_verification_needs_no_datasource(kube: Kubernetes, shop: str) -> None:
    await kube.delete(objects_path(datasource.KIND, shop, "orders"))

    found = await prepared(kube, shop, **EPHEMERAL)

    assert found.datasources == []
    assert isinstance(plan_of(found).target, EphemeralServer)
    assert found.run.server is not None
    assert found.run.server.major == 17


async def test_an_ephemeral_verification_counts_for_no_datasource_and_is_taken_over_by_the_next_operator(
    world: World, new_context: NewContext
) -> None:
    context = new_context()
    servers = {"postgresql": ServerSettings(image="postgres:{major}", user=999, size_limit="1Gi")}
    context.runner = replace(context.runner, servers=servers)
    await world.stock("orders")
    async with operator(context):
        await world.backup("good")
        await world.until_phase("good", "Running")
        await world.complete("good")
        await world.until_phase("good", "Completed")
        path = objects_path(BACKUP_EXECUTION, world.namespace, "good") + "/status"
        await world.kube.patch(path, {"status": {"engineVersion": "17.2"}})
        await world.backup("busy")
        await world.until_phase("busy", "Running")
        await world.create(restore.KIND, "proof", {"backupExecutionRef": {"name": "good"}, **EPHEMERAL})

        status = await world.until_phase("proof", "Running", restore.KIND)

    assert "datasource" not in status
    path = objects_path(restore.KIND, world.namespace, "proof") + "/status"
    await world.kube.patch(path, {"status": {"phase": "Queued", "startTime": None, "backupJob": None}})
    second = new_context()
    await dispatcher.take_over(second)
    uses = {use.name: use.datasources for use in second.slots.capacity().uses}
    assert uses == {"BackupExecution busy": [(world.namespace, "orders")], "RestoreRequest proof": []}
    async with operator(second):
        status = await world.until_phase("proof", "Running", restore.KIND)
    assert (status["backupExecution"], status["backupJob"], status["storageLocation"]) == ("good", "orders", "primary")


async def test_a_verification_whose_server_has_no_image_fails_and_holds_no_slot(
    world: World, new_context: NewContext
) -> None:
    context = new_context()
    await world.stock("orders")
    status = {"phase": "Completed", "engineVersion": "17.2", "copies": [stored.COPY]}
    await stored.make(
        world.kube, BACKUP_EXECUTION, world.namespace, "good", {"backupJobRef": {"name": "orders"}}, status
    )
    run = await request(world.kube, world.namespace, backupExecutionRef={"name": "good"}, **EPHEMERAL)
    await dispatcher.take_over(context)
    await dispatcher.accept(context, RUN_KINDS["restore"], run)

    await dispatcher.dispatch_known(context, RUN_KINDS["restore"], run)

    assert (await world.status("back", restore.KIND))["error"]["code"] == "config-invalid"
    assert not context.slots.is_starting(run.metadata.uid)
