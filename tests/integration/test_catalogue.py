"""What a listing of a location tells → entries, against a real API server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dataguardian.domain.told import ManifestFound
from dataguardian.kube.client import JSON, Kubernetes, objects_path
from dataguardian.resources import datasource
from dataguardian.resources.backup import BACKUP_EXECUTION, BackupExecution
from dataguardian.resources.common import API_VERSION
from dataguardian.resources.storage_location import StorageLocation
from dataguardian.workers import dispatcher, imports, sweep
from dataguardian.workers.catalog import Catalog
from dataguardian.workers.context import Context
from dataguardian.workers.operations import RUN_KINDS
from dataguardian.workers.restores import prepare_restore

from . import stored


async def take(context: Context, location: StorageLocation, *found: ManifestFound, complete: bool = True) -> None:
    """A listing that begins and ends now."""
    # Kubernetes counts in seconds, and what changed since the listing began is not judged by it.
    began = datetime.now(UTC) + timedelta(seconds=1)
    await imports.take(context, location, found, began=began, complete=complete)


async def create_import(kube: Kubernetes, namespace: str, name: str, key: str) -> BackupExecution:
    """What a person creates, or an operator that is killed before it can write the status."""
    body: JSON = {
        "apiVersion": API_VERSION,
        "kind": BACKUP_EXECUTION.name,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "backupJobRef": {"name": "nightly"},
            "trigger": "Import",
            "source": {"storageLocationRef": {"name": "primary"}, "key": key},
        },
    }
    return BackupExecution.read(await kube.create(objects_path(BACKUP_EXECUTION, namespace), body))


async def test_in_an_empty_cluster_each_stored_backup_becomes_an_entry_once(
    context: Context, kube: Kubernetes, namespace: str
) -> None:
    location = await stored.location(context, namespace)
    found = [stored.found(namespace, name=f"nightly-{number}") for number in range(3)]

    await take(context, location, *found)
    context.catalog = Catalog(kube)  # the operator starts again
    await take(context, location, *found)

    there = await stored.entries(kube, namespace)
    assert {name: each.execution_id for name, each in there.items()} == {
        each.execution_name: each.execution_id for each in found
    }
    entry = there["nightly-0"]
    assert (entry.spec.trigger, entry.status.phase, entry.status.datasource) == ("Import", "Completed", "orders")
    assert (entry.status.stored_bytes, entry.status.checksum) == (1024, stored.CHECKSUM)
    assert stored.states(entry) == {"primary": "Stored"}


async def test_an_imported_backup_has_a_row_with_the_id_of_its_manifest(context: Context, namespace: str) -> None:
    location = await stored.location(context, namespace)
    found = stored.found(namespace)

    await take(context, location, found)

    row = context.unwritten[found.execution_id]
    assert (row.operation, row.trigger, row.status, row.job) == ("backup", "import", "completed", "nightly")


async def test_an_imported_backup_can_be_restored_without_its_job(
    context: Context, kube: Kubernetes, namespace: str
) -> None:
    location = await stored.location(context, namespace)
    found = stored.found(namespace)
    await take(context, location, found)
    source: Any = {"engine": "postgresql", "host": "db", "database": "orders", "credentialsSecretRef": {"name": "db"}}
    run_kind = RUN_KINDS["restore"]
    await stored.make(kube, datasource.KIND, namespace, "orders", source, {})
    spec = {"backupExecutionRef": {"name": "nightly-1"}, "confirmationPhrase": "RESTAURAR"}
    request = run_kind.kind.model.read(await stored.make(kube, run_kind.kind, namespace, "back", spec, {}))

    plan: Any = (await prepare_restore(context.catalog, request)).run.plan

    assert (plan.backup_execution_id, plan.sources[0].manifest_key) == (found.execution_id, found.key)


async def test_a_name_that_is_taken_is_not_taken_away(context: Context, kube: Kubernetes, namespace: str) -> None:
    location = await stored.location(context, namespace)
    other = await stored.entry(context, await stored.job(context, namespace))
    found = stored.found(namespace, name=other.metadata.name)

    await take(context, location, found, stored.found_again(other, "primary"))

    there = await stored.entries(kube, namespace)
    assert there.keys() == {"nightly-1", f"nightly-1-{found.execution_id[:8]}"}
    assert there["nightly-1"] == other


async def test_an_import_without_a_status_gets_it_and_is_not_created_again(
    context: Context, kube: Kubernetes, namespace: str
) -> None:
    location = await stored.location(context, namespace)
    found = stored.found(namespace)
    await create_import(kube, namespace, "nightly-1", found.key)

    await take(context, location, found)

    (entry,) = (await stored.entries(kube, namespace)).values()
    assert (entry.status.phase, entry.execution_id) == ("Completed", found.execution_id)
    assert context.catalog.entries.waiting() == []


@pytest.mark.parametrize(("complete", "phase"), [(True, "Failed"), (False, None)])
async def test_an_import_of_a_key_that_is_not_there_fails_once_that_is_certain(
    context: Context, kube: Kubernetes, namespace: str, complete: bool, phase: str | None
) -> None:
    location = await stored.location(context, namespace)
    await create_import(kube, namespace, "by-hand", f"{namespace}/nowhere/manifest.json")

    await take(context, location, complete=complete)

    (entry,) = (await stored.entries(kube, namespace)).values()
    assert entry.status.phase == phase
    if entry.status.error:
        assert "nowhere" in entry.status.error.message


async def test_a_second_entry_for_a_known_backup_is_refused(context: Context, kube: Kubernetes, namespace: str) -> None:
    location = await stored.location(context, namespace)
    found = stored.found(namespace)
    await take(context, location, found)
    await create_import(kube, namespace, "again", found.key)

    await take(context, location, found)

    again = (await stored.entries(kube, namespace))["again"]
    assert again.status.phase == "Failed"
    assert again.status.error is not None
    assert "nightly-1" in again.status.error.message


async def test_an_import_is_no_run(context: Context, kube: Kubernetes, namespace: str) -> None:
    execution = await create_import(kube, namespace, "nightly-1", f"{namespace}/manifest.json")
    context.catalog.put(BACKUP_EXECUTION, execution)

    await dispatcher.accept(context, RUN_KINDS["backup"], execution)
    await sweep.sweep(context)

    assert (await stored.read(kube, execution)).status.phase is None
    assert context.catalog.all(BACKUP_EXECUTION) == []


async def test_a_backup_in_a_further_location_gets_that_copy(
    context: Context, kube: Kubernetes, namespace: str
) -> None:
    primary, offsite = [await stored.location(context, namespace, name) for name in ("primary", "offsite")]
    found = stored.found(namespace)
    await take(context, primary, found)

    # Both listings ran at once, and this one is acted on second.
    other = stored.found(namespace, "offsite", execution_id=found.execution_id)
    began = datetime.now(UTC) - timedelta(minutes=1)
    await imports.take(context, offsite, [other], began=began, complete=True)

    (entry,) = (await stored.entries(kube, namespace)).values()
    assert stored.states(entry) == {"primary": "Stored", "offsite": "Stored"}


async def test_a_backup_whose_objects_vanished_is_missing_until_it_is_back(
    context: Context, kube: Kubernetes, namespace: str
) -> None:
    location = await stored.location(context, namespace)
    entry = await stored.entry(context, await stored.job(context, namespace))

    await take(context, location)
    gone = await stored.read(kube, entry)
    await take(context, location, stored.found_again(entry, "primary"))
    back = await stored.read(kube, entry)

    assert stored.states(gone) == {"primary": "Missing"}
    assert gone.status.copies[0].reason
    assert stored.states(back) == {"primary": "Stored"}


async def test_a_listing_says_nothing_of_a_backup_that_was_stored_since_it_began(
    context: Context, kube: Kubernetes, namespace: str
) -> None:
    location = await stored.location(context, namespace)
    began = datetime.now(UTC) - timedelta(seconds=1)
    entry = await stored.entry(context, await stored.job(context, namespace))

    await imports.take(context, location, [], began=began, complete=True)

    assert stored.states(await stored.read(kube, entry)) == {"primary": "Stored"}


async def test_another_namespaces_entries_are_left_alone(context: Context, kube: Kubernetes, namespace: str) -> None:
    entry = await stored.entry(context, await stored.job(context, namespace))
    location = await stored.location(context, "default", f"of-{namespace}")

    await take(context, location)

    assert stored.states(await stored.read(kube, entry)) == {"primary": "Stored"}


async def test_entries_that_no_handler_saw_are_loaded_and_those_that_are_gone_are_dropped(
    context: Context, kube: Kubernetes, namespace: str
) -> None:
    job = await stored.job(context, namespace)
    seen, unseen = await stored.entry(context, job, 1), await stored.entry(context, job, 2)
    entries = Catalog(kube).entries
    entries.put(seen)
    await kube.delete(objects_path(BACKUP_EXECUTION, namespace, seen.metadata.name))

    await entries.load()

    assert entries.loaded
    assert [each.name for each in entries.of_job(namespace, "nightly")] == [unseen.metadata.name]
    assert entries.stored(namespace, "nightly") == 1
