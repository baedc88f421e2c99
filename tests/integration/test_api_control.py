"""Ending executions and trying uploads again over HTTP: a real API server with RBAC, and a real PostgreSQL."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dataguardian.history import History
from dataguardian.history.migrate import migrate
from dataguardian.kube.client import JSON, Kubernetes, objects_path
from dataguardian.resources import restore
from dataguardian.resources.backup import BACKUP_EXECUTION, BACKUP_JOB
from dataguardian.resources.common import Kind
from dataguardian.resources.sync import DATABASE_SYNC_EXECUTION

from .apiserver import ApiServer
from .callers import Client, Told, get, post, token_of
from .clients import frozen, postgres_settings, until
from .people import People
from .services import PostgresServer, RedisServer
from .sidecars import connected, served
from .stored import JOB, change, make

AT = "2026-11-24T02:00:00Z"
STAGING = {"claimName": "spool"}
UPLOAD_FAILED = {"code": "storage-unavailable", "step": "upload", "message": "Away.", "remedy": "Wait."}
RUNS: dict[str, tuple[Kind[Any], JSON]] = {
    "backup": (BACKUP_EXECUTION, {"backupJobRef": {"name": "nightly"}}),
    "restore": (restore.KIND, {"backupExecutionRef": {"name": "x"}, "confirmationPhrase": "RESTAURAR"}),
    "sync": (DATABASE_SYNC_EXECUTION, {"databaseSyncJobRef": {"name": "refresh"}}),
}


@dataclass(frozen=True, kw_only=True)
class Scene:
    """The API, who calls it, and the objects behind it."""

    people: People
    client: Client
    history: History
    kube: Kubernetes

    async def run(self, operation: str = "backup", *, phase: str, spec: JSON | None = None, **status: Any) -> JSON:
        """A run object in this phase, and its row."""
        kind, whole = RUNS[operation]
        name = f"{operation}-{uuid.uuid4().hex[:12]}"
        made = await make(self.kube, kind, self.people.here, name, {**whole, **(spec or {})})
        times = {"queuedTime": AT, **({"completionTime": AT} if phase not in ("Queued", "Running") else {})}
        found = {"phase": phase, "executionId": made["metadata"]["uid"], **times, **status}
        return await self.change(kind, made, found)

    async def change(self, kind: Kind[Any], run: JSON, status: JSON) -> JSON:
        return await change(self.kube, self.history, kind, run, status)

    async def failed(self, **status: Any) -> JSON:
        """A backup whose upload has failed."""
        return await self.run(phase="Failed", **{"error": UPLOAD_FAILED, **status})

    async def job(self, **spec: Any) -> str:
        """A BackupJob, by its name."""
        name = f"job-{uuid.uuid4().hex[:12]}"
        await make(self.kube, BACKUP_JOB, self.people.here, name, {**JOB, **spec})
        return name

    async def cancel(self, run: JSON, who: str = "operator", **headers: str) -> Told:
        path = f"/api/executions/{run['metadata']['uid']}/cancel"
        return await post(self.client, path, self.people.tokens[who], headers=headers)

    async def retry(self, run: JSON, who: str = "operator", *, key: str | None = None) -> Told:
        path = f"/api/executions/{run['metadata']['uid']}/retry-upload"
        headers = {"Idempotency-Key": key} if key is not None else {}
        return await post(self.client, path, self.people.tokens[who], headers=headers)

    async def seen(self, run: JSON, kind: Kind[Any] = BACKUP_EXECUTION) -> JSON:
        return await self.kube.get(objects_path(kind, self.people.here, run["metadata"]["name"]))

    async def retries_of(self, run: JSON) -> list[str]:
        found, _ = await self.kube.list(objects_path(BACKUP_EXECUTION, self.people.here))
        return [each["metadata"]["uid"] for each in found if each["spec"].get("retryOf") == run["metadata"]["name"]]


@pytest.fixture
async def scene(
    callers: People, kube: Kubernetes, postgres_server: PostgresServer, migrated: str, redis_server: RedisServer,
    tmp_path: Path,
) -> AsyncIterator[Scene]:  # fmt: skip
    async with (
        connected(kube, postgres_server, migrated, redis_server, tmp_path) as clients,
        served(clients) as client,
    ):
        yield Scene(people=callers, client=client, history=clients.history, kube=kube)


def refused(told: Told, says: str) -> bool:
    """Whether it makes no sense, for this reason, and what to do is told."""
    return (
        (told.status, told.body["code"]) == (409, "not-possible")
        and says in told.body["detail"]
        and bool(told.body["remedy"])
    )


@pytest.mark.parametrize("phase", ["Queued", "Running"])
@pytest.mark.parametrize("operation", RUNS)
async def test_a_run_that_goes_on_is_asked_to_end(scene: Scene, operation: str, phase: str) -> None:
    run = await scene.run(operation, phase=phase)

    told = await scene.cancel(run)

    assert (told.status, told.body["id"], told.body["status"]) == (202, run["metadata"]["uid"], phase.lower())
    assert (await scene.seen(run, RUNS[operation][0]))["spec"]["cancel"] is True


async def test_a_run_that_is_cancelled_twice_is_cancelled_once(scene: Scene) -> None:
    run = await scene.run(phase="Running")

    first = await scene.cancel(run, **{"Idempotency-Key": "a"})
    version = (await scene.seen(run))["metadata"]["resourceVersion"]
    second = await scene.cancel(run, **{"Idempotency-Key": "a"})
    third = await scene.cancel(run)

    assert first.status == second.status == third.status == 202
    assert first.body == second.body == third.body
    assert (await scene.seen(run))["metadata"]["resourceVersion"] == version


class Meddled(Kubernetes):
    """The API server, where somebody else writes to the status of a run before each of the first writes of a caller."""

    writes_left = 3

    def with_token(self, token: str) -> Kubernetes:
        made = Meddled(self._api, bucket=self._bucket, token=token)
        made.patch = partial(self._meddle, made)  # type: ignore[method-assign]  # of this one alone
        return made

    async def _meddle(self, caller: Kubernetes, path: str, body: JSON) -> JSON:
        if self.writes_left:
            self.writes_left -= 1
            progress = {"step": "dump", "bytes": self.writes_left}
            await self.patch(path + "/status", {"status": {"progress": progress}})
        return await Kubernetes.patch(caller, path, body)


async def test_a_run_whose_status_changes_meanwhile_is_cancelled(
    callers: People, apiserver: ApiServer, kube: Kubernetes, postgres_server: PostgresServer, migrated: str,
    redis_server: RedisServer, tmp_path: Path,
) -> None:  # fmt: skip
    async with (
        apiserver.connect(make=Meddled) as meddled,
        connected(meddled, postgres_server, migrated, redis_server, tmp_path) as clients,
        served(clients) as client,
    ):
        scene = Scene(people=callers, client=client, history=clients.history, kube=kube)
        run = await scene.run(phase="Running")

        told = await scene.cancel(run)

    seen = await scene.seen(run)
    assert (told.status, seen["spec"]["cancel"], seen["status"]["progress"]["bytes"]) == (202, True, 0)


@pytest.mark.parametrize("phase", ["Completed", "Failed", "Cancelled"])
async def test_a_run_that_has_ended_is_not_cancelled(scene: Scene, phase: str) -> None:
    run = await scene.run(phase=phase)

    assert refused(await scene.cancel(run), f"has ended already: it is {phase}")
    assert not (await scene.seen(run))["spec"].get("cancel")


async def test_a_run_that_has_ended_and_whose_row_is_late_is_not_cancelled(scene: Scene) -> None:
    run = await scene.run(phase="Running")
    path = objects_path(BACKUP_EXECUTION, scene.people.here, run["metadata"]["name"])
    await scene.kube.patch(path + "/status", {"status": {"phase": "Completed", "completionTime": AT}})

    assert refused(await scene.cancel(run), "it is Completed")


async def test_a_run_whose_object_is_gone_is_not_cancelled(scene: Scene) -> None:
    run = await scene.run(phase="Running")
    await scene.kube.delete(objects_path(BACKUP_EXECUTION, scene.people.here, run["metadata"]["name"]))

    assert refused(await scene.cancel(run), "does not exist any more")


async def test_another_run_of_the_same_name_is_not_cancelled(scene: Scene) -> None:
    run = await scene.run(phase="Running")
    name = run["metadata"]["name"]
    await scene.kube.delete(objects_path(BACKUP_EXECUTION, scene.people.here, name))
    other = await make(scene.kube, BACKUP_EXECUTION, scene.people.here, name, RUNS["backup"][1])

    assert refused(await scene.cancel(run), "does not exist any more")
    assert not (await scene.seen(other))["spec"].get("cancel")


@pytest.mark.parametrize("action", ["cancel", "retry"])
@pytest.mark.parametrize(
    ("who", "status"),
    [("no role", 404), ("operator elsewhere", 404), ("viewer", 403), ("viewer of all", 403), ("admin", 202)],
)
async def test_who_may_control_executions(scene: Scene, action: str, who: str, status: int) -> None:
    job = await scene.job(staging=STAGING)
    if action == "cancel":
        run = await scene.run(phase="Running")
        told = await scene.cancel(run, who)
    else:
        run = await scene.failed(spec={"backupJobRef": {"name": job}})
        told = await scene.retry(run, who)

    assert told.status == status
    if status == 403:
        assert "executions.control" in told.body["detail"]
        assert not (await scene.seen(run))["spec"].get("cancel")
        assert await scene.retries_of(run) == []


async def test_what_is_done_is_done_as_the_caller_so_that_a_right_that_was_taken_away_is_gone_at_once(
    scene: Scene, apiserver: ApiServer
) -> None:
    name, run = f"late-{uuid.uuid4().hex[:8]}", await scene.run(phase="Running")
    scene.people.tokens[name] = token_of(apiserver, scene.people.here, name, role="operator")
    assert (await scene.cancel(run, name)).status == 202  # and the sidecar remembers that they may, for 10 s

    apiserver.kubectl("delete", "rolebinding", name, "-n", scene.people.here)

    async def is_refused() -> bool:
        told = await scene.cancel(run, name)
        return told.status == 403 and told.body["code"] == "kubernetes-refused"

    await until(is_refused, what="the API server refuses it", seconds=8)


@pytest.fixture
async def upload(scene: Scene) -> JSON:
    """A backup whose upload has failed, of a BackupJob with staging."""
    return await scene.failed(spec={"backupJobRef": {"name": await scene.job(staging=STAGING)}})


async def test_a_failed_upload_is_tried_again_by_a_run_that_can_be_found(scene: Scene, upload: JSON) -> None:
    told = await scene.retry(upload)

    (retry,) = await scene.retries_of(upload)
    assert (told.status, told.body["id"], told.body["status"]) == (202, retry, "queued")
    assert told.body["trigger"] == "retry"
    assert told.headers["Location"] == f"/api/executions/{retry}"
    shown = await get(scene.client, told.headers["Location"], scene.people.tokens["viewer"])
    assert (shown.status, shown.body["name"]) == (200, told.body["name"])


async def test_the_same_key_gives_the_same_retry_also_at_once_and_when_it_has_ended(scene: Scene, upload: JSON) -> None:
    told = await asyncio.gather(*(scene.retry(upload, key="k1") for _ in range(8)))
    (retry,) = await scene.retries_of(upload)
    run = await scene.kube.get(objects_path(BACKUP_EXECUTION, scene.people.here, told[0].body["name"]))
    await scene.change(BACKUP_EXECUTION, run, {"phase": "Completed", "completionTime": AT})

    later = await scene.retry(upload, key="k1")

    assert [each.status for each in told] == [202] * 8
    assert {each.body["id"] for each in told} == {later.body["id"]} == {retry}
    assert (later.status, later.body["status"]) == (202, "completed")


async def test_of_many_who_ask_at_once_one_gets_the_retry(scene: Scene, upload: JSON) -> None:
    told = await asyncio.gather(*(scene.retry(upload, key=f"k{number}") for number in range(6)))

    assert sorted(each.status for each in told) == [202, 409, 409, 409, 409, 409]
    assert all(refused(each, "is under way") for each in told if each.status == 409)
    assert len(await scene.retries_of(upload)) == 1


async def test_a_retry_that_failed_is_followed_by_another_one(scene: Scene, upload: JSON) -> None:
    first = await scene.retry(upload, key="k1")
    run = await scene.kube.get(objects_path(BACKUP_EXECUTION, scene.people.here, first.body["name"]))
    await scene.change(BACKUP_EXECUTION, run, {"phase": "Failed", "completionTime": AT, "error": UPLOAD_FAILED})

    second = await scene.retry(upload, key="k2")

    assert (second.status, second.body["id"] != first.body["id"]) == (202, True)


async def test_a_retry_of_kubectl_counts_too(scene: Scene, upload: JSON) -> None:
    spec = {**upload["spec"], "trigger": "Retry", "retryOf": upload["metadata"]["name"]}
    run = await scene.run(phase="Running", spec=spec)

    under_way = await scene.retry(upload)
    await scene.change(BACKUP_EXECUTION, run, {"phase": "Completed", "completionTime": AT})
    completed = await scene.retry(upload)

    assert refused(under_way, f"{run['metadata']['name']!r} is under way")
    assert refused(completed, f"{run['metadata']['name']!r} has completed the backup")


async def test_what_has_no_upload_to_try_again_is_told_why(scene: Scene) -> None:
    staged, plain = await scene.job(staging=STAGING), await scene.job()
    completed = await scene.run(phase="Completed", spec={"backupJobRef": {"name": staged}})
    dump = await scene.failed(spec={"backupJobRef": {"name": staged}}, error={**UPLOAD_FAILED, "step": "dump"})
    unstaged = await scene.failed(spec={"backupJobRef": {"name": plain}})
    of_no_job = await scene.failed(spec={"backupJobRef": {"name": "gone"}})
    gone = await scene.failed(spec={"backupJobRef": {"name": staged}})
    await scene.kube.delete(objects_path(BACKUP_EXECUTION, scene.people.here, gone["metadata"]["name"]))
    restored = await scene.run("restore", phase="Failed")

    assert refused(await scene.retry(completed), "is Completed, not Failed")
    assert refused(await scene.retry(dump), "in the step 'dump' and left no whole dump.")
    assert refused(await scene.retry(unstaged), "its BackupJob has no spec.staging")
    assert refused(await scene.retry(of_no_job), "The BackupJob 'gone'")
    assert refused(await scene.retry(gone), "has ended already")
    assert refused(await scene.retry(restored), "is a restore, no backup")


@pytest.mark.parametrize("action", ["cancel", "retry-upload"])
async def test_without_history_nothing_is_changed_and_the_answer_says_so_in_time(
    callers: People, kube: Kubernetes, fragile_postgres: PostgresServer, redis_server: RedisServer, tmp_path: Path,
    action: str,
) -> None:  # fmt: skip
    fragile_postgres.start()
    database = fragile_postgres.database()
    migrate(postgres_settings(fragile_postgres, database, tmp_path), deadline_s=10)
    async with (
        connected(kube, fragile_postgres, database, redis_server, tmp_path) as clients,
        served(clients) as client,
    ):
        scene = Scene(people=callers, client=client, history=clients.history, kube=kube)
        run = await scene.run(phase="Running")
        path, token = f"/api/executions/{run['metadata']['uid']}/{action}", callers.tokens["operator"]

        with frozen(fragile_postgres):
            began = time.monotonic()
            silent = await post(client, path, token)
            took = time.monotonic() - began
        await asyncio.to_thread(fragile_postgres.stop)
        away = await post(client, path, token)
        fragile_postgres.start()

        async def is_back() -> bool:
            return (await post(client, path, token)).status != 503

        assert [(each.status, each.body["code"]) for each in (silent, away)] == [(503, "history-unavailable")] * 2
        assert took < 5
        assert not (await scene.seen(run))["spec"].get("cancel")
        await until(is_back, what="the API answers again", seconds=20)
