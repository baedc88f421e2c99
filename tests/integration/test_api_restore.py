"""Restores through the API: who may ask for which, what confirms them, and the object that is made.

On a real API server with the chart's roles and admission policies, and a real PostgreSQL.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from dataguardian.history import ExecutionRow, History
from dataguardian.kube.client import JSON, Kubernetes, objects_path
from dataguardian.resources import restore
from dataguardian.resources.backup import BACKUP_EXECUTION
from dataguardian.resources.restore import RestoreRequest

from .apiserver import ApiServer
from .callers import Client, Told, get, post, token_of
from .people import People, people
from .services import PostgresServer, RedisServer, wait_until
from .sidecars import connected, served
from .stored import COPY, change, make

AT = datetime(2026, 11, 24, 2, tzinfo=UTC)
COMPLETED: JSON = {"phase": "Completed", "copies": [COPY]}
RESTORE: JSON = {"confirmation_phrase": "RESTAURAR"}
VERIFY: JSON = {"confirmation_phrase": "VERIFICAR RESTORE", "verification_mode": True}
DRY_RUN: JSON = {"dry_run": True}


class Scene(People):
    """A namespace with backups, another one, and who may do what."""

    def kept_elsewhere(self) -> JSON:
        """The body of a verification whose database stays where others may read it."""
        return {**VERIFY, "keep_verification_database": True, "target_datasource_id": f"{self.here}.elsewhere"}

    def refusal(self, who: str, spec: JSON) -> str:
        """What the API server itself says when an account makes such a RestoreRequest; nothing is kept."""
        body = {
            "apiVersion": "dataguardian.io/v1alpha1",
            "kind": "RestoreRequest",
            "metadata": {"generateName": "directly-", "namespace": self.here},
            "spec": spec,
        }
        account = f"--as=system:serviceaccount:{self.here}:{who}"
        try:
            self.apiserver.kubectl("create", account, "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(body))
        except AssertionError as refusal:
            return str(refusal)
        return ""


@pytest.fixture(scope="module")
def scene(apiserver: ApiServer) -> Iterator[Scene]:
    with people(apiserver) as callers:
        made = Scene(**vars(callers))
        assert made.tokens["verifier"]  # so that the account is there
        spec = {"backupExecutionRef": {"name": "any"}, "confirmationPhrase": "RESTAURAR"}
        # A policy counts some moments after it was made.
        wait_until(lambda: "needs the verb" in made.refusal("verifier", spec), what="the policy counts")
        yield made


@dataclass(frozen=True, kw_only=True)
class Backup:
    """A backup in the first namespace."""

    name: str
    id: str

    @property
    def path(self) -> str:
        """Where it is restored."""
        return f"/api/backups/{self.id}/restore"


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What a test works with: the API, and what it writes to."""

    scene: Scene
    kube: Kubernetes
    history: History
    client: Client

    async def backup(self, status: JSON = COMPLETED, *, name: str = "") -> Backup:
        """A new BackupExecution and its row."""
        name = name or f"nightly-{uuid.uuid4().hex[:8]}"
        spec = {"backupJobRef": {"name": "nightly"}}
        made = await make(self.kube, BACKUP_EXECUTION, self.scene.here, name, spec, status)
        backup = Backup(name=name, id=made["metadata"]["uid"])
        await self.record(id=backup.id, operation="backup", name=name)
        return backup

    async def record(self, **row: Any) -> None:
        common: dict[str, Any] = {"namespace": self.scene.here, "trigger": "manual", "status": "queued"}
        await self.history.record(ExecutionRow(**common, queued_at=AT, observed_at=AT, **row))

    async def ask(self, backup: Backup, body: JSON, *, who: str = "admin", key: str | None = None) -> Told:
        """What somebody is answered who asks for a restore."""
        headers = {"Idempotency-Key": key} if key else {}
        return await post(self.client, backup.path, self.scene.tokens[who], body, headers)

    async def requests(self, backup: Backup) -> list[RestoreRequest]:
        """The RestoreRequests of a backup."""
        found, _ = await self.kube.list(objects_path(restore.KIND, self.scene.here))
        reference = {"name": backup.name}
        return [RestoreRequest.read(each) for each in found if each["spec"].get("backupExecutionRef") == reference]


@pytest.fixture
async def stage(
    scene: Scene, kube: Kubernetes, migrated: str, postgres_server: PostgresServer, redis_server: RedisServer,
    tmp_path: Path,
) -> AsyncIterator[Stage]:  # fmt: skip
    async with (
        connected(kube, postgres_server, migrated, redis_server, tmp_path) as clients,
        served(clients) as client,
    ):
        yield Stage(scene=scene, kube=kube, history=clients.history, client=client)


