"""Who may read executions through the API, and what they get: a real API server and a real PostgreSQL."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dataguardian.api.clients import Clients
from dataguardian.history import ExecutionRow, History, LogLine, SyncRow
from dataguardian.kube.client import Kubernetes

from .callers import Client, Told, get, token_of
from .clients import until
from .people import People
from .services import PostgresServer, RedisServer
from .sidecars import connected, served

AT = datetime(2026, 11, 24, 2, tzinfo=UTC)
LINE = LogLine(ts="2026-11-24T02:00:01.000Z", level="info", message="[BACKUP] Step dump")


@dataclass(frozen=True, kw_only=True)
class Scene(People):
    """Who may do what, and the executions of each namespace: newest first."""

    ids: dict[str, list[str]]


@pytest.fixture
async def clients(
    kube: Kubernetes, migrated: str, postgres_server: PostgresServer, redis_server: RedisServer, tmp_path: Path
) -> AsyncIterator[Clients]:
    async with connected(kube, postgres_server, migrated, redis_server, tmp_path) as made:
        yield made


@pytest.fixture
async def scene(callers: People, clients: Clients, migrated: str, postgres_server: PostgresServer) -> Scene:
    here, there = callers.here, callers.there
    postgres_server.sql(migrated, "DELETE FROM backup_executions", "DELETE FROM database_sync_executions")
    ids: dict[str, list[str]] = {here: [], there: []}
    for number, namespace in enumerate([here, here, here, there, here]):
        ids[namespace].insert(0, await _recorded(clients.history, namespace, number))
    return Scene(**vars(callers), ids=ids)


async def _recorded(history: History, namespace: str, number: int) -> str:
    """One that ended; the fifth is a sync."""
    at = AT + timedelta(minutes=number // 2)  # two at once: the id orders them
    common: dict[str, Any] = {
        "id": str(uuid.UUID(int=9 - number)),
        "namespace": namespace,
        "name": f"nightly-{number}",
        "job": "nightly",
        "trigger": "schedule",
        "status": "failed" if number == 1 else "completed",
        "queued_at": at,
        "observed_at": at,
        "finished_at": at + timedelta(seconds=9),
        "logs": [LINE],
    }
    if number == 4:
        await history.record(SyncRow(source="orders", target="staging", **common))
    else:
        await history.record(ExecutionRow(operation="backup", datasource="orders", dump_bytes=5, **common))
    return str(common["id"])


@pytest.fixture
async def client(scene: Scene, clients: Clients) -> AsyncIterator[Client]:
    async with served(clients) as opened:
        yield opened


def ids(told: Told) -> list[str]:
    return [each["id"] for each in told.body["data"]]


async def test_a_list_shows_only_the_namespaces_that_the_caller_may_read(scene: Scene, client: Client) -> None:
    seen = {
        who: set(ids(await get(client, "/api/executions", scene.tokens[who]))) for who in ("viewer", "viewer of all")
    }
    elsewhere = ids(await get(client, "/api/executions", scene.tokens["viewer elsewhere"]))

    here, there = set(scene.ids[scene.here]), set(scene.ids[scene.there])
    assert seen == {"viewer": here, "viewer of all": here | there}
    assert elsewhere == scene.ids[scene.there]


async def test_a_request_without_a_token_is_told_how_to_send_one(client: Client) -> None:
    answer = await get(client, "/api/executions", None)

    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="dataguardian"'
    assert answer.body["code"] == "unauthenticated"
    assert "kubectl create token" in answer.body["remedy"]


async def test_a_refusal_names_the_permission_and_the_right_that_is_missing(scene: Scene, client: Client) -> None:
    answer = await get(client, f"/api/executions?namespace={scene.here}", scene.tokens["no role"])

    assert answer.body["code"] == "forbidden"
    assert "executions.read" in answer.body["detail"]
    assert "list backupexecutions.dataguardian.io" in answer.body["detail"]
    assert scene.here in answer.body["detail"]


async def test_a_right_that_was_given_counts_within_seconds(scene: Scene, client: Client) -> None:
    name = f"late-{uuid.uuid4().hex[:8]}"
    token = token_of(scene.apiserver, scene.here, name, role=None)
    path = f"/api/executions?namespace={scene.here}"
    assert (await get(client, path, token)).status == 403

    account = f"--serviceaccount={scene.here}:{name}"
    bind = ["create", "rolebinding", name, "--clusterrole=dataguardian-viewer", account, "-n", scene.here]
    scene.apiserver.kubectl(*bind)

    async def is_let_in() -> bool:
        return (await get(client, path, token)).status == 200

    await until(is_let_in, what="the new right counts", seconds=10)


async def test_pages_are_all_executions_once_in_one_order(scene: Scene, client: Client) -> None:
    token, found, path = scene.tokens["viewer of all"], list[str](), "/api/executions?limit=2"
    whole = ids(await get(client, "/api/executions", token))
    more: str | None = ""
    while more is not None:
        page = await get(client, path + (f"&continue={more}" if more else ""), token)
        found, more = found + ids(page), page.body["continue"]

    assert found == whole
    assert sorted(found) == sorted(scene.ids[scene.here] + scene.ids[scene.there])
    assert len(found) == 5


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("status=failed", [1]),
        ("operation=sync", [4]),
        ("operation=backup", [2, 1, 0]),
        ("datasource=staging", [4]),
        ("job=nightly&trigger=schedule", [4, 2, 1, 0]),
        ("trigger=manual", []),
        ("since=2026-11-24T02:01:00Z", [4, 2]),
        ("until=2026-11-24T02:01:00Z", [1, 0]),
    ],
)
async def test_a_filter_leaves_what_was_asked_for(scene: Scene, client: Client, query: str, numbers: list[int]) -> None:
    answer = await get(client, f"/api/executions?namespace={scene.here}&{query}", scene.tokens["viewer"])

    assert [each["name"] for each in answer.body["data"]] == [f"nightly-{number}" for number in numbers]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=many", "limit"),
        ("status=lost", "status"),
        ("stauts=failed", "stauts"),
        ("since=yesterday", "since"),
        ("since=2026-11-24T02:00:00", "since"),
        ("continue=abc", "continue"),
        ("namespace=A%20B", "namespace"),
        ("limit=1&limit=2", "limit"),
    ],
)
async def test_a_query_that_cannot_be_is_refused_by_its_field(
    scene: Scene, client: Client, query: str, field: str
) -> None:
    answer = await get(client, f"/api/executions?{query}", scene.tokens["viewer"])

    assert (answer.status, answer.body["code"]) == (422, "spec-invalid")
    assert answer.body["detail"].startswith(f"{field}: ")
    assert answer.body["remedy"]


async def test_an_answer_that_is_known_is_not_sent_again(scene: Scene, client: Client) -> None:
    first = await get(client, "/api/executions", scene.tokens["viewer"])
    again = await get(client, "/api/executions", scene.tokens["viewer"], {"If-None-Match": first.headers["ETag"]})
    others = await get(client, "/api/executions", scene.tokens["viewer"], {"If-None-Match": '"another"'})

    assert (again.status, again.body) == (304, "")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert others.status == 200


async def test_an_execution_and_its_log_are_as_recorded(scene: Scene, client: Client) -> None:
    path = f"/api/executions/{scene.ids[scene.here][-1]}"
    one = await get(client, path, scene.tokens["viewer"])
    log = await get(client, f"{path}/logs", scene.tokens["viewer"])
    text = await get(client, f"{path}/logs?format=text", scene.tokens["viewer"])

    assert one.body["queued_at"] == "2026-11-24T02:00:00.000Z"
    assert (one.body["operation"], one.body["datasource"], one.body["dump_bytes"]) == ("backup", "orders", 5)
    assert log.body == {"data": [{"ts": LINE.ts, "level": "info", "message": "[BACKUP] Step dump"}]}
    assert text.body == "2026-11-24T02:00:01.000Z info    [BACKUP] Step dump\n"


@pytest.mark.parametrize("unknown", ["00000000-0000-0000-0000-00000000ffff", "nightly", "%2e%2e"])
async def test_an_execution_that_nobody_has_is_not_found(scene: Scene, client: Client, unknown: str) -> None:
    assert (await get(client, f"/api/executions/{unknown}", scene.tokens["viewer of all"])).status == 404


async def test_callers_are_told_what_they_may_and_where(scene: Scene, client: Client) -> None:
    me = (await get(client, "/api/access/me", scene.tokens["operator"])).body
    of_all = (await get(client, "/api/access/me", scene.tokens["viewer of all"])).body

    may = {each["permission"]: each["namespaces"] for each in me["permissions"]}
    assert me["name"] == f"system:serviceaccount:{scene.here}:operator"
    assert may["backup_jobs.run"] == may["executions.control"] == may["executions.read"] == [scene.here]
    assert may["backups.restore"] == may["backups.restore_verify"] == may["audit.read"] == []
    assert {each["permission"] for each in of_all["permissions"] if each["everywhere"]} == {
        "health.read", "dashboard.read", "backup_jobs.read", "db_sync_jobs.read", "executions.read", "backups.read",
    }  # fmt: skip


async def test_a_request_keeps_the_id_that_its_caller_gave_it(scene: Scene, client: Client) -> None:
    kept = await get(client, "/api/executions?limit=0", scene.tokens["viewer"], {"X-Request-Id": "walk-1"})
    replaced = await get(client, "/api/executions", scene.tokens["viewer"], {"X-Request-Id": "a b"})

    assert (kept.headers["X-Request-Id"], kept.body["request_id"]) == ("walk-1", "walk-1")
    assert uuid.UUID(replaced.headers["X-Request-Id"])


async def test_what_the_api_is_can_be_read_by_everybody(client: Client) -> None:
    answer = await get(client, "/api/openapi.json", None)

    assert (answer.status, answer.body["openapi"]) == (200, "3.1.0")
