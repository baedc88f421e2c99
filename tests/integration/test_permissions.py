"""Who may restore, who may only verify, and who may neither: asked of a real API server with the chart's policies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from tests.integration.apiserver import ApiServer
from tests.integration.callers import chart_parts
from tests.integration.services import wait_until

JSON = dict[str, Any]
SPECS: dict[str, JSON] = {
    "restore": {"backupExecutionRef": {"name": "first"}, "confirmationPhrase": "RESTAURAR"},
    "verification": {
        "backupExecutionRef": {"name": "first"},
        "confirmationPhrase": "VERIFICAR RESTORE",
        "verificationMode": True,
    },
    "dry run": {"backupExecutionRef": {"name": "first"}, "dryRun": True},
    "kept copy elsewhere": {
        "backupExecutionRef": {"name": "first"},
        "confirmationPhrase": "VERIFICAR RESTORE",
        "verificationMode": True,
        "keepVerificationDatabase": True,
        "targetDatasourceRef": {"name": "elsewhere"},
    },
    "restore by key": {
        "source": {"storageLocationRef": {"name": "primary"}, "key": "a/manifest.json"},
        "targetDatasourceRef": {"name": "orders"},
        "confirmationPhrase": "RESTAURAR",
    },
}


@pytest.fixture(scope="module")
def server(apiserver: ApiServer) -> Iterator[ApiServer]:
    """The API server with the chart's roles and policies."""
    with chart_parts(apiserver, "roles", "admission"):  # other tests make restores as whom they like
        yield apiserver


@pytest.fixture(scope="module")
def ask(server: ApiServer) -> Callable[..., str]:
    """What the API server says to somebody who creates a RestoreRequest; empty when it takes it."""
    namespace = server.namespace()
    for user in ("verifier", "admin", "operator"):
        bind = ["create", "rolebinding", user, f"--clusterrole=dataguardian-{user}", f"--user={user}", "-n", namespace]
        server.kubectl(*bind)
    rules = ["--verb=restore-verify", "--resource=backupexecutions.dataguardian.io", "--resource-name=second"]
    server.kubectl("create", "role", "second-only", *rules, "-n", namespace)
    server.kubectl("create", "rolebinding", "second", "--role=second-only", "--user=second-only", "-n", namespace)
    create = ["--verb=create", "--resource=restorerequests.dataguardian.io"]
    server.kubectl("create", "role", "creator", *create, "-n", namespace)
    server.kubectl("create", "rolebinding", "creator", "--role=creator", "--user=second-only", "-n", namespace)

    def create_as(user: str, spec: JSON, kind: str = "RestoreRequest") -> str:
        body = {
            "apiVersion": "dataguardian.io/v1alpha1",
            "kind": kind,
            "metadata": {"generateName": "back-", "namespace": namespace},
            "spec": spec,
        }
        try:
            server.kubectl("create", f"--as={user}", "-f", "-", stdin=yaml.safe_dump(body))
        except AssertionError as refusal:
            return str(refusal)
        return ""

    # A policy counts some moments after it was made.
    wait_until(lambda: "needs the verb" in create_as("verifier", SPECS["restore"]), what="the policy counts")
    return create_as


@pytest.mark.parametrize("what", ["verification", "dry run"])
def test_who_may_verify_may_look_and_verify(ask: Callable[..., str], what: str) -> None:
    assert ask("verifier", SPECS[what]) == ""


@pytest.mark.parametrize("what", ["restore", "restore by key", "kept copy elsewhere"])
def test_who_may_only_verify_may_not_restore(ask: Callable[..., str], what: str) -> None:
    assert "needs the verb restore on backupexecutions.dataguardian.io" in ask("verifier", SPECS[what])


@pytest.mark.parametrize("what", SPECS)
def test_an_admin_may_all_of_it(ask: Callable[..., str], what: str) -> None:
    assert ask("admin", SPECS[what]) == ""


@pytest.mark.parametrize("what", SPECS)
def test_an_operator_may_none_of_it(ask: Callable[..., str], what: str) -> None:
    assert 'cannot create resource "restorerequests"' in ask("operator", SPECS[what])


def test_an_operator_may_run_a_sync_and_only_an_admin_may_say_which_database_it_replaces(
    ask: Callable[..., str],
) -> None:
    run = {"databaseSyncJobRef": {"name": "refresh"}}
    job = {"sourceRef": {"name": "orders"}, "targetRef": {"name": "staging"}}

    assert ask("operator", run, "DatabaseSyncExecution") == ""
    assert 'cannot create resource "databasesyncjobs"' in ask("operator", job, "DatabaseSyncJob")
    assert 'cannot create resource "databasesyncexecutions"' in ask("verifier", run, "DatabaseSyncExecution")
    assert ask("admin", job, "DatabaseSyncJob") == ""


def test_a_right_to_one_backup_is_none_to_another(ask: Callable[..., str]) -> None:
    second = {**SPECS["verification"], "backupExecutionRef": {"name": "second"}}

    assert ask("second-only", second) == ""
    assert "backupexecutions.dataguardian.io first" in ask("second-only", SPECS["verification"])


def test_a_verification_cannot_become_a_restore_nor_confirm_or_delete_one(
    server: ApiServer, ask: Callable[..., str]
) -> None:
    namespace = server.namespace()
    for role in ("viewer", "verifier"):
        bind = ["create", "rolebinding", role, f"--clusterrole=dataguardian-{role}", "--user=v", "-n", namespace]
        server.kubectl(*bind)
    body = {
        "apiVersion": "dataguardian.io/v1alpha1",
        "kind": "RestoreRequest",
        "metadata": {"name": "look", "namespace": namespace},
        "spec": SPECS["verification"],
    }
    server.kubectl("create", "--as=v", "-f", "-", stdin=yaml.safe_dump(body))

    def change(patch: str) -> None:
        server.kubectl(
            "patch", "--as=v", "-n", namespace, "restorerequest", "look", "--type=merge", "-p", f'{{"spec": {patch}}}'
        )

    with pytest.raises(AssertionError, match="the spec cannot be changed"):
        change('{"verificationMode": false, "confirmationPhrase": "RESTAURAR"}')
    with pytest.raises(AssertionError, match="confirming a restore needs the verb restore"):
        change('{"confirmed": true}')
    change('{"cancel": true}')
    with pytest.raises(AssertionError, match="cannot delete"):
        server.kubectl("delete", "--as=v", "-n", namespace, "restorerequest", "look")
