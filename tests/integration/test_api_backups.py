"""The list of stored backups over HTTP: a real API server with RBAC, and a real PostgreSQL."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dataguardian.history import ExecutionRow, History
from dataguardian.history.migrate import migrate
from dataguardian.kube.client import JSON, Kubernetes, objects_path
from dataguardian.resources.backup import BACKUP_EXECUTION

from .callers import Client, Told, get
from .clients import postgres_settings
from .people import People
from .services import PostgresServer, RedisServer
from .sidecars import connected, served
from .stored import CHECKSUM, change, make

AT = datetime(2026, 11, 24, 2, tzinfo=UTC)


def copy(location: str = "primary", state: str = "Stored") -> JSON:
    return {"location": location, "key": f"shop/nightly/{location}/manifest.json", "state": state}


def moment(number: int) -> str:
    return (AT + timedelta(days=number)).isoformat().replace("+00:00", "Z")


@dataclass(frozen=True, kw_only=True)
class Scene:
    """The API, who calls it, and the objects that it tells of."""

    people: People
    client: Client
    history: History
    kube: Kubernetes

    async def backup(self, number: int, *, namespace: str | None = None, job: str = "nightly", **status: Any) -> str:
        """The backup of a day, as its object and in history; its id."""
        found = namespace or self.people.here
        name = f"b{number}-{uuid.uuid4().hex[:8]}"
        run = await make(self.kube, BACKUP_EXECUTION, found, name, {"backupJobRef": {"name": job}})
        whole = {
            "phase": "Completed",
            "executionId": run["metadata"]["uid"],
            "datasource": "orders",
            "queuedTime": moment(0),
            "startTime": moment(0),
            "dumpTime": moment(number),  # the list goes by this alone
            "completionTime": moment(30 - number),
            "dumpBytes": 2048,
            "storedBytes": 1024,
            "checksum": CHECKSUM,
            "engineVersion": "17.2",
            "copies": [copy()],
            **status,
        }
        await change(self.kube, self.history, BACKUP_EXECUTION, run, whole)
        return str(run["metadata"]["uid"])

    async def changed(self, backup: str, **status: Any) -> None:
        """The object with this status, and the row that the operator writes of it."""
        found, _ = await self.kube.list(objects_path(BACKUP_EXECUTION))
        run = next(each for each in found if each["metadata"]["uid"] == backup)
        await change(self.kube, self.history, BACKUP_EXECUTION, run, status)

    async def get(self, path: str, who: str = "viewer") -> Told:
        return await get(self.client, path, self.people.tokens[who])

    async def listed(self, query: str = "", who: str = "viewer") -> list[str]:
        told = await self.get(f"/api/backups{query}", who)
        assert told.status == 200, told.body
        return [each["execution_id"] for each in told.body["data"]]


@pytest.fixture
async def scene(
    callers: People, kube: Kubernetes, postgres_server: PostgresServer, migrated: str, redis_server: RedisServer,
    tmp_path: Path,
) -> AsyncIterator[Scene]:  # fmt: skip
    postgres_server.sql(migrated, "DELETE FROM backup_executions")
    async with (
        connected(kube, postgres_server, migrated, redis_server, tmp_path) as clients,
        served(clients) as client,
    ):
        yield Scene(people=callers, client=client, history=clients.history, kube=kube)


async def test_backups_are_listed_by_their_data_the_newest_first(scene: Scene) -> None:
    second, first, third = await scene.backup(2), await scene.backup(1), await scene.backup(3)

    assert await scene.listed() == [third, second, first]


async def test_only_what_is_stored_is_a_backup(scene: Scene) -> None:
    kept = await scene.backup(1, copies=[copy(state="Missing"), copy("offsite")])
    others = [
        await scene.backup(2, copies=[copy(state="Removed"), copy("offsite", "Failed")]),
        await scene.backup(3, copies=[]),
        await scene.backup(4, phase="Failed"),
        await scene.backup(5, phase="Running", completionTime=None),
    ]

    assert await scene.listed() == [kept]
    assert {(await scene.get(f"/api/backups/{each}")).status for each in others} == {404}
    assert (await scene.get(f"/api/backups/{kept}")).status == 200


async def test_a_backup_is_told_with_all_that_is_known_of_it(scene: Scene) -> None:
    backup = await scene.backup(
        1,
        copies=[copy(), {**copy("offsite", "Failed"), "reason": "storage-full: Full."}],
        keptBy=["maxBackups 3", "restore yesterday"],
        lastVerification="Passed",
        lastVerificationTime=moment(2),
    )

    told = (await scene.get(f"/api/backups/{backup}")).body

    listed = (await scene.get("/api/backups")).body["data"]
    assert listed == [told]
    assert told.pop("name").startswith("b1-")
    assert told == {
        "execution_id": backup,
        "namespace": scene.people.here,
        "job": "nightly",
        "datasource": "orders",
        "trigger": "manual",
        "engine_version": "17.2",
        "data_at": "2026-11-25T02:00:00.000Z",
        "finished_at": "2026-12-23T02:00:00.000Z",
        "dump_bytes": 2048,
        "stored_bytes": 1024,
        "checksum": CHECKSUM,
        "copies": [
            {**copy(), "reason": None},
            {**copy("offsite", "Failed"), "reason": "storage-full: Full."},
        ],
        "kept_by": ["maxBackups 3", "restore yesterday"],
        "held": True,
        "verification": "passed",
        "verification_at": "2026-11-26T02:00:00.000Z",
    }


async def test_what_happens_to_a_backup_after_its_end_is_seen(scene: Scene) -> None:
    backup = await scene.backup(1)
    before = (await scene.get(f"/api/backups/{backup}")).body

    await scene.changed(backup, lastVerification="Failed", lastVerificationTime=moment(2), keptBy=["safetyBackup x"])
    judged = (await scene.get(f"/api/backups/{backup}")).body
    await scene.changed(backup, copies=[copy(state="Removed")])

    assert (before["verification"], before["held"]) == (None, False)
    assert (judged["verification"], judged["held"]) == ("failed", True)
    assert await scene.listed() == []
    assert (await scene.get(f"/api/backups/{backup}")).body["code"] == "not-found"


async def test_a_row_of_an_earlier_release_stands_by_its_start_and_is_filled_in_when_its_object_is_seen_again(
    scene: Scene,
) -> None:
    newer, backup = await scene.backup(2), await scene.backup(3)
    async with scene.history.connection() as connection:
        forget = "UPDATE backup_executions SET dumped_at = NULL, engine_version = NULL WHERE id = %s"
        await connection.execute(forget, (backup,))
    earlier = await scene.listed()

    await scene.changed(backup)

    assert earlier == [newer, backup]
    assert await scene.listed() == [backup, newer]
    assert (await scene.get(f"/api/backups/{backup}")).body["engine_version"] == "17.2"


@pytest.mark.parametrize(
    ("query", "days"),
    [
        ("", [5, 4, 3, 2, 1]),
        ("job=weekly", [4]),
        ("datasource=stock", [3]),
        ("location=offsite", [2]),
        ("verified=passed", [5]),
        ("verified=failed", [4]),
        ("verified=never", [3, 2, 1]),
        ("since=2026-11-27T02:00:00Z", [5, 4, 3]),
        ("until=2026-11-27T02:00:00Z", [2, 1]),
        ("verified=never&location=primary", [3, 1]),
    ],
)
async def test_a_filter_leaves_what_was_asked_for(scene: Scene, query: str, days: list[int]) -> None:
    await scene.backup(1, copies=[copy(), copy("offsite", "Missing")])
    await scene.backup(2, copies=[copy("offsite"), copy(state="Removed")])
    await scene.backup(3, datasource="stock")
    await scene.backup(4, job="weekly", lastVerification="Failed", lastVerificationTime=moment(9))
    await scene.backup(5, lastVerification="Passed", lastVerificationTime=moment(9))

    told = await scene.get(f"/api/backups?{query}")

    assert [each["data_at"] for each in told.body["data"]] == [f"2026-11-{24 + day}T02:00:00.000Z" for day in days]


async def test_pages_are_all_backups_once_in_one_order_also_while_new_ones_come(scene: Scene) -> None:
    for number in (1, 2, 2, 2, 3):
        await scene.backup(number)
    whole, found, more = await scene.listed(), list[str](), ""
    while more is not None:
        told = await scene.get("/api/backups?limit=2" + (f"&continue={more}" if more else ""))
        found += [each["execution_id"] for each in told.body["data"]]
        more = told.body["continue"]
        await scene.backup(9)

    assert found == whole
    assert len(found) == 5


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("verified=maybe", "verified"),
        ("location=A%20B", "location"),
        ("since=yesterday", "since"),
        ("status=failed", "status"),
        ("continue=abc", "continue"),
    ],
)
async def test_a_query_that_cannot_be_is_refused_by_its_field(scene: Scene, query: str, field: str) -> None:
    told = await scene.get(f"/api/backups?{query}")

    assert (told.status, told.body["code"]) == (422, "spec-invalid")
    assert told.body["detail"].startswith(f"{field}: ")


async def test_a_list_shows_only_the_namespaces_that_the_caller_may_read(scene: Scene) -> None:
    here, there = await scene.backup(1), await scene.backup(2, namespace=scene.people.there)

    assert await scene.listed() == [here]
    assert await scene.listed(who="operator elsewhere") == [there]
    assert await scene.listed(who="viewer of all") == [there, here]


async def test_restores_are_no_backups(scene: Scene) -> None:
    common: dict[str, Any] = {
        "namespace": scene.people.here, "name": "r", "trigger": "manual", "status": "completed",
        "queued_at": AT, "finished_at": AT, "observed_at": AT, "copies": [copy()],
    }  # fmt: skip
    await scene.history.record(ExecutionRow(id=str(uuid.uuid4()), operation="restore", **common))
    await scene.history.record(ExecutionRow(id=str(uuid.uuid4()), operation="verify", **common))

    assert await scene.listed() == []


async def test_without_history_the_answer_says_so(
    callers: People, kube: Kubernetes, fragile_postgres: PostgresServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    fragile_postgres.start()
    database = fragile_postgres.database()
    migrate(postgres_settings(fragile_postgres, database, tmp_path), deadline_s=10)
    async with (
        connected(kube, fragile_postgres, database, redis_server, tmp_path) as clients,
        served(clients) as client,
    ):
        await asyncio.to_thread(fragile_postgres.stop)
        away = await get(client, "/api/backups", callers.tokens["viewer"])
        fragile_postgres.start()
        back = await get(client, "/api/backups", callers.tokens["viewer"])

    assert (away.status, away.body["code"], back.status) == (503, "history-unavailable", 200)
