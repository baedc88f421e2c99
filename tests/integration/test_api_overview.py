"""``GET /api/dashboard/overview``: a real API server and a real PostgreSQL, one of which may be away."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dataguardian.api import watched
from dataguardian.api.clients import Clients
from dataguardian.history import ExecutionRow, History, RunRow, SyncRow
from dataguardian.kube.client import Kubernetes
from dataguardian.resources import backup, sync
from dataguardian.resources.common import timestamp

from .apiserver import ApiServer
from .callers import Client, get
from .clients import frozen, until
from .people import People
from .services import PostgresServer, RedisServer
from .sidecars import connected, served, until_jobs_are_listed
from .stored import JOB, SYNC_JOB, make

PATH = "/api/dashboard/overview"
NOW = datetime.now(UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
STORED = {"location": "primary", "key": "prod/1", "state": "Stored"}
OFFSITE = {"location": "offsite", "key": "prod/1", "state": "Stored"}
REMOVED = {**STORED, "state": "Removed"}


@pytest.fixture
async def clients(
    kube: Kubernetes, migrated: str, postgres_server: PostgresServer, redis_server: RedisServer, tmp_path: Path
) -> AsyncIterator[Clients]:
    postgres_server.sql(migrated, "DELETE FROM backup_executions", "DELETE FROM database_sync_executions")
    async with connected(kube, postgres_server, migrated, redis_server, tmp_path) as made:
        yield made


@pytest.fixture
def history(clients: Clients) -> History:
    return clients.history


@pytest.fixture
async def client(clients: Clients) -> AsyncIterator[Client]:
    async with served(clients) as opened:
        await until_jobs_are_listed(opened)
        yield opened


def row(namespace: str, status: str, *, ago: timedelta = HOUR, **known: Any) -> ExecutionRow:
    """A backup that ended so long ago, or has not."""
    ended = NOW - ago if status in ("completed", "failed", "cancelled") else None
    return ExecutionRow(**_common(namespace, status, ended, ago), **{"operation": "backup", **known})


def sync_row(namespace: str, status: str, *, ago: timedelta = HOUR, **known: Any) -> SyncRow:
    ended = NOW - ago if status in ("completed", "failed", "cancelled") else None
    return SyncRow(**_common(namespace, status, ended, ago), target="staging", **known)


def _common(namespace: str, status: str, ended: datetime | None, ago: timedelta) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "namespace": namespace,
        "name": f"nightly-{uuid.uuid4().hex[:6]}",
        "trigger": "manual",
        "status": status,
        "queued_at": NOW - ago - timedelta(minutes=5),
        "observed_at": NOW,
        "finished_at": ended,
    }


async def overview(client: Client, token: str | None, query: str = "") -> Any:
    answer = await get(client, PATH + query, token)
    assert answer.status == 200, answer.body
    return answer.body


def of(counts: list[dict[str, Any]], operation: str) -> dict[str, int]:
    found = next(each for each in counts if each["operation"] == operation)
    return {name: count for name, count in found.items() if name != "operation"}


async def test_executions_are_counted_by_operation_and_state(callers: People, history: History, client: Client) -> None:
    for each in (
        row(callers.here, "queued"),
        row(callers.here, "running"),
        row(callers.here, "running", operation="verify"),
        row(callers.here, "completed", ago=HOUR),
        row(callers.here, "failed", ago=2 * DAY),
        row(callers.here, "failed", ago=8 * DAY),
        sync_row(callers.here, "queued"),
        sync_row(callers.here, "cancelled", ago=3 * HOUR),
        row(callers.there, "completed"),
        row(callers.there, "running"),
    ):
        await history.record(each)

    told = (await overview(client, callers.tokens["viewer"]))["executions"]

    assert of(told["now"], "backup") == {"queued": 1, "running": 1}
    assert of(told["now"], "verify") == {"queued": 0, "running": 1}
    assert of(told["now"], "sync") == {"queued": 1, "running": 0}
    assert of(told["last_24_hours"], "backup") == {"completed": 1, "failed": 0, "cancelled": 0}
    assert of(told["last_7_days"], "backup") == {"completed": 1, "failed": 1, "cancelled": 0}
    assert of(told["last_24_hours"], "sync") == {"completed": 0, "failed": 0, "cancelled": 1}
    assert datetime.fromisoformat(told["as_of"]) >= NOW - timedelta(seconds=1)


async def test_what_runs_is_shown_with_its_progress_where_that_is_known(
    callers: People, history: History, client: Client
) -> None:
    progress = {"step": "dump", "bytes": 4096, "at": "2026-11-24T02:00:00.000Z"}
    known = row(
        callers.here, "running", ago=HOUR, metadata={"progress": progress}, started_at=NOW - HOUR, job="nightly"
    )
    unknown = sync_row(callers.here, "running", ago=2 * HOUR)
    for each in (known, unknown, row(callers.here, "queued"), row(callers.there, "running")):
        await history.record(each)

    told = (await overview(client, callers.tokens["viewer"]))["running"]

    assert [(each["id"], each["progress"]) for each in told] == [(known.id, progress), (unknown.id, None)]
    assert (told[0]["job"], told[0]["operation"], told[1]["operation"]) == ("nightly", "backup", "sync")
    assert told[0]["started_at"] is not None
    assert told[1]["datasource"] == "staging"


async def test_the_latest_failures_are_shown_newest_first_and_no_more_than_20(
    callers: People, history: History, client: Client
) -> None:
    failed = [row(callers.here, "failed", ago=number * HOUR, error_code="dump-failed") for number in range(1, 23)]
    newest = sync_row(
        callers.here, "failed", ago=timedelta(minutes=1), error_code="load-failed", error_message="No room."
    )
    rows: list[RunRow] = [*failed, newest, row(callers.here, "completed"), row(callers.there, "failed")]
    for each in rows:
        await history.record(each)

    told = (await overview(client, callers.tokens["viewer"]))["failures"]

    assert [each["id"] for each in told] == [newest.id, *(each.id for each in failed[:19])]
    assert (told[0]["error_code"], told[0]["error_message"]) == ("load-failed", "No room.")


async def test_storage_is_what_the_rows_say_is_stored_whatever_became_of_them(
    callers: People, history: History, client: Client, postgres_server: PostgresServer, migrated: str
) -> None:
    both = row(callers.here, "completed", copies=[STORED, OFFSITE], stored_bytes=100)
    removed_later = row(callers.here, "completed", copies=[STORED], stored_bytes=30)
    deleted = row(callers.here, "completed", copies=[STORED], stored_bytes=7)
    late = row(callers.here, "running")
    for each in (both, removed_later, deleted, late, row(callers.there, "completed", copies=[STORED], stored_bytes=5)):
        await history.record(each)
    await history.record(_changed(removed_later, copies=[REMOVED]))
    await history.record(_changed(both, copies=[STORED, OFFSITE]))
    await history.record(_changed(late, status="completed", finished_at=NOW, copies=[OFFSITE], stored_bytes=2))
    postgres_server.sql(migrated, "DELETE FROM backup_executions WHERE stored_bytes = 7")

    told = (await overview(client, callers.tokens["viewer"]))["storage"]

    assert told == {
        "copies": 3,
        "bytes": 202,
        "locations": [
            {"namespace": callers.here, "location": "offsite", "copies": 2, "bytes": 102},
            {"namespace": callers.here, "location": "primary", "copies": 1, "bytes": 100},
        ],
    }


def _changed(before: ExecutionRow, **changes: Any) -> ExecutionRow:
    known = {name: getattr(before, name) for name in before.columns()}
    return ExecutionRow(**{**known, "observed_at": NOW + timedelta(seconds=1), **changes})


async def test_an_emptied_history_holds_nothing(
    callers: People, history: History, client: Client, postgres_server: PostgresServer, migrated: str
) -> None:
    await history.record(row(callers.here, "completed", copies=[STORED], stored_bytes=100))
    postgres_server.sql(migrated, "TRUNCATE backup_executions")

    assert (await overview(client, callers.tokens["viewer"]))["storage"] == {"copies": 0, "bytes": 0, "locations": []}


def condition(kind: str, status: str, reason: str) -> dict[str, Any]:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": f"{reason}.",
        "lastTransitionTime": timestamp(NOW),
    }


def job_status(**status: Any) -> dict[str, Any]:
    return {"conditions": [condition("Recoverable", "True", "AsIntended")], **status}


LAST = {"name": "nightly-1", "phase": "Failed", "completionTime": timestamp(NOW - HOUR)}
FAILED = [condition("Ready", "False", "DumpFailed"), condition("Recoverable", "False", "NoBackup")]


async def test_jobs_are_judged_by_their_objects(
    apiserver: ApiServer, callers: People, kube: Kubernetes, client: Client
) -> None:
    soon, passed = timestamp(NOW + HOUR), timestamp(NOW - HOUR)
    old = {"recoverableTo": timestamp(NOW - 9 * DAY)}
    missed = [condition("Recoverable", "False", "RecoveryPointMissed")]
    jobs: Mapping[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "good": ({}, job_status(nextScheduleTime=soon)),
        "failing": ({}, {"conditions": FAILED, "lastExecution": LAST, "nextScheduleTime": timestamp(NOW + 2 * HOUR)}),
        "overdue": ({}, job_status(nextScheduleTime=passed)),
        "jittered": ({"jitterSeconds": 7200}, job_status(nextScheduleTime=passed)),
        "suspended": ({"suspend": True}, job_status(nextScheduleTime=passed)),
        "new": ({}, {}),
        "stale": (
            {},
            {"conditions": missed, "recoverability": old},
        ),
    }
    for name, (spec, status) in jobs.items():
        await make(kube, backup.BACKUP_JOB, callers.here, name, {**JOB, **spec}, status)
    await make(kube, sync.DATABASE_SYNC_JOB, callers.here, "staging", SYNC_JOB, {"nextScheduleTime": soon})
    await make(kube, backup.BACKUP_JOB, callers.there, "failing", JOB, {"conditions": FAILED, "lastExecution": LAST})

    async def are_known() -> bool:
        found = [
            await overview(client, token) for token in (callers.tokens["viewer"], callers.tokens["viewer elsewhere"])
        ]
        return [each["jobs"]["total"] for each in found] == [8, 1]

    await until(are_known, what="the watch has told of all of them", seconds=10)
    told = await overview(client, callers.tokens["viewer"])
    theirs = await overview(client, callers.tokens["viewer elsewhere"])

    totals = {name: told["jobs"][name] for name in ("total", "suspended", "failing", "overdue")}
    assert totals == {"total": 8, "suspended": 1, "failing": 1, "overdue": 1}
    (failing,) = told["jobs"]["newest_failing"]
    assert (failing["name"], failing["execution"], failing["reason"]) == ("failing", "nightly-1", "DumpFailed")
    assert [each["name"] for each in told["jobs"]["newest_overdue"]] == ["overdue"]
    assert [(each["operation"], each["name"]) for each in told["next_runs"]] == [
        ("backup", "good"), ("sync", "staging"), ("backup", "failing"),
    ]  # fmt: skip
    recoverability = told["recoverability"]
    assert [recoverability[name] for name in ("recoverable", "not_recoverable", "unknown")] == [4, 2, 1]
    assert [each["name"] for each in recoverability["worst"]] == ["failing", "stale", "new"]
    assert (theirs["jobs"]["total"], theirs["recoverability"]["not_recoverable"]) == (1, 1)


async def test_a_filter_and_a_missing_right_count_for_the_overview_too(callers: People, client: Client) -> None:
    assert (await get(client, f"{PATH}?namespace={callers.here}", callers.tokens["viewer"])).status == 200
    refused = [
        await get(client, f"{PATH}?namespace={callers.there}", callers.tokens["viewer"]),
        await get(client, PATH, callers.tokens["no role"]),
    ]
    assert [each.status for each in refused] == [403, 403]
    assert "dashboard.read" in refused[1].body["detail"]


async def test_the_same_overview_is_not_sent_again(callers: People, history: History, client: Client) -> None:
    await history.record(row(callers.here, "completed", copies=[STORED]))
    first = await get(client, PATH, callers.tokens["viewer"])

    again = await get(client, PATH, callers.tokens["viewer"], {"If-None-Match": first.headers["ETag"]})

    assert again.status == 304


@pytest.mark.parametrize(
    ("away", "unavailable", "missing"),
    [
        ("postgres_server", ["history"], {"executions", "running", "failures", "storage"}),
        ("apiserver", ["kubernetes"], {"jobs", "recoverability", "next_runs"}),
    ],
)
async def test_half_an_overview_is_answered_in_time_while_the_other_half_is_away(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, callers: People, client: Client,
    away: str, unavailable: list[str], missing: set[str],
) -> None:  # fmt: skip
    whole = await overview(client, callers.tokens["viewer"])  # and who the caller is, which is remembered for 10 s
    with frozen(request.getfixturevalue(away)), monkeypatch.context() as patched:
        if away == "apiserver":
            patched.setattr(watched, "STALE_S", 0)  # long ago enough
        began = time.monotonic()
        half = await overview(client, callers.tokens["viewer"])
        took = time.monotonic() - began
    again = await overview(client, callers.tokens["viewer"])

    assert (whole["unavailable"], half["unavailable"], again["unavailable"]) == ([], unavailable, [])
    assert {name for name, part in half.items() if part is None} == missing
    assert took < 5
