"""Databases that Swaps kept are dropped when their time is over, and only then: against a real API server."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest

from dataguardian.domain import report as reports
from dataguardian.domain.report import PreviousFound, Report
from dataguardian.errors import DatabaseUnavailable
from dataguardian.kube.client import JSON, jobs_path, objects_path
from dataguardian.kube.jobs import planned
from dataguardian.resources.common import timestamp
from dataguardian.resources.sync import DATABASE_SYNC_EXECUTION, DatabaseSyncExecution
from dataguardian.workers import side_jobs
from dataguardian.workers.catalog import Catalog
from dataguardian.workers.context import Context
from dataguardian.workers.expire import expire_all

from . import side_pods
from .kubelet import Kubelet
from .synced import make_datasource, make_job, make_run

NAME, SERVER = "dg_previous_orders_1", "7000000000000000001"


def told(state: Literal["dropped", "absent", "left"], name: str = NAME, **fields: str) -> Report:
    """What the runner says of a database, on the sync's server unless it is said otherwise."""
    found = PreviousFound(name=name, state=state, **{"server_identity": SERVER, **fields})
    others = ["The previous database dg_previous_orders_2 stays: somebody is in it."]
    return Report(completed=True, warnings=others, previous=found)


GONE = told("dropped")
BUSY = told("left", reason="Somebody is in it.")
ELSEWHERE = told("absent", server_identity="7000000000000000002")
UNKNOWN = Report(completed=True, previous=PreviousFound(name=NAME, state="absent"))
OF_ANOTHER = told("dropped", "dg_previous_orders_2")
AWAY = reports.failed(DatabaseUnavailable("The server is away.", remedy="Look."), "connect")


async def kept(
    context: Context,
    namespace: str,
    name: str = "refresh-1",
    *,
    over: timedelta = timedelta(minutes=-5),
    server: str | None = SERVER,
) -> DatabaseSyncExecution:
    """A completed Swap whose previous database is kept until then, as its handler has seen it."""
    previous = {"name": NAME, "serverIdentity": server, "dropTime": timestamp(datetime.now(UTC) + over)}
    run = await make_run(context, namespace, name, "Completed", previousDatabase=previous)
    context.catalog.put(DATABASE_SYNC_EXECUTION, run)
    return run


async def expired(context: Context, namespace: str) -> list[JSON]:
    """The Kubernetes Jobs that a step of the worker leaves."""
    await expire_all(context)
    return (await context.kube.list(jobs_path(namespace)))[0]


async def end(context: Context, node: Kubelet, job: JSON, report: Report) -> None:
    side_jobs.observe(context, "MODIFIED", await side_pods.end(context.kube, node, job, report))


async def dropped(context: Context, run: DatabaseSyncExecution) -> datetime | None:
    path = objects_path(DATABASE_SYNC_EXECUTION, run.metadata.namespace, run.metadata.name)
    previous = DatabaseSyncExecution.read(await context.kube.get(path)).status.previous_database
    assert previous is not None
    return previous.dropped_time


async def test_a_database_whose_time_is_over_is_dropped_by_one_kubernetes_job(
    context: Context, namespace: str, node: Kubelet
) -> None:
    await make_datasource(context, namespace, "staging")
    await make_job(context, namespace, runTemplate={"nodeSelector": {"zone": "a"}})
    run = await kept(context, namespace)

    (job,) = await expired(context, namespace)
    assert await expired(context, namespace) == [job]
    await end(context, node, job, GONE)

    assert await expired(context, namespace) == []
    assert (await dropped(context, run)) is not None
    plan = json.loads(planned(job))
    assert (job["metadata"]["name"], plan["operation"]) == ("expire-refresh-1", "expire")
    assert (plan["target"]["datasource"], plan["previous"]) == ("staging", NAME)
    assert job["metadata"]["ownerReferences"][0]["uid"] == run.metadata.uid
    assert job["spec"]["template"]["spec"]["nodeSelector"] == {"zone": "a"}
    assert job["spec"]["activeDeadlineSeconds"] == 600


async def test_nothing_runs_before_its_time_nor_once_it_is_dropped(context: Context, namespace: str) -> None:
    await make_datasource(context, namespace, "staging")
    await kept(context, namespace, "early", over=timedelta(hours=1))
    run = await kept(context, namespace)
    path = objects_path(DATABASE_SYNC_EXECUTION, namespace, "refresh-1") + "/status"
    gone = {"status": {"previousDatabase": {"droppedTime": timestamp(datetime.now(UTC))}}}
    await context.kube.patch(path, gone)  # and the older version is seen late
    context.catalog.put(DATABASE_SYNC_EXECUTION, run)

    assert await expired(context, namespace) == []
    assert context.catalog.previous.due(datetime.now(UTC)) == []


async def test_what_is_due_is_found_again_after_a_restart(context: Context, namespace: str) -> None:
    await make_datasource(context, namespace, "staging")
    await kept(context, namespace)
    context.catalog = Catalog(context.kube)
    await context.catalog.load(DATABASE_SYNC_EXECUTION)

    assert len(await expired(context, namespace)) == 1


@pytest.mark.parametrize(
    ("server", "report"),
    [(SERVER, told("absent")), (None, told("dropped")), (None, UNKNOWN)],
    ids=["absent", "dropped", "unknown"],
)
async def test_a_database_that_is_gone_from_the_server_that_the_sync_has_seen_is_told_as_dropped(
    context: Context, namespace: str, node: Kubelet, server: str | None, report: Report
) -> None:
    await make_datasource(context, namespace, "staging")
    run = await kept(context, namespace, server=server)
    (job,) = await expired(context, namespace)

    await end(context, node, job, report)
    await expired(context, namespace)

    assert await dropped(context, run) is not None


@pytest.mark.parametrize(
    ("report", "says"),
    [
        (AWAY, "The server is away. Look."),
        (BUSY, "Somebody is in it"),
        (Report(completed=True), "has not told"),
        (OF_ANOTHER, "has not told"),
        (ELSEWHERE, "another server"),
        (UNKNOWN, "another server"),
        (None, "Datasource 'staging' does not exist"),
    ],
    ids=["away", "busy", "silent", "of another", "elsewhere", "unknown", "no datasource"],
)
async def test_a_database_that_cannot_be_dropped_is_told_and_tried_again_later(
    context: Context, namespace: str, node: Kubelet, report: Report | None, says: str
) -> None:
    if report:
        await make_datasource(context, namespace, "staging")
    run = await kept(context, namespace)
    for job in await expired(context, namespace):
        assert report is not None
        await end(context, node, job, report)

    assert await expired(context, namespace) == []
    assert await dropped(context, run) is None
    (event,) = (await context.kube.list(f"/api/v1/namespaces/{namespace}/events"))[0]
    assert event["reason"] == "PreviousDatabaseNotDropped"
    assert says in event["message"]
    pause = ("expire", run.metadata.uid)
    assert context.pauses.is_over(pause, datetime.now(UTC) + timedelta(minutes=1))
