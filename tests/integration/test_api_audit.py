"""Every write through the API is in the audit log, and who may read it: a real API server and a real PostgreSQL."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from dataguardian.api import app
from dataguardian.api.audit_trail import Trail
from dataguardian.api.clients import Clients
from dataguardian.api.endpoints import Call, Endpoint, Reply
from dataguardian.api.executions import known
from dataguardian.api.models import Answer, Asked
from dataguardian.api.mount import mounted
from dataguardian.api.refusals import NotPossible
from dataguardian.api.starting import made, started
from dataguardian.history import AuditRow, ExecutionRow
from dataguardian.history.verify import verify
from dataguardian.queue import Queue

from .apiserver import ApiServer
from .callers import Client, Told, get, post
from .clients import redis_settings, until
from .people import People
from .recording import Place
from .services import RedisServer

AT = datetime(2026, 11, 24, 2, tzinfo=UTC)
SECRET = "phrase-that-nobody-shall-read"


class Wanted(Asked):
    """What the test's endpoint is to do."""

    end: str = "start"
    confirmation_phrase: str = ""


class Done(Answer):
    """What it answers."""

    done: bool = True


async def run_job(call: Call) -> Reply | Done:
    """An endpoint that ends in every way that there is."""
    namespace, job = call.job
    await call.caller.demand("backup_jobs.run", namespace)
    match call.body.end:
        case "conflict":
            raise NotPossible("It runs already.", remedy="Wait.")
        case "bug":
            raise ValueError("a defect")
        case "hang":
            await asyncio.Event().wait()
        case "verify":
            call.about("BackupExecution", namespace, "nightly-1", action="backup.verify")
            return Done()
    spec = {"backupJobRef": {"name": job}, "trigger": "Manual"}
    if call.body.end == "late":
        await made(call, "backup", namespace=namespace, name="late-1", spec=spec)
        await asyncio.Event().wait()
    return await started(call, "backup", namespace=namespace, prefix=job, spec=spec)


async def cancel(call: Call) -> Done:
    """An endpoint whose path names an execution."""
    execution = await known(call)
    await call.caller.demand("executions.control", execution.namespace)
    return Done()


async def nobody_asked(_: Call) -> Done:
    """An endpoint that forgot who may."""
    return Done()


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/api/backup-jobs/{job_id}/tried",
        permission="backup_jobs.run",
        summary="Test.",
        handler=run_job,
        body=Wanted,
        answer=Done,
        action="backup_job.run",
        seconds=0.5,
    ),
    Endpoint(
        method="POST",
        path="/api/executions/{execution_id}/tried",
        permission="executions.control",
        summary="Test.",
        handler=cancel,
        answer=Done,
        action="execution.cancel",
    ),
    Endpoint(
        method="POST",
        path="/api/backups/{execution_id}/tried",
        permission="backups.restore",
        summary="Test.",
        handler=nobody_asked,
        answer=Done,
        action="backup.restore",
    ),
)


@pytest.fixture
async def application(
    callers: People, place: Place, apiserver: ApiServer, redis_server: RedisServer, tmp_path: Path
) -> AsyncIterator[web.Application]:
    """The API with the test's endpoints."""
    async with apiserver.connect() as kube, Queue(redis_settings(redis_server, tmp_path)) as queue:
        made = app.make_app(Clients(kube=kube, history=place.history, queue=queue))
        made.add_routes(map(mounted, ENDPOINTS))
        yield made


@pytest.fixture
async def client(application: web.Application) -> AsyncIterator[Client]:
    async with TestClient(TestServer(application)) as opened:
        yield opened


COLUMNS = "who, action, namespace, object_kind, object_name, outcome, detail, execution_id::text, request_id"


async def written(place: Place, number: int) -> list[dict[str, Any]]:
    """So many rows, oldest first."""
    rows: list[tuple[object, ...]] = []

    async def are_there() -> bool:
        rows[:] = place.server.rows(place.database, "SELECT " + COLUMNS + " FROM audit_logs ORDER BY seq")
        return len(rows) >= number

    await until(are_there, what=f"{number} rows in the audit log", seconds=20)
    names = [name.strip().removesuffix("::text") for name in COLUMNS.split(",")]
    return [dict(zip(names, row, strict=True)) for row in rows]


