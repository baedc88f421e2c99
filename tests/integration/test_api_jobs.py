"""Jobs through the API: who may know of which, and that what is told is what the API server has."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from dataguardian.api.clients import Clients
from dataguardian.api.job_objects import BackupJob
from dataguardian.api.objects import Object, Part
from dataguardian.api.watched import Watched, followed
from dataguardian.history import ExecutionRow, History, SyncRow
from dataguardian.kube.client import Kubernetes, KubernetesUnavailable, objects_path
from dataguardian.queue import Queue
from dataguardian.resources.backup import BACKUP_JOB
from dataguardian.resources.sync import DATABASE_SYNC_JOB

from .apiserver import ApiServer
from .callers import Client, Told, get
from .clients import until
from .people import People
from .services import PostgresServer
from .sidecars import served, until_jobs_are_listed
from .stored import JOB, SYNC_JOB, clear_jobs, make
from .valve import Valve

AT = "2026-11-24T02:00:00Z"
TOLD = "2026-11-24T02:00:00.000Z"


class Clock(Part):
    """A schema that not all objects follow."""

    schedule: str


class Scheduled(Object):
    """Of one that does."""

    spec: Clock


def condition(type: str, status: str) -> dict[str, str]:
    return {"type": type, "status": status, "reason": "Why", "message": "What to do.", "lastTransitionTime": AT}


STATUS = {
    "conditions": [condition("Ready", "True"), condition("Recoverable", "False")],
    "lastExecution": {"name": "b-nightly-202611240200", "phase": "Completed", "completionTime": AT},
    "lastSuccessfulTime": AT,
    "nextScheduleTime": AT,
    "missedSchedules": 2,
    "backups": 7,
    "recoverability": {"recoverableTo": AT, "backup": "b-nightly-202611240200", "restoreSeconds": 90},
}


@pytest.fixture
async def scene(callers: People, kube: Kubernetes) -> AsyncIterator[People]:
    """Three BackupJobs and a DatabaseSyncJob in the first namespace, one of each in the second."""
    here, there = callers.here, callers.there
    b = {**JOB, "schedule": "0 2 * * *", "retention": {"maxAge": "720h"}, "objectives": {"recoveryPoint": "24h"}}
    await make(kube, BACKUP_JOB, here, "b-nightly", b, STATUS)
    failing = {"conditions": [condition("Ready", "False")]}
    await make(kube, BACKUP_JOB, here, "a-hourly", {**JOB, "suspend": True}, failing)
    elsewhere = {"datasourceRef": {"name": "stock"}, "storage": {"locations": [{"name": "offsite"}]}}
    await make(kube, BACKUP_JOB, here, "c.weekly", elsewhere)
    await make(kube, BACKUP_JOB, there, "nightly", JOB)
    await make(kube, DATABASE_SYNC_JOB, here, "refresh", {**SYNC_JOB, "strategy": "Swap"}, {"lastSuccessfulTime": AT})
    await make(kube, DATABASE_SYNC_JOB, there, "refresh", SYNC_JOB)
    yield callers
    await clear_jobs(kube, here, there)


@pytest.fixture
async def client(scene: People, kube: Kubernetes, recorded: History, queue: Queue) -> AsyncIterator[Client]:
    async with served(Clients(kube=kube, history=recorded, queue=queue)) as opened:
        await until_jobs_are_listed(opened)
        yield opened


def names(told: Told) -> list[str]:
    return [each["name"] for each in told.body["data"]]


async def test_a_list_shows_only_the_namespaces_that_the_caller_may_read(scene: People, client: Client) -> None:
    here = await get(client, "/api/backup-jobs", scene.tokens["viewer"])
    there = await get(client, "/api/backup-jobs", scene.tokens["viewer elsewhere"])
    everywhere = await get(client, "/api/backup-jobs?limit=500", scene.tokens["viewer of all"])

    assert names(here) == ["a-hourly", "b-nightly", "c.weekly"]
    assert names(there) == ["nightly"]
    assert {each["id"] for each in here.body["data"] + there.body["data"]} <= {
        each["id"] for each in everywhere.body["data"]
    }


async def test_a_backup_job_is_told_as_its_object_says(scene: People, client: Client) -> None:
    told = (await get(client, f"/api/backup-jobs/{scene.here}.b-nightly", scene.tokens["viewer"])).body

    assert told["id"] == f"{scene.here}.b-nightly"
    assert (told["schedule"], told["time_zone"], told["suspended"]) == ("0 2 * * *", "UTC", False)
    assert (told["datasource"], told["storage_locations"]) == ("orders", ["primary"])
    assert (told["ready"], told["reason"], told["message"]) == (True, "Why", "What to do.")
    assert (told["retention"]["max_age"], told["objectives"]["recovery_point"]) == ("720h", "24h")
    assert (told["missed_schedules"], told["backups"], told["next_schedule_at"]) == (2, 7, TOLD)
    assert told["last_execution"] == {"name": "b-nightly-202611240200", "status": "completed", "finished_at": TOLD}
    proven = told["recoverability"]
    assert (proven["recoverable"], proven["recoverable_to"], proven["restore_seconds"]) == (False, TOLD, 90)


async def test_a_job_that_never_ran_tells_what_is_unknown_as_null(scene: People, client: Client) -> None:
    told = (await get(client, f"/api/backup-jobs/{scene.here}.c.weekly", scene.tokens["viewer"])).body

    assert (told["name"], told["ready"], told["last_execution"]) == ("c.weekly", None, None)
    assert (told["schedule"], told["recoverability"]["recoverable"]) == (None, None)


async def test_a_sync_job_is_told_as_its_object_says(scene: People, client: Client) -> None:
    told = (await get(client, f"/api/db-sync-jobs/{scene.here}.refresh", scene.tokens["viewer"])).body

    assert (told["source"], told["target"], told["strategy"]) == ("orders", "staging", "Swap")
    assert (told["last_success_at"], told["last_execution"]) == (TOLD, None)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("datasource=orders", ["a-hourly", "b-nightly"]),
        ("storage_location=offsite", ["c.weekly"]),
        ("suspended=true", ["a-hourly"]),
        ("suspended=false&datasource=orders", ["b-nightly"]),
        ("ready=true", ["b-nightly"]),
        ("ready=false", ["a-hourly"]),
        ("recoverable=false", ["b-nightly"]),
        ("recoverable=true", []),
    ],
)
async def test_a_filter_leaves_the_backup_jobs_that_were_asked_for(
    scene: People, client: Client, query: str, found: list[str]
) -> None:
    answer = await get(client, f"/api/backup-jobs?namespace={scene.here}&{query}", scene.tokens["viewer"])

    assert names(answer) == found


@pytest.mark.parametrize(("datasource", "found"), [("orders", 1), ("staging", 1), ("stock", 0)])
async def test_a_sync_is_found_by_its_source_and_by_its_target(
    scene: People, client: Client, datasource: str, found: int
) -> None:
    answer = await get(client, f"/api/db-sync-jobs?datasource={datasource}", scene.tokens["viewer"])

    assert len(answer.body["data"]) == found


async def test_pages_are_all_jobs_once_in_one_order(scene: People, client: Client) -> None:
    token, found, more = scene.tokens["viewer of all"], list[str](), ""
    whole = [each["id"] for each in (await get(client, "/api/backup-jobs?limit=500", token)).body["data"]]
    while more is not None:
        page = await get(client, "/api/backup-jobs?limit=2" + (f"&continue={more}" if more else ""), token)
        found, more = found + [each["id"] for each in page.body["data"]], page.body["continue"]

    assert found == whole
    assert len(found) == len(set(found)) >= 4


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/backup-jobs?ready=perhaps", "ready"),
        ("/api/backup-jobs?reday=true", "reday"),
        ("/api/backup-jobs?continue=abc", "continue"),
        ("/api/db-sync-jobs?recoverable=true", "recoverable"),
        ("/api/db-sync-jobs?limit=0", "limit"),
    ],
)
async def test_a_query_that_cannot_be_is_refused_by_its_field(
    scene: People, client: Client, path: str, field: str
) -> None:
    answer = await get(client, path, scene.tokens["viewer"])

    assert (answer.status, answer.body["code"]) == (422, "spec-invalid")
    assert answer.body["detail"].startswith(f"{field}: ")


@pytest.mark.parametrize("path", ["backup-jobs", "backup-jobs/{here}.b-nightly", "db-sync-jobs/{here}.refresh"])
async def test_an_answer_that_is_known_is_not_sent_again(scene: People, client: Client, path: str) -> None:
    path = f"/api/{path.format(here=scene.here)}"
    first = await get(client, path, scene.tokens["viewer"])
    again = await get(client, path, scene.tokens["viewer"], {"If-None-Match": first.headers["ETag"]})

    assert (again.status, again.body) == (304, "")


@pytest.mark.parametrize("job", ["{here}.nothing", "nowhere.nightly", "nightly", "{here}.refresh", "{there}.nightly"])
async def test_a_job_that_the_caller_cannot_know_is_not_found(scene: People, client: Client, job: str) -> None:
    path = f"/api/backup-jobs/{job.format(here=scene.here, there=scene.there)}"

    assert (await get(client, path, scene.tokens["viewer"])).status == 404


async def test_changes_and_deletions_are_told_within_seconds(scene: People, client: Client, kube: Kubernetes) -> None:
    path = objects_path(BACKUP_JOB, scene.here, "a-hourly")

    async def suspended() -> list[str]:
        return names(await get(client, "/api/backup-jobs?suspended=true", scene.tokens["viewer"]))

    async def is_none() -> bool:
        return await suspended() == []

    async def is_back() -> bool:
        return await suspended() == ["a-hourly"]

    await kube.patch(path, {"spec": {"suspend": False}})
    await until(is_none, what="the change is told", seconds=5)
    await kube.patch(path, {"spec": {"suspend": True}})
    await until(is_back, what="the change is told", seconds=5)
    await kube.delete(path)
    await until(is_none, what="the deletion is told", seconds=5)


@pytest.fixture
async def cut_off(
    scene: People, apiserver: ApiServer, recorded: History, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Client, Valve]]:
    """A sidecar whose way to the API server can be held, and which notices that early."""
    monkeypatch.setattr("dataguardian.api.watched.WATCH_SECONDS", 1)
    monkeypatch.setattr("dataguardian.api.watched.STALE_S", 3.0)
    with Valve(apiserver.host, apiserver.port) as way:
        async with (
            apiserver.connect(through=way) as kube,
            served(Clients(kube=kube, history=recorded, queue=queue)) as opened,
        ):
            await until_jobs_are_listed(opened)
            yield opened, way
            way.open()


async def test_a_list_is_told_for_a_moment_without_the_api_server_then_refused_and_right_when_it_is_back(
    scene: People, cut_off: tuple[Client, Valve], kube: Kubernetes
) -> None:
    client, way = cut_off
    path = f"/api/backup-jobs?namespace={scene.here}"
    answers = [await get(client, path, scene.tokens["viewer"])]

    async def is_refused() -> bool:
        answers.append(await get(client, path, scene.tokens["viewer"]))
        return answers[-1].status == 503

    way.hold_after(0)  # nothing breaks: it is only silent
    answers.append(await get(client, path, scene.tokens["viewer"]))
    await until(is_refused, what="what may be old is not told", seconds=6)
    await kube.delete(objects_path(BACKUP_JOB, scene.here, "a-hourly"))
    way.open()

    async def is_right() -> bool:
        return (await get(client, path, scene.tokens["viewer"])).status == 200

    await until(is_right, what="it is told again", seconds=30)
    assert [answer.status for answer in answers[:2]] == [200, 200]
    assert (answers[-1].body["code"], answers[-1].headers["Retry-After"]) == ("kubernetes-unavailable", "5")
    assert "backupjobs" in answers[-1].body["detail"]
    assert names(await get(client, path, scene.tokens["viewer"])) == ["b-nightly", "c.weekly"]


async def test_before_the_first_list_it_is_not_said_that_there_are_no_jobs(kube: Kubernetes) -> None:
    with pytest.raises(KubernetesUnavailable):
        Watched(kube, BACKUP_JOB, BackupJob).current()


async def test_an_object_that_cannot_be_read_is_left_out_and_hides_no_other(
    scene: People, kube: Kubernetes, caplog: pytest.LogCaptureFixture
) -> None:
    watched = Watched(kube, BACKUP_JOB, Scheduled)

    async def is_listed() -> bool:
        with suppress(KubernetesUnavailable):
            return bool(watched.current())
        return False

    async with followed([watched]):
        await until(is_listed, what="the jobs were listed", seconds=10)

    assert [name for namespace, name in watched.current() if namespace == scene.here] == ["b-nightly"]
    assert "An object cannot be read" in caplog.text


async def test_the_executions_of_a_sync_job_are_its_own(
    scene: People, client: Client, recorded: History, postgres_server: PostgresServer, migrated: str
) -> None:
    at = datetime(2026, 11, 24, 2, tzinfo=UTC)
    for number, (namespace, job) in enumerate(
        [(scene.here, "refresh"), (scene.here, "refresh"), (scene.here, "other"), (scene.there, "refresh")]
    ):
        common = {"namespace": namespace, "job": job, "name": f"run-{number}", "trigger": "manual", "observed_at": at}
        await recorded.record(
            SyncRow(id=str(uuid.uuid4()), status="queued", queued_at=at + timedelta(minutes=number), **common)  # type: ignore[arg-type]  # the fields of one row
        )
        await recorded.record(
            ExecutionRow(id=str(uuid.uuid4()), status="queued", queued_at=at, operation="backup", **common)  # type: ignore[arg-type]  # the same
        )
    path = f"/api/db-sync-jobs/{scene.here}.refresh/executions"

    first = await get(client, f"{path}?limit=1", scene.tokens["viewer"])
    second = await get(client, f"{path}?limit=1&continue={first.body['continue']}", scene.tokens["viewer"])
    none = await get(client, f"{path}?status=failed", scene.tokens["viewer"])

    assert (names(first), names(second), names(none)) == (["run-1"], ["run-0"], [])
    assert second.body["continue"] is None
    assert (await get(client, path, scene.tokens["viewer elsewhere"])).status == 404
    assert (await get(client, path, scene.tokens["nobody"])).status == 401


async def test_who_may_read_a_sync_job_alone_is_told_what_its_executions_need(
    scene: People, client: Client, apiserver: ApiServer
) -> None:
    account = ["-n", scene.here, "jobs-only"]
    apiserver.kubectl("create", "serviceaccount", *account)
    apiserver.kubectl("create", "role", *account, "--verb=list", "--resource=databasesyncjobs.dataguardian.io")
    apiserver.kubectl("create", "rolebinding", *account, "--role=jobs-only", f"--serviceaccount={scene.here}:jobs-only")
    token = apiserver.kubectl("create", "token", *account).strip()
    path = f"/api/db-sync-jobs/{scene.here}.refresh"

    job, runs = await get(client, path, token), await get(client, f"{path}/executions", token)

    assert (job.status, runs.status) == (200, 403)
    assert "executions.read" in runs.body["detail"]
