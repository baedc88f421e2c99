"""What the API server itself refuses of a RestoreRequest, each with a message that says why."""

from __future__ import annotations

from typing import Any

import pytest

from dataguardian.kube.client import ApiRefused, Kubernetes, objects_path
from dataguardian.resources import restore
from dataguardian.resources.restore import RESTORE_PHRASE, VERIFY_PHRASE

from . import stored

REFERENCE = {"name": "any"}
SOURCE = {"storageLocationRef": REFERENCE, "key": "a/manifest.json"}
BACKUP: dict[str, Any] = {"backupExecutionRef": REFERENCE}
RESTORE: dict[str, Any] = {**BACKUP, "confirmationPhrase": RESTORE_PHRASE}
VERIFY: dict[str, Any] = {**BACKUP, "verificationMode": True, "confirmationPhrase": VERIFY_PHRASE}
EPHEMERAL: dict[str, Any] = {**VERIFY, "verificationTarget": "Ephemeral"}
DRILL: dict[str, Any] = {**VERIFY, "backupExecutionRef": None, "restoreDrillRef": REFERENCE}
FROM_KEY: dict[str, Any] = {**RESTORE, "backupExecutionRef": None, "source": SOURCE, "targetDatasourceRef": REFERENCE}

ONE_SOURCE = "name one of backupExecutionRef, source and restoreDrillRef"
NO_TARGET = "a verification changes no target"
VERIFICATION_ONLY = "need verificationMode"
EPHEMERAL_ONLY = "verificationTarget Ephemeral allows no"


async def create(kube: Kubernetes, namespace: str, spec: dict[str, Any], name: str = "back") -> None:
    given = {field: value for field, value in spec.items() if value is not None}
    await stored.make(kube, restore.KIND, namespace, name, given)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({**RESTORE, "backupExecutionRef": None}, ONE_SOURCE),
        ({**FROM_KEY, **BACKUP}, ONE_SOURCE),
        ({**DRILL, **BACKUP}, ONE_SOURCE),
        ({**FROM_KEY, "targetDatasourceRef": None}, "a restore from source needs targetDatasourceRef"),
        ({**FROM_KEY, "storageLocationRef": REFERENCE}, "source names its location itself"),
        (BACKUP, "confirmationPhrase must be RESTAURAR"),
        ({**RESTORE, "confirmationPhrase": "restaurar"}, "confirmationPhrase must be RESTAURAR"),
        ({**RESTORE, "confirmationPhrase": VERIFY_PHRASE}, "confirmationPhrase must be RESTAURAR"),
        ({**VERIFY, "confirmationPhrase": RESTORE_PHRASE}, "confirmationPhrase must be VERIFICAR RESTORE"),
        ({**VERIFY, "confirmationPhrase": None}, "confirmationPhrase must be VERIFICAR RESTORE"),
        ({**VERIFY, "dropExisting": True}, NO_TARGET),
        ({**VERIFY, "safetyBackup": True}, NO_TARGET),
        ({**VERIFY, "expectedTarget": {"database": "orders"}}, NO_TARGET),
        ({**RESTORE, "keepVerificationDatabase": True}, VERIFICATION_ONLY),
        ({**RESTORE, "verificationTarget": "Ephemeral"}, VERIFICATION_ONLY),
        ({**RESTORE, "backupExecutionRef": None, "restoreDrillRef": REFERENCE}, VERIFICATION_ONLY),
        ({**EPHEMERAL, "keepVerificationDatabase": True}, EPHEMERAL_ONLY),
        ({**EPHEMERAL, "targetDatasourceRef": REFERENCE}, EPHEMERAL_ONLY),
        ({**EPHEMERAL, "backupExecutionRef": None, "source": SOURCE, "targetDatasourceRef": REFERENCE}, EPHEMERAL_ONLY),
        ({**RESTORE, "trigger": "Schedule"}, "trigger Schedule needs restoreDrillRef"),
        ({**RESTORE, "expectedTarget": {}}, "expectedTarget needs serverIdentity or database"),
        ({**RESTORE, "lockTimeoutSeconds": 0}, "spec.lockTimeoutSeconds"),
        ({**RESTORE, "verificationTarget": "Elsewhere"}, "spec.verificationTarget"),
    ],
)
async def test_a_wrong_combination_is_refused_with_its_reason(
    kube: Kubernetes, namespace: str, spec: dict[str, Any], said: str
) -> None:
    with pytest.raises(ApiRefused) as refused:
        await create(kube, namespace, spec)

    assert said in refused.value.what


@pytest.mark.parametrize(
    "spec",
    [
        RESTORE,
        VERIFY,
        EPHEMERAL,
        FROM_KEY,
        {**BACKUP, "dryRun": True},
        {**RESTORE, "dropExisting": True, "safetyBackup": True, "expectedTarget": {"serverIdentity": "7"}},
        {**RESTORE, "storageLocationRef": REFERENCE, "targetDatasourceRef": REFERENCE, "atomic": False},
        {**VERIFY, "keepVerificationDatabase": True, "targetDatasourceRef": REFERENCE},
        {**DRILL, "trigger": "Schedule", "scheduledTime": "2026-11-24T02:00:00Z"},
        {**DRILL, "verificationTarget": "Ephemeral"},
    ],
)
async def test_what_makes_sense_is_taken(kube: Kubernetes, namespace: str, spec: dict[str, Any]) -> None:
    await create(kube, namespace, spec)


async def test_a_request_never_changes_but_can_be_confirmed_and_cancelled_once(
    kube: Kubernetes, namespace: str
) -> None:
    await create(kube, namespace, {**RESTORE, "safetyBackup": True})
    path = objects_path(restore.KIND, namespace, "back")

    for change in ({"dropExisting": True}, {"atomic": False}, {"expectedTarget": {"database": "x"}}):
        with pytest.raises(ApiRefused, match="the spec cannot be changed"):
            await kube.patch(path, {"spec": change})
    await kube.patch(path, {"spec": {"confirmed": True}})
    with pytest.raises(ApiRefused, match="a restore that was confirmed stays confirmed"):
        await kube.patch(path, {"spec": {"confirmed": False}})
    await kube.patch(path, {"spec": {"cancel": True}})


async def test_a_name_that_is_too_long_for_its_kubernetes_job_is_refused(kube: Kubernetes, namespace: str) -> None:
    with pytest.raises(ApiRefused, match="54 characters at most"):
        await create(kube, namespace, RESTORE, "a" * 55)
