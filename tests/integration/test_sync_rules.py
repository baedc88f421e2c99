"""What the API server itself refuses of a DatabaseSyncJob and its runs, each with a message that says why."""

from __future__ import annotations

from typing import Any

import pytest

from dataguardian.kube.client import JSON, ApiRefused, Kubernetes, objects_path
from dataguardian.resources.common import Kind
from dataguardian.resources.sync import DATABASE_SYNC_EXECUTION, DATABASE_SYNC_JOB

from . import stored

REFERENCE = {"name": "any"}
SPEC: JSON = {"sourceRef": {"name": "orders"}, "targetRef": {"name": "staging"}}
RUN: JSON = {"databaseSyncJobRef": REFERENCE}
EMAIL = {"table": "customers", "column": "email"}
KEY = {"keySecretRef": {"name": "masking", "key": "key"}}


async def create(
    kube: Kubernetes, namespace: str, spec: JSON, name: str = "refresh", kind: Kind[Any] = DATABASE_SYNC_JOB
) -> JSON:
    return await stored.make(kube, kind, namespace, name, spec)


def masked(*rules: JSON, **more: Any) -> JSON:
    """A spec that masks."""
    return {**SPEC, "masking": {**({"rules": list(rules)} if rules else {}), **more}}


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({**SPEC, "targetRef": {"name": "orders"}}, "sourceRef and targetRef must be two Datasources"),
        ({"sourceRef": REFERENCE}, "spec.targetRef: Required value"),
        ({**SPEC, "keepPreviousSeconds": 60}, "keepPreviousSeconds needs strategy Swap"),
        ({**SPEC, "strategy": "Copy"}, "spec.strategy"),
        ({**SPEC, "expectedTarget": {}}, "expectedTarget needs serverIdentity or database"),
        ({**SPEC, "backupJobRef": REFERENCE}, "backupJobRef needs storageLocationRef"),
        ({**SPEC, "schedule": "nightly"}, "schedule needs five cron fields"),
        ({**SPEC, "timeZone": "Nowhere/City"}, "timeZone must be a name of the IANA time zone database"),
        (masked(), "masking needs rules, or requireAll"),
        (masked({**EMAIL, "how": "fixed"}), "value and how fixed belong together"),
        (masked({**EMAIL, "value": "x"}), "value and how fixed belong together"),
        (masked({**EMAIL, "how": "sql"}), "expression and how sql belong together"),
        (masked({**EMAIL, "how": "shuffle", "expression": "now()"}), "expression and how sql belong together"),
        (masked({**EMAIL, "how": "encrypt"}), "spec.masking.rules[0].how"),
        (masked({"table": "customers"}), "spec.masking.rules[0].column: Required value"),
        (masked(EMAIL, {**EMAIL, "schema": "public", "how": "shuffle"}), "Duplicate value"),
        (masked(requireAll=True, allow=[EMAIL, EMAIL]), "Duplicate value"),
        *((masked({**EMAIL, "how": how}), "keySecretRef is needed") for how in ("hash", "email", "name", "digits")),
    ],
)
async def test_a_wrong_combination_is_refused_with_its_reason(
    kube: Kubernetes, namespace: str, spec: JSON, said: str
) -> None:
    with pytest.raises(ApiRefused) as refused:
        await create(kube, namespace, spec)

    assert said in refused.value.what


@pytest.mark.parametrize(
    "spec",
    [
        SPEC,
        {**SPEC, "strategy": "Swap", "keepPreviousSeconds": 3600},
        {**SPEC, "expectedTarget": {"serverIdentity": "7420", "database": "staging"}},
        {**SPEC, "storageLocationRef": REFERENCE, "backupJobRef": REFERENCE},
        masked(requireAll=True, allow=[EMAIL]),
        masked({**EMAIL, "how": "fixed", "value": ""}, {**EMAIL, "schema": "other"}),
        masked({**EMAIL, "how": "hash"}, {**EMAIL, "column": "phone", "how": "sql", "expression": "now()"}, **KEY),
    ],
)
async def test_what_makes_sense_is_taken(kube: Kubernetes, namespace: str, spec: JSON) -> None:
    await create(kube, namespace, spec)


async def test_how_null_means_null_with_quotes_and_without(kube: Kubernetes, namespace: str) -> None:
    rules: list[JSON] = [
        {**EMAIL, "how": None},
        {**EMAIL, "column": "phone", "how": "null"},
        {**EMAIL, "column": "fax"},
    ]

    made = await create(kube, namespace, masked(*rules))

    assert [rule["how"] for rule in made["spec"]["masking"]["rules"]] == ["null", "null", "null"]


async def test_a_run_never_changes_but_can_be_cancelled_once(kube: Kubernetes, namespace: str) -> None:
    await create(kube, namespace, RUN, "refresh-1", DATABASE_SYNC_EXECUTION)
    path = objects_path(DATABASE_SYNC_EXECUTION, namespace, "refresh-1")

    for change in ({"databaseSyncJobRef": {"name": "other"}}, {"trigger": "Schedule"}):
        with pytest.raises(ApiRefused, match="the spec cannot be changed"):
            await kube.patch(path, {"spec": change})
    await kube.patch(path, {"spec": {"cancel": True}})
    with pytest.raises(ApiRefused, match="a run that was cancelled stays cancelled"):
        await kube.patch(path, {"spec": {"cancel": False}})


@pytest.mark.parametrize(
    ("kind", "spec", "longest"), [(DATABASE_SYNC_JOB, SPEC, 40), (DATABASE_SYNC_EXECUTION, RUN, 54)]
)
async def test_a_name_that_is_too_long_for_what_is_made_of_it_is_refused(
    kube: Kubernetes, namespace: str, kind: Kind[Any], spec: JSON, longest: int
) -> None:
    await create(kube, namespace, spec, "a" * longest, kind)

    with pytest.raises(ApiRefused, match=f"{longest} characters at most"):
        await create(kube, namespace, spec, "a" * (longest + 1), kind)
