"""Copies that are missing are made again, against a real API server."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from dataguardian.domain import report as reports
from dataguardian.domain.report import Report, StoredCopy
from dataguardian.errors import StorageUnavailable
from dataguardian.kube.client import JSON, Kubernetes, jobs_path
from dataguardian.kube.jobs import planned
from dataguardian.resources.backup import BACKUP_EXECUTION, BackupExecution
from dataguardian.workers.context import Context
from dataguardian.workers.heal import COPY, TARGETS, heal_all
from dataguardian.workers.side_jobs import Ended

from . import stored

LACKING = {"primary": "Stored", "offsite": "Failed"}


async def copies(context: Context, namespace: str) -> list[JSON]:
    """The Kubernetes Jobs that a step of the worker leaves."""
    await heal_all(context)
    return (await context.kube.list(jobs_path(namespace)))[0]


async def ended(context: Context, entry: BackupExecution, report: Report) -> None:
    """A copy to offsite ends, and its Kubernetes Job is gone."""
    meta = entry.metadata
    end = Ended(
        kind=BACKUP_EXECUTION.name,
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        began=datetime.now(UTC),
        notes={TARGETS: "offsite"},
        report=report,
    )
    await COPY.ended(context, end)
    await context.kube.delete(jobs_path(meta.namespace, f"copy-{meta.name}"))
    context.side_jobs.clear()


async def two_locations(context: Context, namespace: str) -> None:
    for name in ("primary", "offsite"):
        await stored.location(context, namespace, name)


async def test_a_backup_that_misses_a_copy_gets_it_from_one_that_is_stored(
    context: Context, kube: Kubernetes, namespace: str
) -> None:
    await two_locations(context, namespace)
    entry = await stored.entry(context, await stored.job(context, namespace, "primary", "offsite"), copies=LACKING)

    (copy,) = await copies(context, namespace)
    assert await copies(context, namespace) == [copy]
    done = Report(completed=True, copies=[StoredCopy(location="offsite", key=entry.status.copies[0].key, stored=True)])
    await ended(context, entry, done)

    plan = json.loads(planned(copy))
    assert copy["metadata"]["name"] == "copy-nightly-1"
    assert (plan["backup_execution_id"], plan["manifest_key"]) == (entry.execution_id, entry.status.copies[0].key)
    assert [target["location"] for target in plan["sources"]] == ["primary"]
    assert [target["location"] for target in plan["targets"]] == ["offsite"]
    assert len({target["secret_access_key_file"] for target in plan["sources"] + plan["targets"]}) == 2
    assert stored.states(await stored.read(kube, entry)) == {"primary": "Stored", "offsite": "Stored"}
    assert await copies(context, namespace) == []


async def test_a_copy_that_failed_says_why_and_is_left_alone_for_a_while(
    context: Context, kube: Kubernetes, namespace: str
) -> None:
    await two_locations(context, namespace)
    entry = await stored.entry(context, await stored.job(context, namespace, "primary", "offsite"), copies=LACKING)
    await copies(context, namespace)

    await ended(context, entry, reports.failed(StorageUnavailable("It is away.", remedy="Look."), "copy"))

    after = await stored.read(kube, entry)
    assert (after.status.copies[1].state, after.status.copies[1].reason) == ("Failed", "It is away.")
    assert await copies(context, namespace) == []
    pause = ("heal", entry.metadata.uid, "offsite")
    assert context.pauses.is_over(pause, datetime.now(UTC) + timedelta(minutes=1))


async def test_the_newest_backups_are_healed_first_and_two_at_a_time(context: Context, namespace: str) -> None:
    await two_locations(context, namespace)
    job = await stored.job(context, namespace, "primary", "offsite")
    for number in (3, 1, 2):
        await stored.entry(context, job, number, copies=LACKING)

    started = await copies(context, namespace)

    assert {each["metadata"]["name"] for each in started} == {"copy-nightly-1", "copy-nightly-2"}


async def test_a_location_that_is_away_is_waited_for(context: Context, namespace: str) -> None:
    await stored.location(context, namespace, "primary")
    offsite = await stored.location(context, namespace, "offsite", phase="Unreachable")
    await stored.entry(context, await stored.job(context, namespace, "primary", "offsite"), copies=LACKING)
    assert await copies(context, namespace) == []

    await stored.set_phase(context, offsite, "Available")

    assert len(await copies(context, namespace)) == 1
