"""Who may read the checks of datasources and storage locations through the API, and what they get."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dataguardian.api.paging import as_token
from dataguardian.history import HealthRow, health_checks
from dataguardian.kube.client import Kubernetes, objects_path
from dataguardian.resources import datasource, storage_location
from dataguardian.resources.common import Kind

from .callers import Client, Told, get
from .clients import until
from .people import People
from .services import PostgresServer, RedisServer
from .sidecars import connected, served
from .stored import make

DATASOURCES, STORAGE, HISTORY = "/api/health/datasources", "/api/health/storage", "/api/health/history"
AT = "2026-11-24T02:00:00Z"
SINCE = "2026-11-24T01:00:00Z"
DATASOURCE = {"engine": "postgresql", "host": "db", "database": "orders", "credentialsSecretRef": {"name": "db"}}
LOCATION = {"s3": {"bucket": "backups", "region": "us-east-1", "credentialsSecretRef": {"name": "s3"}}}


def found(word: str, reason: str, **more: Any) -> dict[str, Any]:
    """The status after a check."""
    ready = {"type": "Ready", "status": "True", "reason": reason, "message": "Told.", "lastTransitionTime": SINCE}
    field = "health" if word.islower() else "phase"
    return {field: word, "lastCheckedTime": AT, "conditions": [ready], **more}


OBJECTS: list[tuple[Kind[Any], str, dict[str, Any], dict[str, Any]]] = [
    (datasource.KIND, "a", DATASOURCE, found("healthy", "LoggedIn", latencyMs=3, serverVersion="17.2")),
    (datasource.KIND, "b", DATASOURCE, found("warning", "Slow", latencyMs=3000)),
    (datasource.KIND, "c", DATASOURCE, found("critical", "PermissionRefused")),
    (datasource.KIND, "d", DATASOURCE, {}),
    (storage_location.KIND, "a", LOCATION, found("Available", "Checked", backups=2, storedBytes=9)),
    (storage_location.KIND, "b", LOCATION, found("Full", "StorageFull")),
    (storage_location.KIND, "c", LOCATION, found("Unreachable", "StorageUnavailable")),
]


@pytest.fixture
async def scene(callers: People, kube: Kubernetes) -> AsyncIterator[People]:
    """The objects in the first namespace, and one of each kind in the other one."""
    made = [(callers.here, *each) for each in OBJECTS]
    made += [(callers.there, *OBJECTS[index]) for index in (0, 4)]
    for namespace, kind, name, spec, status in made:
        await make(kube, kind, namespace, name, spec, status)
    yield callers
    for namespace, kind, name, *_ in made:
        await kube.delete(objects_path(kind, namespace, name))


@pytest.fixture
async def client(
    scene: People, kube: Kubernetes, migrated: str, postgres_server: PostgresServer,
    redis_server: RedisServer, tmp_path: Path,
) -> AsyncIterator[Client]:  # fmt: skip
    postgres_server.sql(migrated, "DELETE FROM health_checks")
    async with connected(kube, postgres_server, migrated, redis_server, tmp_path) as clients:
        async with clients.history.connection() as connection:
            for number, (namespace, status) in enumerate(
                [(scene.here, "up"), (scene.here, "down"), (scene.there, "up"), (scene.here, "up")]
            ):
                await health_checks.add(connection, row(number, namespace, status))
        async with served(clients) as opened:
            yield opened


def row(number: int, namespace: str, status: Any) -> HealthRow:
    return HealthRow(
        id=f"00000000-0000-0000-0000-00000000000{number}",
        at=datetime(2026, 11, 24, 2, number // 2, tzinfo=UTC) + timedelta(seconds=number),
        kind="Datasource",
        namespace=namespace,
        name="a",
        status=status,
        reason="LoggedIn",
        message="Told.",
    )


def names(told: Told) -> list[str]:
    return [each["name"] for each in told.body["data"]]


@pytest.mark.parametrize("path", [DATASOURCES, STORAGE, HISTORY])
async def test_a_list_shows_only_the_namespaces_that_the_caller_may_read(
    scene: People, client: Client, path: str
) -> None:
    async def seen(who: str) -> set[str]:
        return {each["namespace"] for each in (await get(client, path, scene.tokens[who])).body["data"]}

    assert await seen("viewer") == {scene.here}
    assert await seen("viewer of all") >= {scene.here, scene.there}


async def test_a_datasource_is_told_as_its_last_check_found_it(scene: People, client: Client) -> None:
    body = (await get(client, DATASOURCES, scene.tokens["viewer"])).body

    assert [each["status"] for each in body["data"]] == ["up", "degraded", "down", "unknown"]
    assert body["data"][0] == {
        "id": f"{scene.here}.a", "namespace": scene.here, "name": "a", "status": "up", "reason": "LoggedIn",
        "message": "Told.", "checked_at": "2026-11-24T02:00:00.000Z", "since": "2026-11-24T01:00:00.000Z",
        "latency_ms": 3, "server_version": "17.2",
    }  # fmt: skip
    assert {body["data"][3][key] for key in ("reason", "message", "checked_at", "since", "latency_ms")} == {None}


async def test_a_location_is_told_as_its_last_check_found_it(scene: People, client: Client) -> None:
    body = (await get(client, STORAGE, scene.tokens["viewer"])).body

    assert [each["status"] for each in body["data"]] == ["up", "degraded", "down"]
    assert (body["data"][0]["backups"], body["data"][0]["stored_bytes"]) == (2, 9)
    assert body["data"][1]["reason"] == "StorageFull"


async def test_a_change_of_an_object_is_seen_within_seconds(scene: People, client: Client, kube: Kubernetes) -> None:
    path = objects_path(datasource.KIND, scene.here, "a") + "/status"
    assert names(await get(client, f"{DATASOURCES}?status=down", scene.tokens["viewer"])) == ["c"]

    await kube.patch(path, {"status": {"health": "critical"}})

    async def is_told() -> bool:
        return names(await get(client, f"{DATASOURCES}?status=down", scene.tokens["viewer"])) == ["a", "c"]

    await until(is_told, what="the change is told", seconds=10)


@pytest.mark.parametrize("path", [DATASOURCES, STORAGE, HISTORY])
async def test_pages_are_all_items_once_in_one_order(scene: People, client: Client, path: str) -> None:
    token, more, found = scene.tokens["viewer of all"], "", list[str]()
    whole = [each["id"] for each in (await get(client, path, token)).body["data"]]
    while more is not None:
        page = (await get(client, f"{path}?limit=2" + (f"&continue={more}" if more else ""), token)).body
        found, more = found + [each["id"] for each in page["data"]], page["continue"]

    assert found == whole
    assert len(set(found)) == len(found) > 2


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("", [3, 1, 0]),
        ("&status=down", [1]),
        ("&kind=Datasource&name=a", [3, 1, 0]),
        ("&kind=StorageLocation", []),
        ("&name=b", []),
        ("&since=2026-11-24T02:01:00Z", [3]),
        ("&until=2026-11-24T02:01:00Z", [1, 0]),
    ],
)
async def test_changes_are_told_newest_first_and_filtered(
    scene: People, client: Client, query: str, numbers: list[int]
) -> None:
    answer = await get(client, f"{HISTORY}?namespace={scene.here}{query}", scene.tokens["viewer"])

    assert [int(each["id"][-1]) for each in answer.body["data"]] == numbers


@pytest.mark.parametrize(
    ("path", "field"),
    [
        (f"{DATASOURCES}?status=healthy", "status"),
        (f"{STORAGE}?limit=0", "limit"),
        (f"{STORAGE}?continue=abc", "continue"),
        (f"{HISTORY}?kind=BackupJob", "kind"),
        (f"{HISTORY}?nmae=a", "nmae"),
        (f"{HISTORY}?continue={as_token(('no moment', 'no id'), {})}", "continue"),
    ],
)
async def test_a_query_that_cannot_be_is_refused_by_its_field(
    scene: People, client: Client, path: str, field: str
) -> None:
    answer = await get(client, path, scene.tokens["viewer"])

    assert (answer.status, answer.body["code"]) == (422, "spec-invalid")
    assert answer.body["detail"].startswith(f"{field}: ")