STATUS: dict[str, tuple[int, int, int, int]] = {
    # of a restore, a verification, a dry run, and a verification whose database is kept on another server
    "nobody": (401, 401, 401, 401),
    "a stranger": (401, 401, 401, 401),
    "no role": (404, 404, 404, 404),
    "viewer": (403, 403, 403, 403),
    "operator": (403, 403, 403, 403),
    "verifier": (403, 202, 202, 403),
    "admin": (202, 202, 202, 202),
    "viewer elsewhere": (404, 404, 404, 404),
    "admin elsewhere": (404, 404, 404, 404),
}


@pytest.mark.parametrize("who", STATUS)
async def test_what_each_caller_is_answered(stage: Stage, who: str) -> None:
    backup = await stage.backup()

    bodies = (RESTORE, VERIFY, DRY_RUN, stage.scene.kept_elsewhere())
    answers = [await stage.ask(backup, body, who=who) for body in bodies]

    assert tuple(each.status for each in answers) == STATUS[who], [each.body for each in answers]
    assert len(await stage.requests(backup)) == STATUS[who].count(202)


async def test_a_verifier_cannot_restore_by_making_the_object_either(stage: Stage) -> None:
    backup = await stage.backup()
    named = {"backupExecutionRef": {"name": backup.name}}

    refused = stage.scene.refusal("verifier", {**named, "confirmationPhrase": "RESTAURAR"})
    verified = {**named, "confirmationPhrase": "VERIFICAR RESTORE", "verificationMode": True}

    assert f"needs the verb restore on backupexecutions.dataguardian.io {backup.name}" in refused
    assert stage.scene.refusal("verifier", verified) == ""


async def test_a_right_to_one_backup_is_none_to_another(stage: Stage) -> None:
    mine, other = await stage.backup(), await stage.backup()
    scene, who = stage.scene, f"one-{uuid.uuid4().hex[:8]}"
    scene.tokens[who] = token_of(scene.apiserver, scene.here, who, role="viewer")
    rules = [
        ["--verb=create", "--resource=restorerequests.dataguardian.io"],
        ["--verb=restore-verify", "--resource=backupexecutions.dataguardian.io", f"--resource-name={mine.name}"],
    ]
    for number, rule in enumerate(rules):
        name = f"{who}-{number}"
        account = f"--serviceaccount={scene.here}:{who}"
        scene.apiserver.kubectl("create", "role", name, *rule, "-n", scene.here)
        scene.apiserver.kubectl("create", "rolebinding", name, f"--role={name}", account, "-n", scene.here)
    spec = {"backupExecutionRef": {"name": mine.name}, "dryRun": True}
    wait_until(lambda: scene.refusal(who, spec) == "", what="the role counts")

    assert (await stage.ask(mine, VERIFY, who=who)).status == 202
    assert (await stage.ask(other, VERIFY, who=who)).status == 403


async def test_the_object_is_made_as_the_caller_whatever_is_remembered_of_them(stage: Stage) -> None:
    backup, scene, who = await stage.backup(), stage.scene, f"former-{uuid.uuid4().hex[:8]}"
    scene.tokens[who] = token_of(scene.apiserver, scene.here, who, role="admin")
    spec = {"backupExecutionRef": {"name": backup.name}, "confirmationPhrase": "RESTAURAR"}
    wait_until(lambda: scene.refusal(who, spec) == "", what="the role counts")
    assert (await stage.ask(backup, RESTORE, who=who)).status == 202
    scene.apiserver.kubectl("delete", "rolebinding", who, "-n", scene.here)
    wait_until(lambda: scene.refusal(who, spec) != "", what="the role is gone")

    answer = await stage.ask(backup, RESTORE, who=who)

    assert (answer.status, answer.body["code"]) == (403, "kubernetes-refused")
    assert 'cannot create resource "restorerequests"' in answer.body["detail"]


async def test_a_permission_is_asked_for_before_the_phrase(stage: Stage) -> None:
    answer = await stage.ask(await stage.backup(), {}, who="verifier")

    assert (answer.status, answer.body["code"]) == (403, "forbidden")
    assert "backups.restore" in answer.body["detail"]
    assert "restore backupexecutions.dataguardian.io" in answer.body["detail"]