ENDS: dict[str, tuple[str, dict[str, Any], int, str, str | None]] = {
    # who, the body → the status, the outcome and the code in the row
    "done": ("operator", {"confirmation_phrase": SECRET}, 202, "success", None),
    "not allowed": ("viewer", {}, 403, "refused", "forbidden"),
    "bad input": ("operator", {"ende": SECRET}, 422, "refused", "spec-invalid"),
    "impossible": ("operator", {"end": "conflict"}, 409, "refused", "not-possible"),
    "too slow": ("operator", {"end": "hang"}, 503, "failed", "too-slow"),
    "a defect": ("operator", {"end": "bug"}, 500, "failed", "internal"),
    "too large": ("operator", {"confirmation_phrase": SECRET * 4000}, 413, "refused", "request-entity-too-large"),
}


@pytest.mark.parametrize("end", ENDS)
async def test_a_write_is_in_the_audit_log_however_it_ends(
    callers: People, place: Place, client: Client, end: str
) -> None:
    who, body, status, outcome, code = ENDS[end]
    path = f"/api/backup-jobs/{callers.here}.nightly.eu/tried"

    answer = await post(client, path, callers.tokens[who], body, {"X-Request-Id": "walk-7"})

    (row,) = await written(place, 1)
    execution = row.pop("execution_id")
    assert answer.status == status
    is_typed_only = end in ("bad input", "too large")
    asked = {"asked": f"{callers.here}.nightly.eu"} if is_typed_only else {}
    assert row == {
        "who": f"system:serviceaccount:{callers.here}:{who}",
        "action": "backup_job.run",
        "namespace": "" if is_typed_only else callers.here,
        "object_kind": "BackupJob",
        "object_name": "" if is_typed_only else "nightly.eu",
        "outcome": outcome,
        "detail": {"status": status, **({"code": code} if code else {}), **asked},
        "request_id": "walk-7",
    }
    assert execution == (answer.body["id"] if status == 202 else None)


async def test_a_run_that_was_made_is_named_also_when_the_answer_comes_too_late(
    callers: People, place: Place, apiserver: ApiServer, client: Client
) -> None:
    path = f"/api/backup-jobs/{callers.here}.nightly/tried"
    answer = await post(client, path, callers.tokens["operator"], {"end": "late"})

    (row,) = await written(place, 1)
    uid = apiserver.kubectl("get", "backupexecution", "late-1", "-n", callers.here, "-o", "jsonpath={.metadata.uid}")
    assert (answer.status, row["outcome"], row["execution_id"]) == (503, "failed", uid)


async def test_a_caller_whom_nobody_knows_and_a_read_leave_no_row(
    callers: People, place: Place, client: Client
) -> None:
    path = f"/api/backup-jobs/{callers.here}.nightly/tried"
    unknown = [await post(client, path, token) for token in (None, "no-token-of-this-cluster")]
    await get(client, "/api/access/me", callers.tokens["operator"])

    known_one = await post(client, path, callers.tokens["viewer"])

    assert [answer.status for answer in [*unknown, known_one]] == [401, 401, 403]
    assert [row["outcome"] for row in await written(place, 1)] == ["refused"]


async def recorded(place: Place, namespace: str) -> str:
    """A backup that history knows."""
    id_ = str(uuid.uuid4())
    row = ExecutionRow(
        id=id_, namespace=namespace, name="nightly-1", job="nightly", trigger="schedule", status="queued",
        queued_at=AT, observed_at=AT, operation="backup", datasource="orders",
    )  # fmt: skip
    await place.history.record(row)
    return id_


@pytest.mark.parametrize(("who", "status"), [("operator", 200), ("viewer", 403)])
async def test_an_execution_in_the_path_is_named_by_its_object_also_to_whom_it_is_refused(
    callers: People, place: Place, client: Client, who: str, status: int
) -> None:
    id_ = await recorded(place, callers.here)

    answer = await post(client, f"/api/executions/{id_}/tried", callers.tokens[who])

    (row,) = await written(place, 1)
    assert answer.status == status
    assert (row["namespace"], row["object_kind"], row["object_name"], row["execution_id"]) == (
        callers.here, "BackupExecution", "nightly-1", id_,
    )  # fmt: skip


