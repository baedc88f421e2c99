"""Runs through the API: who may start one, as whom it is made, and that one request is one run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dataguardian.api.clients import Clients
from dataguardian.domain.executions import TERMINAL
from dataguardian.history import History
from dataguardian.history.migrate import migrate
from dataguardian.kube.client import JSON, Kubernetes, objects_path
from dataguardian.queue import Queue
from dataguardian.resources.backup import BACKUP_EXECUTION, BACKUP_JOB
from dataguardian.resources.common import Kind
from dataguardian.resources.sync import DATABASE_SYNC_EXECUTION, DATABASE_SYNC_JOB

from .apiserver import ApiServer
from .callers import Client, Told, get, post, token_of
from .clients import frozen, postgres_settings, until
from .people import People
from .services import PostgresServer
from .sidecars import served, until_jobs_are_listed
from .stored import JOB, SYNC_JOB, clear_jobs, make

LONG = "a-job-whose-name-has-the-most-characters"
KEY = "Idempotency-Key"
JSON_TYPE = {"Content-Type": "application/json"}


@pytest.fixture
async def scene(callers: People, kube: Kubernetes) -> AsyncIterator[People]:
    """A BackupJob, one that is suspended and a DatabaseSyncJob; no runs."""
    await make(kube, BACKUP_JOB, callers.here, "nightly", JOB)
    await make(kube, BACKUP_JOB, callers.here, LONG, {**JOB, "suspend": True})
    await make(kube, DATABASE_SYNC_JOB, callers.here, "refresh", SYNC_JOB)
    yield callers
    await clear_jobs(kube, callers.here)
    for kind in (BACKUP_EXECUTION, DATABASE_SYNC_EXECUTION):
        for run in await runs(kube, callers, kind):
            await kube.delete(objects_path(kind, callers.here, run["metadata"]["name"]))


@pytest.fixture
async def client(scene: People, kube: Kubernetes, recorded: History, queue: Queue) -> AsyncIterator[Client]:
    async with served(Clients(kube=kube, history=recorded, queue=queue)) as opened:
        await until_jobs_are_listed(opened)
        yield opened


@pytest.fixture
def path(scene: People) -> str:
    return f"/api/backup-jobs/{scene.here}.nightly/run"


async def runs(kube: Kubernetes, scene: People, kind: Kind[Any] = BACKUP_EXECUTION) -> list[JSON]:
    return (await kube.list(objects_path(kind, scene.here)))[0]


async def test_a_backup_is_started_and_found_at_once(
    scene: People, client: Client, kube: Kubernetes, path: str
) -> None:
    told = await post(client, path, scene.tokens["operator"])
    found = await get(client, told.headers["Location"], scene.tokens["operator"])

    (run,) = await runs(kube, scene)
    assert (told.status, told.headers["Location"]) == (202, f"/api/executions/{run['metadata']['uid']}")
    assert (told.body["status"], told.body["trigger"], told.body["operation"]) == ("queued", "manual", "backup")
    assert (told.body["job"], told.body["name"]) == ("nightly", run["metadata"]["name"])
    assert run["spec"] == {"backupJobRef": {"name": "nightly"}, "trigger": "Manual", "cancel": False}
    assert found.status == 200
    assert found.body.items() >= told.body.items()


async def test_a_sync_is_started_and_is_an_execution_of_its_job(
    scene: People, client: Client, kube: Kubernetes
) -> None:
    job = f"/api/db-sync-jobs/{scene.here}.refresh"

    told = await post(client, f"{job}/run", scene.tokens["operator"], {})
    listed = await get(client, f"{job}/executions", scene.tokens["viewer"])

    (run,) = await runs(kube, scene, DATABASE_SYNC_EXECUTION)
    assert (told.status, told.body["operation"], told.body["id"]) == (202, "sync", run["metadata"]["uid"])
    assert run["spec"]["databaseSyncJobRef"] == {"name": "refresh"}
    assert [each["id"] for each in listed.body["data"]] == [told.body["id"]]


async def test_a_suspended_job_with_the_longest_name_can_be_run_by_hand(scene: People, client: Client) -> None:
    told = await post(client, f"/api/backup-jobs/{scene.here}.{LONG}/run", scene.tokens["operator"])

    assert (told.status, told.body["job"]) == (202, LONG)


async def test_a_run_of_a_job_that_was_made_a_moment_ago_is_taken(
    scene: People, client: Client, kube: Kubernetes
) -> None:
    await make(kube, BACKUP_JOB, scene.here, "new", JOB)

    told = await post(client, f"/api/backup-jobs/{scene.here}.new/run", scene.tokens["operator"])

    assert told.status == 202


ANSWERED = {
    "nobody": 401,
    "no role": 404,
    "viewer elsewhere": 404,
    "viewer": 403,
    "viewer of all": 403,
    "operator": 202,
    "admin": 202,
}


@pytest.mark.parametrize("who", ANSWERED)
async def test_what_each_caller_is_answered(scene: People, client: Client, kube: Kubernetes, who: str) -> None:
    of_backup = await post(client, f"/api/backup-jobs/{scene.here}.nightly/run", scene.tokens[who])
    of_sync = await post(client, f"/api/db-sync-jobs/{scene.here}.refresh/run", scene.tokens[who])

    assert (of_backup.status, of_sync.status) == (ANSWERED[who], ANSWERED[who])
    assert len(await runs(kube, scene)) == (ANSWERED[who] == 202)


async def test_a_viewer_is_told_which_permission_is_missing(scene: People, client: Client, path: str) -> None:
    told = await post(client, path, scene.tokens["viewer"])

    assert told.body["code"] == "forbidden"
    assert "backup_jobs.run" in told.body["detail"]
    assert "create backupexecutions.dataguardian.io" in told.body["detail"]


@pytest.mark.parametrize("job", ["{here}.nothing", "{here}.refresh", "nowhere.nightly", "nightly"])
async def test_a_job_that_is_not_there_is_not_run(scene: People, client: Client, kube: Kubernetes, job: str) -> None:
    told = await post(client, f"/api/backup-jobs/{job.format(here=scene.here)}/run", scene.tokens["admin"])

    assert (told.status, told.body["code"]) == (404, "not-found")
    assert await runs(kube, scene) == []


@pytest.mark.parametrize(
    ("text", "headers", "status", "says"),
    [
        ("", {}, 202, ""),
        ("{}", JSON_TYPE, 202, ""),
        ('{"dryrun": true}', JSON_TYPE, 422, "dryrun"),
        ("[]", JSON_TYPE, 422, "no JSON object"),
        ("{", JSON_TYPE, 422, "no JSON"),
        ("{}", {"Content-Type": "text/plain"}, 415, ""),
        ("x" * 70_000, JSON_TYPE, 413, ""),
    ],
)
async def test_a_body_is_not_needed_and_is_checked(
    scene: People, client: Client, path: str, text: str, headers: dict[str, str], status: int, says: str
) -> None:
    bearer = {"Authorization": f"Bearer {scene.tokens['operator']}"}
    async with client.post(path, data=text or None, headers={**bearer, **headers}) as answer:
        told = await answer.json(content_type=None)

    assert answer.status == status
    assert says in told.get("detail", "")


async def test_it_is_the_caller_whom_the_api_server_lets_create_the_run(
    scene: People, client: Client, path: str, apiserver: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dataguardian.api.access.YES_S", 600)
    token = token_of(apiserver, scene.here, "former", role="operator")
    assert (await post(client, path, token)).status == 202
    apiserver.kubectl("delete", "rolebinding", "former", "-n", scene.here)

    async def is_refused() -> bool:
        return (await post(client, path, token)).status != 202

    # The sidecar still remembers the right; the API server's own authorizer knows better within moments.
    await until(is_refused, what="the right is gone", seconds=5)
    refused = await post(client, path, token)

    assert (refused.status, refused.body["code"]) == (403, "kubernetes-refused")
    assert f"system:serviceaccount:{scene.here}:former" in refused.body["detail"]


async def test_the_same_key_gives_the_same_execution(
    scene: People, client: Client, kube: Kubernetes, path: str
) -> None:
    key = {KEY: "monday's backup"}
    first, again = [await post(client, path, scene.tokens["operator"], headers=key) for _ in range(2)]
    other = await post(client, path, scene.tokens["operator"], headers={KEY: "tuesday's backup"})
    of_another = await post(client, path, scene.tokens["admin"], headers=key)

    assert (again.status, again.body["id"], again.headers["Location"]) == (
        202, first.body["id"], first.headers["Location"],
    )  # fmt: skip
    assert len({first.body["id"], other.body["id"], of_another.body["id"]}) == len(await runs(kube, scene)) == 3


async def test_a_key_that_comes_many_times_at_once_is_one_run(
    scene: People, client: Client, kube: Kubernetes, path: str
) -> None:
    told = await asyncio.gather(
        *(post(client, path, scene.tokens["operator"], headers={KEY: "at once"}) for _ in range(12))
    )

    assert {each.status for each in told} == {202}
    assert len({each.body["id"] for each in told}) == len(await runs(kube, scene)) == 1


async def test_requests_without_a_key_are_runs_of_their_own(
    scene: People, client: Client, kube: Kubernetes, path: str
) -> None:
    told = [await post(client, path, scene.tokens["operator"]) for _ in range(2)]

    assert len({each.body["id"] for each in told}) == len(await runs(kube, scene)) == 2


async def end(kube: Kubernetes, scene: People, told: Told) -> str:
    """Let the run complete, as the operator does; the path of its object."""
    object_path = objects_path(BACKUP_EXECUTION, scene.here, told.body["name"])
    at = "2026-11-24T02:00:00Z"
    status = {"phase": "Completed", "queuedTime": at, "startTime": at, "completionTime": at, "datasource": "orders"}
    await kube.patch(f"{object_path}/status", {"status": status})
    return object_path


async def test_a_key_gives_its_execution_also_after_that_has_ended_and_after_its_object_is_gone(
    scene: People, client: Client, kube: Kubernetes, path: str
) -> None:
    send = [client, path, scene.tokens["operator"], None, {KEY: "long ago"}]
    first = await post(*send)  # type: ignore[arg-type]  # the same five each time
    object_path = await end(kube, scene, first)
    ended = await post(*send)  # type: ignore[arg-type]
    await kube.delete(object_path)
    deleted = await post(*send)  # type: ignore[arg-type]

    assert first.body["status"] == "queued"
    assert ended.body["status"] in TERMINAL
    assert {each.body["id"] for each in (first, ended, deleted)} == {first.body["id"]}
    assert (deleted.status, deleted.body["status"], deleted.body["datasource"]) == (202, "completed", "orders")
    assert await runs(kube, scene) == []


async def test_a_key_that_came_with_another_request_is_refused(
    scene: People, client: Client, kube: Kubernetes, path: str
) -> None:
    first = await post(client, path, scene.tokens["operator"], headers={KEY: "one"})
    another = {"metadata": {"annotations": {"dataguardian.io/request": "of something else"}}}
    await kube.patch(objects_path(BACKUP_EXECUTION, scene.here, first.body["name"]), another)

    told = await post(client, path, scene.tokens["operator"], headers={KEY: "one"})

    assert (told.status, told.body["code"]) == (422, "idempotency-key-reused")


@pytest.mark.parametrize("key", ["", "x" * 256, "schlüssel", "two\twords"])
async def test_a_key_that_is_none_is_refused_by_its_header(
    scene: People, client: Client, kube: Kubernetes, path: str, key: str
) -> None:
    told = await post(client, path, scene.tokens["operator"], headers={KEY: key})

    assert (told.status, told.body["code"]) == (422, "spec-invalid")
    assert told.body["detail"].startswith(f"{KEY}: ")
    assert await runs(kube, scene) == []


async def test_a_key_may_have_255_characters(scene: People, client: Client, path: str) -> None:
    assert (await post(client, path, scene.tokens["operator"], headers={KEY: "~" * 255})).status == 202


@pytest.fixture
async def without_postgres(
    scene: People, kube: Kubernetes, queue: Queue, fragile_postgres: PostgresServer, tmp_path: Path
) -> AsyncIterator[Client]:
    """The API, whose Postgres the test may stop."""
    fragile_postgres.start()
    settings = postgres_settings(fragile_postgres, fragile_postgres.database(), tmp_path)
    migrate(settings, deadline_s=10)
    async with (
        History(settings) as history,
        served(Clients(kube=kube, history=history, queue=queue)) as opened,
    ):
        await until_jobs_are_listed(opened)
        yield opened


async def test_a_run_is_accepted_without_postgres(
    scene: People, without_postgres: Client, kube: Kubernetes, path: str, fragile_postgres: PostgresServer
) -> None:
    await asyncio.to_thread(fragile_postgres.stop)

    told = [await post(without_postgres, path, scene.tokens["operator"], headers={KEY: "dark"}) for _ in range(2)]

    (run,) = await runs(kube, scene)
    assert [(each.status, each.body["id"]) for each in told] == [(202, run["metadata"]["uid"])] * 2


async def test_a_run_is_accepted_in_time_while_postgres_is_frozen(
    scene: People, without_postgres: Client, kube: Kubernetes, path: str, fragile_postgres: PostgresServer
) -> None:
    with frozen(fragile_postgres):
        told = await post(without_postgres, path, scene.tokens["operator"], headers={KEY: "cold"})

    assert told.status == 202
    assert len(await runs(kube, scene)) == 1


async def test_what_the_cluster_s_policy_forbids_is_refused_with_its_words(
    scene: People, client: Client, path: str, apiserver: ApiServer
) -> None:
    name = f"{scene.here}-freeze"
    validation = {"expression": "false", "message": "no runs in the freeze", "reason": "Forbidden"}
    rule = {"apiGroups": ["dataguardian.io"], "apiVersions": ["*"], "operations": ["CREATE"]}
    binding_of = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": scene.here}}}
    version = "admissionregistration.k8s.io/v1"
    policy = {
        "apiVersion": version, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [{**rule, "resources": ["backupexecutions"]}]},
            "validations": [validation],
        },
    }  # fmt: skip
    binding = {
        "apiVersion": version, "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"], "matchResources": binding_of},
    }  # fmt: skip
    for made in (policy, binding):
        apiserver.kubectl("create", "-f", "-", stdin=json.dumps(made))
    try:

        async def is_refused() -> bool:
            return (await post(client, path, scene.tokens["admin"])).status != 202

        await until(is_refused, what="the policy holds", seconds=20)
        told = await post(client, path, scene.tokens["admin"])
    finally:
        apiserver.kubectl("delete", "validatingadmissionpolicy,validatingadmissionpolicybinding", name)

    assert (told.status, told.body["code"]) == (403, "kubernetes-refused")
    assert "no runs in the freeze" in told.body["detail"]
    assert "operator's ClusterRole" not in told.body["remedy"]


async def test_what_the_schema_forbids_is_told_with_the_words_of_the_api_server(
    scene: People, client: Client, path: str, apiserver: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dataguardian.api.starting.RUN_NAME_MAX", 80)
    monkeypatch.setattr("dataguardian.api.starting.NAME_DIGITS", 50)

    told = await post(client, path, scene.tokens["operator"], headers={KEY: "too long"})

    assert (told.status, told.body["code"]) == (422, "spec-invalid")
    assert "54 characters at most" in told.body["detail"]


async def test_a_namespace_that_is_being_deleted_takes_no_run(
    client: Client, scene: People, kube: Kubernetes, apiserver: ApiServer
) -> None:
    leaving = apiserver.namespace()
    await make(kube, BACKUP_JOB, leaving, "nightly", JOB)
    token = token_of(apiserver, leaving, "operator", role="operator")
    apiserver.kubectl("delete", "namespace", leaving, "--wait=false")

    told = await post(client, f"/api/backup-jobs/{leaving}.nightly/run", token)

    assert (told.status, told.body["code"]) == (409, "not-possible")
    assert "is being deleted" in told.body["remedy"]


async def test_a_full_quota_is_told(client: Client, scene: People, kube: Kubernetes, apiserver: ApiServer) -> None:
    full = apiserver.namespace()
    await make(kube, BACKUP_JOB, full, "nightly", JOB)
    token = token_of(apiserver, full, "operator", role="operator")
    counted = "count/backupexecutions.dataguardian.io"
    quotas = f"/api/v1/namespaces/{full}/resourcequotas"
    body = {"metadata": {"name": "small"}, "spec": {"hard": {counted: "0"}}}
    await kube.create(quotas, {"apiVersion": "v1", "kind": "ResourceQuota", **body})
    await kube.patch(f"{quotas}/small/status", {"status": {"hard": {counted: "0"}, "used": {counted: "0"}}})
    answers: list[Told] = []

    async def is_refused() -> bool:
        answers.append(await post(client, f"/api/backup-jobs/{full}.nightly/run", token))
        return answers[-1].status != 202

    await until(is_refused, what="the quota holds", seconds=20)

    assert (answers[-1].status, answers[-1].body["code"]) == (403, "kubernetes-refused")
    assert "exceeded quota: small" in answers[-1].body["detail"]
    assert "quota" in answers[-1].body["remedy"]