@pytest.mark.parametrize(
    ("body", "stored"),
    [
        ({"confirmation_phrase": " restáurar "}, "RESTAURAR"),
        ({"confirmation_phrase": "verificar\u00a0  Restôre", "verification_mode": True}, "VERIFICAR RESTORE"),
    ],
)
async def test_the_object_has_the_exact_phrase_however_it_was_written(stage: Stage, body: JSON, stored: str) -> None:
    backup = await stage.backup()

    answer = await stage.ask(backup, body)

    assert answer.status == 202
    assert [each.spec.confirmation_phrase for each in await stage.requests(backup)] == [stored]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, "RESTAURAR"),
        ({"confirmation_phrase": None}, "RESTAURAR"),
        ({"confirmation_phrase": ""}, "RESTAURAR"),
        ({"confirmation_phrase": "RESTAURAR JÁ"}, "RESTAURAR"),
        ({"confirmation_phrase": "VERIFICAR RESTORE"}, "RESTAURAR"),
        ({"confirmation_phrase": "ＲＥＳＴＡＵＲＡＲ"}, "RESTAURAR"),  # noqa: RUF001 - full-width letters are the case
        ({"verification_mode": True}, "VERIFICAR RESTORE"),
        ({"confirmation_phrase": "RESTAURAR", "verification_mode": True}, "VERIFICAR RESTORE"),
    ],
)
async def test_without_the_phrase_nothing_is_made_and_the_phrase_is_told(
    stage: Stage, body: JSON, expected: str
) -> None:
    backup = await stage.backup()

    answer = await stage.ask(backup, body)

    assert (answer.status, answer.body["code"]) == (422, "restore-confirmation-required")
    assert answer.body["expected_phrase"] == expected
    assert await stage.requests(backup) == []


PLAIN: JSON = {
    "trigger": "Manual", "dropExisting": False, "dryRun": False, "safetyBackup": False, "confirmed": False,
    "atomic": True, "lockTimeoutSeconds": 60, "verificationMode": False, "keepVerificationDatabase": False,
    "verificationTarget": "Datasource", "activeDeadlineSeconds": 86400, "cancel": False,
}  # fmt: skip
VERIFIED: JSON = {**PLAIN, "verificationMode": True, "confirmationPhrase": "VERIFICAR RESTORE"}
RESTORED: JSON = {**PLAIN, "confirmationPhrase": "RESTAURAR"}


@pytest.mark.parametrize(
    ("body", "spec"),
    [
        (RESTORE, RESTORED),
        (RESTORE | {"drop_existing": True}, RESTORED | {"dropExisting": True}),
        (RESTORE | {"safety_backup": True}, RESTORED | {"safetyBackup": True}),
        (RESTORE | {"target_datasource_id": "HERE.staging"}, RESTORED | {"targetDatasourceRef": {"name": "staging"}}),
        (RESTORE | {"storage_location_id": "HERE.primary"}, RESTORED | {"storageLocationRef": {"name": "primary"}}),
        (
            RESTORE | {"expected_target": {"server_identity": "73", "database": "orders"}},
            RESTORED | {"expectedTarget": {"serverIdentity": "73", "database": "orders"}},
        ),
        (DRY_RUN, PLAIN | {"dryRun": True}),
        (DRY_RUN | {"confirmation_phrase": "anything"}, PLAIN | {"dryRun": True}),
        (DRY_RUN | {"drop_existing": True}, PLAIN | {"dryRun": True, "dropExisting": True}),
        (VERIFY, VERIFIED),
        (VERIFY | {"keep_verification_database": True}, VERIFIED | {"keepVerificationDatabase": True}),
        (VERIFY | {"verification_target": "Ephemeral"}, VERIFIED | {"verificationTarget": "Ephemeral"}),
    ],
)
async def test_each_field_of_the_body_is_one_of_the_object(stage: Stage, body: JSON, spec: JSON) -> None:
    backup = await stage.backup()
    here = {key: value.replace("HERE", stage.scene.here) for key, value in body.items() if isinstance(value, str)}

    answer = await stage.ask(backup, body | here)

    assert answer.status == 202, answer.body
    path = objects_path(restore.KIND, stage.scene.here, answer.body["name"])
    made = await stage.kube.get(path)
    assert made["metadata"]["uid"] == answer.body["id"]
    assert made["metadata"]["name"].startswith("nightly-")
    assert made["spec"] == spec | {"backupExecutionRef": {"name": backup.name}}


