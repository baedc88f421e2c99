"""Listings of locations from the request to the entries; the pods' logs come from a stand-in for a kubelet."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from dataguardian.domain import report as reports
from dataguardian.domain.naming import INDEX_REQUESTED
from dataguardian.domain.report import Report
from dataguardian.domain.told import ManifestFound
from dataguardian.errors import StorageUnavailable
from dataguardian.kube.client import JSON, Kubernetes, jobs_path, objects_path
from dataguardian.kube.jobs import planned
from dataguardian.resources import storage_location
from dataguardian.resources.storage_location import StorageLocation
from dataguardian.workers import side_jobs
from dataguardian.workers.context import Context
from dataguardian.workers.index import index_all

from . import side_pods, stored
from .kubelet import Kubelet


async def listings(context: Context, namespace: str) -> list[JSON]:
    """The Kubernetes Jobs that a step of the worker leaves."""
    await index_all(context)
    return (await context.kube.list(jobs_path(namespace)))[0]


async def listed(context: Context, node: Kubelet, job: JSON, report: Report, *found: ManifestFound) -> None:
    """The listing ends, the watch tells of it, and the worker acts on it."""
    side_jobs.observe(context, "MODIFIED", await side_pods.end(context.kube, node, job, report, found))
    await index_all(context)


async def read(context: Context, location: StorageLocation) -> StorageLocation:
    path = objects_path(storage_location.KIND, location.metadata.namespace, location.metadata.name)
    return StorageLocation.read(await context.kube.get(path))


async def test_a_location_is_listed_once_it_is_available_and_its_own_namespace_only(
    context: Context, kube: Kubernetes, namespace: str, node: Kubelet
) -> None:
    location = await stored.location(context, namespace, phase="Unreachable")
    assert await listings(context, namespace) == []
    await stored.set_phase(context, location, "Available")
    (job,) = await listings(context, namespace)
    found = [stored.found(namespace, name=f"nightly-{number}") for number in range(2)]

    await listed(
        context,
        node,
        job,
        Report(completed=True, backups=2, stored_bytes=2048, unfinished=1, unfinished_bytes=512),
        *found,
    )

    assert json.loads(planned(job))["folder"] == namespace
    assert set(await stored.entries(kube, namespace)) == {"nightly-0", "nightly-1"}
    status = (await read(context, location)).status
    assert (status.backups, status.stored_bytes) == (2, 2048)
    assert (status.unfinished, status.unfinished_bytes) == (1, 512)
    assert status.last_indexed_time is not None
    assert await listings(context, namespace) == []


async def test_a_new_value_of_the_annotation_asks_for_one_listing(
    context: Context, kube: Kubernetes, namespace: str, node: Kubelet
) -> None:
    location = await stored.location(context, namespace)
    (job,) = await listings(context, namespace)
    await listed(context, node, job, Report(completed=True, backups=0, stored_bytes=0))
    path = objects_path(storage_location.KIND, namespace, location.metadata.name)
    asked = await kube.patch(path, {"metadata": {"annotations": {INDEX_REQUESTED: "now"}}})
    context.catalog.put(storage_location.KIND, StorageLocation.read(asked))

    (job,) = await listings(context, namespace)
    await listed(context, node, job, Report(completed=True, backups=0, stored_bytes=0))

    assert (await read(context, location)).status.last_index_request == "now"
    assert await listings(context, namespace) == []


async def test_a_listing_that_failed_changes_nothing_and_is_tried_again_later(
    context: Context, kube: Kubernetes, namespace: str, node: Kubelet
) -> None:
    location = await stored.location(context, namespace)
    entry = await stored.entry(context, await stored.job(context, namespace))
    (job,) = await listings(context, namespace)
    failed = reports.failed(StorageUnavailable("It is away.", remedy="Look."), "index")

    await listed(context, node, job, failed)

    assert stored.states(await stored.read(kube, entry)) == {"primary": "Stored"}
    assert (await read(context, location)).status.last_indexed_time is None
    assert await listings(context, namespace) == []
    assert context.pauses.is_over(("index", location.metadata.uid), datetime.now(UTC) + timedelta(minutes=1))


@pytest.mark.parametrize(("backups", "state"), [(0, "Missing"), (1, "Stored")])
async def test_only_a_log_that_has_every_line_makes_a_copy_missing(
    context: Context, kube: Kubernetes, namespace: str, node: Kubelet, backups: int, state: str
) -> None:
    await stored.location(context, namespace)
    entry = await stored.entry(context, await stored.job(context, namespace))
    (job,) = await listings(context, namespace)

    await listed(context, node, job, Report(completed=True, backups=backups, stored_bytes=0))

    assert stored.states(await stored.read(kube, entry)) == {"primary": state}


async def test_at_most_four_locations_are_listed_at_once(context: Context, namespace: str) -> None:
    for number in range(6):
        await stored.location(context, namespace, f"location-{number}")

    assert len(await listings(context, namespace)) == 4
    assert len(await listings(context, namespace)) == 4


async def test_a_killed_operator_finds_its_listing_again(
    context: Context, kube: Kubernetes, namespace: str, node: Kubelet
) -> None:
    await stored.location(context, namespace)
    (job,) = await listings(context, namespace)
    context.side_jobs.clear()

    assert await listings(context, namespace) == [job]
    await listed(context, node, job, Report(completed=True, backups=1), stored.found(namespace))

    assert set(await stored.entries(kube, namespace)) == {"nightly-1"}