async def test_an_execution_of_a_namespace_that_the_caller_may_not_see_is_named_in_the_row_not_in_the_answer(
    callers: People, place: Place, client: Client
) -> None:
    id_ = await recorded(place, callers.there)

    answer = await post(client, f"/api/executions/{id_}/tried", callers.tokens["operator"])

    (row,) = await written(place, 1)
    assert (answer.status, row["namespace"], row["outcome"]) == (404, callers.there, "refused")
    assert "nightly-1" not in str(answer.body)


async def test_an_execution_that_nobody_has_is_named_by_its_id(callers: People, place: Place, client: Client) -> None:
    id_ = str(uuid.uuid4())

    await post(client, f"/api/executions/{id_}/tried", callers.tokens["operator"])

    (row,) = await written(place, 1)
    assert (row["namespace"], row["object_name"], row["execution_id"], row["detail"]) == (
        "", id_, id_, {"status": 404, "code": "not-found"},
    )  # fmt: skip


async def test_a_handler_can_say_what_it_does_and_to_which_object(
    callers: People, place: Place, client: Client
) -> None:
    await post(client, f"/api/backup-jobs/{callers.here}.nightly/tried", callers.tokens["operator"], {"end": "verify"})

    (row,) = await written(place, 1)
    assert (row["action"], row["object_kind"], row["object_name"]) == ("backup.verify", "BackupExecution", "nightly-1")


async def test_an_endpoint_that_forgot_who_may_is_told_to_have_failed(
    callers: People, place: Place, client: Client
) -> None:
    await post(client, f"/api/backups/{uuid.uuid4()}/tried", callers.tokens["viewer"])

    (row,) = await written(place, 1)
    assert (row["action"], row["object_kind"], row["outcome"]) == ("backup.restore", "BackupExecution", "failed")


@pytest.mark.parametrize(("method", "action"), [("POST", None), ("GET", "backup_job.run")])
def test_a_write_without_an_action_cannot_be_an_endpoint(method: Any, action: str | None) -> None:
    with pytest.raises(ValueError, match="action"):
        replace(ENDPOINTS[0], method=method, action=action)