@pytest.mark.parametrize(("body", "operation"), [(RESTORE, "restore"), (VERIFY, "verify"), (DRY_RUN, "restore")])
async def test_the_answer_leads_to_an_execution_that_is_queued(stage: Stage, body: JSON, operation: str) -> None:
    answer = await stage.ask(await stage.backup(), body)
    found = await get(stage.client, answer.headers["Location"], stage.scene.tokens["admin"])

    assert (answer.body["operation"], answer.body["status"]) == (operation, "queued")
    assert (found.status, found.body["id"], found.body["dry_run"]) == (200, answer.body["id"], body is DRY_RUN)


@pytest.mark.parametrize("name", ["target_datasource_id", "storage_location_id"])
@pytest.mark.parametrize("value", ["THERE.orders", "orders", "HERE.", "HERE.Orders", ".orders", 5])
async def test_an_object_of_another_namespace_or_of_no_name_is_refused_by_its_field(
    stage: Stage, name: str, value: str | int
) -> None:
    backup, scene = await stage.backup(), stage.scene
    given = value.replace("THERE", scene.there).replace("HERE", scene.here) if isinstance(value, str) else value

    answer = await stage.ask(backup, RESTORE | {name: given})

    assert (answer.status, answer.body["code"]) == (422, "spec-invalid")
    assert answer.body["detail"].startswith(f"{name}: ")
    assert await stage.requests(backup) == []


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"drop_existing": "yes"}, "drop_existing"),
        ({"drop_existing": 1}, "drop_existing"),
        ({"dropExisting": True}, "dropExisting"),
        ({"verification_target": "Moon"}, "verification_target"),
        ({"expected_target": "orders"}, "expected_target"),
        ({"expected_target": {"serverIdentity": "73"}}, "expected_target.serverIdentity"),
        ({"confirmation_phrase": "R" * 257}, "confirmation_phrase"),
    ],
)
async def test_a_body_that_cannot_be_is_refused_by_its_field(stage: Stage, body: JSON, named: str) -> None:
    answer = await stage.ask(await stage.backup(), RESTORE | body)

    assert (answer.status, answer.body["code"]) == (422, "spec-invalid")
    assert answer.body["detail"].startswith(f"{named}: ")


async def test_fields_that_do_not_go_together_are_refused_in_the_words_of_the_kind(stage: Stage) -> None:
    backup = await stage.backup()

    answer = await stage.ask(backup, VERIFY | {"drop_existing": True})

    assert 400 <= answer.status < 500
    assert "a verification changes no target: leave out dropExisting" in answer.body["detail"]
    assert await stage.requests(backup) == []


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        ({}, RESTORE, "is queued"),
        ({"phase": "Running"}, RESTORE, "is running"),
        ({"phase": "Failed", "copies": [COPY]}, RESTORE, "is failed"),
        ({"phase": "Completed", "copies": []}, RESTORE, "no stored copy"),
        ({"phase": "Completed", "copies": [COPY | {"state": "Removed"}]}, VERIFY, "no stored copy"),
        (COMPLETED, RESTORE | {"storage_location_id": "HERE.offsite"}, "no stored copy in StorageLocation 'offsite'"),
    ],
)
async def test_what_cannot_be_restored_is_refused_as_not_possible(
    stage: Stage, status: JSON, body: JSON, told: str
) -> None:
    backup = await stage.backup(status)
    here = {key: value.replace("HERE", stage.scene.here) for key, value in body.items() if isinstance(value, str)}

    answer = await stage.ask(backup, body | here)

    assert (answer.status, answer.body["code"]) == (409, "not-possible")
    assert told in answer.body["detail"]
    assert answer.body["remedy"]
    assert await stage.requests(backup) == []


@pytest.mark.parametrize("again", [False, True])
async def test_a_backup_whose_entry_is_gone_is_not_possible_also_when_another_took_its_name(
    stage: Stage, again: bool
) -> None:
    backup = await stage.backup()
    await stage.kube.delete(objects_path(BACKUP_EXECUTION, stage.scene.here, backup.name))
    if again:
        await stage.backup(name=backup.name)

    answer = await stage.ask(backup, RESTORE)

    assert (answer.status, answer.body["code"]) == (409, "not-possible")
    assert await stage.requests(backup) == []


async def test_an_imported_backup_is_restored_by_the_id_of_its_manifest(stage: Stage) -> None:
    imported = str(uuid.uuid4())
    found = await stage.backup(COMPLETED | {"executionId": imported})
    await stage.record(id=imported, operation="backup", name=found.name)

    answer = await stage.ask(Backup(name=found.name, id=imported), RESTORE)

    assert answer.status == 202, answer.body


async def test_what_is_no_backup_is_not_found(stage: Stage) -> None:
    unknown, restored = str(uuid.uuid4()), str(uuid.uuid4())
    await stage.record(id=restored, operation="restore", name="back")

    answers = [await stage.ask(Backup(name="back", id=each), RESTORE) for each in (unknown, restored)]

    assert [(each.status, each.body["code"]) for each in answers] == [(404, "not-found")] * 2


async def test_the_same_key_gives_the_same_restore(stage: Stage) -> None:
    backup, key = await stage.backup(), "once"

    first = await stage.ask(backup, RESTORE, key=key)
    again = await stage.ask(backup, {"confirmation_phrase": " restaurar"}, key=key)
    without = [await stage.ask(backup, RESTORE) for _ in range(2)]

    assert first.status == again.status == 202
    assert first.body["id"] == again.body["id"]
    assert len({first.body["id"], *(each.body["id"] for each in without)}) == 3
    assert len(await stage.requests(backup)) == 3


async def test_a_key_with_another_request_is_refused_and_another_callers_key_is_another(stage: Stage) -> None:
    backup, key = await stage.backup(), "once"
    verified = await stage.ask(backup, VERIFY, key=key)

    other = await stage.ask(backup, VERIFY | {"keep_verification_database": True}, key=key)
    somebodys = await stage.ask(backup, VERIFY, key=key, who="verifier")

    assert (other.status, other.body["code"]) == (422, "idempotency-key-reused")
    assert somebodys.status == 202
    assert somebodys.body["id"] != verified.body["id"]


async def test_a_key_with_another_request_is_refused_also_when_the_first_one_s_object_is_gone(stage: Stage) -> None:
    backup, key = await stage.backup(), "once"
    first = await stage.ask(backup, {"dry_run": True}, key=key)
    await stage.kube.delete(objects_path(restore.KIND, stage.scene.here, first.body["name"]))

    other = await stage.ask(backup, RESTORE, key=key)

    assert (first.status, other.status, other.body["code"]) == (202, 422, "idempotency-key-reused")
    assert await stage.requests(backup) == []


async def test_an_execution_tells_what_its_verification_or_dry_run_found_and_lists_do_not(stage: Stage) -> None:
    verification = {
        "result": "Failed", "tables": 3, "rows": 40, "sequences": 1, "sampledRows": 20, "differenceCount": 1,
        "differences": ["public.orders: 39 rows, and 40 were backed up"], "proofKey": "a/proof.json",
    }  # fmt: skip
    preview = {
        "backupTables": 3, "backupRows": 40, "backupBytes": 9, "backupTime": "2026-11-24T02:00:00Z", "backupAge": "1h",
        "targetIdentity": "73", "targetVersion": "17.2", "targetTables": 2, "targetRows": 7, "targetBytes": 99,
        "droppedCount": 1, "dropped": ["public.orders"], "connections": [{"application": "shop", "sessions": 2}],
    }  # fmt: skip
    backup = await stage.backup()
    asked = [(await stage.ask(backup, body)).body for body in (VERIFY, DRY_RUN)]
    for each, status in zip(asked, ({"verification": verification}, {"preview": preview}), strict=True):
        run = await stage.kube.get(objects_path(restore.KIND, stage.scene.here, each["name"]))
        ended = {"phase": "Completed", "completionTime": "2026-11-25T02:00:00Z", **status}
        await change(stage.kube, stage.history, restore.KIND, run, ended)

    token = stage.scene.tokens["viewer"]
    verified, looked = [(await get(stage.client, f"/api/executions/{each['id']}", token)).body for each in asked]
    listed = (await get(stage.client, f"/api/executions?namespace={stage.scene.here}&limit=500", token)).body["data"]

    assert (verified["verification"]["sampled_rows"], verified["verification"]["proof_key"]) == (20, "a/proof.json")
    assert verified["verification"]["differences"] == verification["differences"]
    assert (verified["preview"], verified["dry_run"], looked["verification"], looked["dry_run"]) == (
        None, False, None, True,
    )  # fmt: skip
    assert looked["preview"]["backup_time"] == "2026-11-24T02:00:00Z"
    assert (looked["preview"]["dropped"], looked["preview"]["connections"]) == (
        ["public.orders"], preview["connections"],
    )  # fmt: skip
    assert {each["id"] for each in asked} <= {each["id"] for each in listed}
    assert not any({"verification", "preview", "dry_run"} & set(each) for each in listed)