async def test_no_secret_is_in_a_row_or_in_the_log(
    callers: People, place: Place, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    path = f"/api/backup-jobs/{callers.here}.nightly/tried"
    for body in ({"confirmation_phrase": SECRET}, {"x": SECRET}):
        await post(client, path, callers.tokens["operator"], body)

    rows = await written(place, 2)

    lines = [vars(record) for record in caplog.records if vars(record).get("action") == "audit"]
    assert [(line["deed"], line["outcome"]) for line in lines] == [
        ("backup_job.run", "success"), ("backup_job.run", "refused"),
    ]  # fmt: skip
    for secret in (SECRET, str(callers.tokens["operator"])):
        assert secret not in str(rows)
        assert not any(secret in str(vars(record)) for record in caplog.records)


async def test_a_write_is_answered_while_postgres_is_away_and_its_row_is_written_later(
    callers: People, place: Place, client: Client
) -> None:
    path = f"/api/backup-jobs/{callers.here}.nightly/tried"
    await asyncio.to_thread(place.server.stop)
    answers = [await post(client, path, callers.tokens["operator"], {"end": end}) for end in ("verify", "conflict")]

    place.server.start()

    rows = await written(place, 2)
    assert [answer.status for answer in answers] == [200, 409]
    assert [row["outcome"] for row in rows] == ["success", "refused"]
    assert (await verify(place.history)).seq == 2


async def test_what_waits_is_written_when_the_sidecar_ends(
    callers: People, place: Place, application: web.Application
) -> None:
    async with TestClient(TestServer(application)) as client:
        await asyncio.to_thread(place.server.stop)
        await post(client, f"/api/backup-jobs/{callers.here}.nightly/tried", callers.tokens["viewer"])
        place.server.start()

    found = place.server.rows(place.database, "SELECT outcome FROM audit_logs")
    assert found == [("refused",)]


def numbered(number: int, **change: Any) -> AuditRow:
    row = AuditRow(
        id=str(uuid.UUID(int=number)), at=AT + timedelta(minutes=number), who="dataguardian", action="backup.removed",
        namespace="shop", object_kind="BackupExecution", object_name=f"nightly-{number}", outcome="success",
    )  # fmt: skip
    return replace(row, **change)


async def test_with_too_many_rows_waiting_the_oldest_are_dropped_and_that_is_told(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    trail = Trail(place.history, limit=2)
    for number in range(4):
        trail.note(numbered(number))

    async with trail.writing():
        pass

    lost = [vars(record)["audit_id"] for record in caplog.records if vars(record).get("action") == "audit_dropped"]
    assert lost == [str(uuid.UUID(int=number)) for number in (0, 1)]
    assert place.server.rows(place.database, "SELECT object_name FROM audit_logs ORDER BY seq") == [
        ("nightly-2",), ("nightly-3",),
    ]  # fmt: skip


async def test_a_row_that_fails_for_a_reason_of_its_own_does_not_hold_up_the_others(place: Place) -> None:
    hinder = """
        CREATE FUNCTION hinder() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF NEW.object_name = 'nightly-1' THEN RAISE 'hindered' USING ERRCODE = 'insufficient_privilege'; END IF;
            RETURN NEW;
        END $$
    """
    place.server.sql(
        place.database,
        hinder,
        "CREATE TRIGGER hinder BEFORE INSERT ON audit_logs FOR EACH ROW EXECUTE FUNCTION hinder()",
    )
    trail = Trail(place.history)
    async with trail.writing():
        for number in (1, 2, 3):
            trail.note(numbered(number))
        rows = await written(place, 2)
        place.server.sql(place.database, "DROP TRIGGER hinder ON audit_logs")

    assert [row["object_name"] for row in rows] == ["nightly-2", "nightly-3"]
    assert [row["object_name"] for row in await written(place, 3)][2] == "nightly-1"


@pytest.mark.parametrize(
    ("job_id", "is_one"),
    [
        ("a." + "b" * 253, True),
        ("a." + "b" * 254, False),
        ("a" * 63 + ".b", True),
        ("a" * 64 + ".b", False),
        ("a." + "b" * 7500, False),
    ],
)
async def test_an_id_longer_than_kubernetes_allows_is_no_path_and_leaves_no_row(
    callers: People, place: Place, client: Client, job_id: str, is_one: bool
) -> None:
    answer = await post(client, f"/api/backup-jobs/{job_id}/tried", callers.tokens["viewer"])
    known_one = await post(client, f"/api/backup-jobs/{callers.here}.nightly/tried", callers.tokens["viewer"])

    rows = await written(place, 1 + is_one)
    assert (answer.status, known_one.status) == (403 if is_one else 404, 403)
    assert len(rows) == 1 + is_one


async def test_with_too_many_rows_waiting_refused_ones_make_room_for_the_others(place: Place) -> None:
    trail = Trail(place.history, limit=2)
    trail.note(numbered(0))
    for number in (1, 2, 3):
        trail.note(numbered(number, outcome="refused"))

    async with trail.writing():
        pass

    found = place.server.rows(place.database, "SELECT object_name FROM audit_logs ORDER BY seq")
    assert found == [("nightly-0",), ("nightly-3",)]


@pytest.mark.parametrize("fold_s", [0.05, 60])
async def test_refusals_of_one_caller_beyond_ten_a_minute_are_one_row_that_counts_them(
    place: Place, fold_s: float
) -> None:
    trail = Trail(place.history, fold_s=fold_s)
    async with trail.writing():
        for number in range(13):
            trail.note(numbered(number, outcome="refused"))
        trail.note(numbered(20, outcome="refused", who="bob"))
        trail.note(numbered(21))
        if fold_s < 1:
            await written(place, 13)

    query = "SELECT who, outcome, count(*), sum((detail ->> 'folded')::int) FROM audit_logs GROUP BY 1, 2 ORDER BY 1, 2"
    assert place.server.rows(place.database, query) == [
        ("bob", "refused", 1, None), ("dataguardian", "refused", 11, 3), ("dataguardian", "success", 1, None),
    ]  # fmt: skip


async def test_a_sidecar_that_ends_while_postgres_is_away_says_what_is_in_its_log_alone(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    await asyncio.to_thread(place.server.stop)
    trail = Trail(place.history)
    async with trail.writing():
        trail.note(numbered(1))

    (line,) = [vars(record) for record in caplog.records if vars(record).get("action") == "audit_dropped"]
    assert line["rows"] == 1


@pytest.fixture
async def told_of(callers: People, place: Place) -> dict[str, str]:
    """Rows of both namespaces and of none, and the execution of one of them."""
    execution = str(uuid.uuid4())
    changes: list[dict[str, Any]] = [
        {"namespace": callers.here},
        {"namespace": callers.there},
        {"namespace": "", "object_kind": "", "object_name": execution, "execution_id": execution},
        {"namespace": callers.here, "who": "alice", "action": "backup_job.run", "object_kind": "BackupJob"},
        {"namespace": callers.here, "outcome": "refused", "execution_id": execution},
    ]
    for number, change in enumerate(changes, start=1):
        await place.history.audit(numbered(number, **change))
    return {"here": callers.here, "there": callers.there, "execution": execution}


def seqs(answer: Told) -> list[int]:
    return [row["seq"] for row in answer.body["data"]]


async def test_rows_are_shown_by_namespace_and_those_without_one_only_to_who_may_read_all(
    told_of: dict[str, str], callers: People, client: Client
) -> None:
    asking = ("viewer", "operator", "admin", "admin of all")
    answers = {who: await get(client, "/api/audit-logs", callers.tokens[who]) for who in asking}
    elsewhere = await get(client, f"/api/audit-logs?namespace={told_of['there']}", callers.tokens["admin"])

    assert {who: answer.status for who, answer in answers.items()} == {
        "viewer": 403, "operator": 403, "admin": 200, "admin of all": 200,
    }  # fmt: skip
    assert seqs(answers["admin"]) == [5, 4, 1]
    assert seqs(answers["admin of all"]) == [5, 4, 3, 2, 1]
    assert (elsewhere.status, elsewhere.body["code"]) == (403, "forbidden")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("namespace={here}", [5, 4, 1]),
        ("who=alice", [4]),
        ("action=backup_job.run", [4]),
        ("object_kind=BackupJob", [4]),
        ("object_name=nightly-2", [2]),
        ("outcome=refused", [5]),
        ("execution_id={execution}", [5, 3]),
        ("since=2026-11-24T02:04:00Z", [5, 4]),
        ("until=2026-11-24T02:04:00Z&object_kind=BackupExecution", [2, 1]),
    ],
)
async def test_a_filter_leaves_what_was_asked_for(
    told_of: dict[str, str], callers: People, client: Client, query: str, found: list[int]
) -> None:
    answer = await get(client, "/api/audit-logs?" + query.format(**told_of), callers.tokens["admin of all"])

    assert seqs(answer) == found


async def test_pages_are_all_rows_once_and_a_new_row_moves_none(
    told_of: dict[str, str], callers: People, place: Place, client: Client
) -> None:
    token = callers.tokens["admin of all"]
    first = await get(client, "/api/audit-logs?limit=2", token)
    await place.history.audit(numbered(9))
    second = await get(client, f"/api/audit-logs?limit=2&continue={first.body['continue']}", token)
    third = await get(client, f"/api/audit-logs?limit=2&continue={second.body['continue']}", token)

    assert [seqs(page) for page in (first, second, third)] == [[5, 4], [3, 2], [1]]
    assert third.body["continue"] is None


async def test_a_row_is_as_written_and_is_not_sent_again_to_who_has_it(
    told_of: dict[str, str], callers: People, place: Place, client: Client
) -> None:
    token = callers.tokens["admin of all"]
    answer = await get(client, "/api/audit-logs?limit=1", token)
    again = await get(client, "/api/audit-logs?limit=1", token, {"If-None-Match": answer.headers["ETag"]})

    (row,) = answer.body["data"]
    assert row == {
        "seq": 5, "id": str(uuid.UUID(int=5)), "at": "2026-11-24T02:05:00.000Z", "who": "dataguardian",
        "action": "backup.removed", "namespace": told_of["here"], "object_kind": "BackupExecution",
        "object_name": "nightly-5", "outcome": "refused", "detail": {}, "execution_id": told_of["execution"],
        "request_id": None, "hash": (await place.history.audit_head()).hash,
    }  # fmt: skip
    assert again.status == HTTPStatus.NOT_MODIFIED


@pytest.mark.parametrize(
    ("query", "field"), [("outcome=lost", "outcome"), ("execution_id=x", "execution_id"), ("who=%00", "who"),
                         ("since=yesterday", "since"), ("whom=alice", "whom"), ("continue=abc", "continue")],
)  # fmt: skip
async def test_a_query_that_cannot_be_is_refused_by_its_field(
    callers: People, client: Client, query: str, field: str
) -> None:
    answer = await get(client, f"/api/audit-logs?{query}", callers.tokens["admin of all"])

    assert answer.status == 422
    assert answer.body["detail"].startswith(f"{field}: ")
