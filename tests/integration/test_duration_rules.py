"""What the API server itself refuses of durations: one that is empty, or that is nothing."""

from __future__ import annotations

from typing import Any

import pytest

from dataguardian.kube.client import ApiRefused, Kubernetes, objects_path
from dataguardian.resources import drill
from dataguardian.resources.backup import BACKUP_JOB
from dataguardian.resources.common import API_VERSION, Kind

ANY = {"name": "any"}
JOB: dict[str, Any] = {"datasourceRef": ANY, "storage": {"locations": [ANY]}}


@pytest.mark.parametrize("duration", ["", "0h", "0h00m"])
@pytest.mark.parametrize(
    ("kind", "spec", "field"),
    [
        (drill.KIND, {"backupJobRef": ANY}, "maxBackupAge"),
        (BACKUP_JOB, JOB, "retention.maxAge"),
        (BACKUP_JOB, JOB, "retention.unfinishedMaxAge"),
        (BACKUP_JOB, JOB, "objectives.recoveryPoint"),
        (BACKUP_JOB, JOB, "objectives.verifiedWithin"),
    ],
)
async def test_a_duration_of_nothing_is_refused(
    kube: Kubernetes, namespace: str, kind: Kind[Any], spec: dict[str, Any], field: str, duration: str
) -> None:
    *outer, inner = field.split(".")
    given: dict[str, Any] = {inner: duration}
    for name in outer:
        given = {name: given}
    body = {
        "apiVersion": API_VERSION,
        "kind": kind.name,
        "metadata": {"name": "short", "namespace": namespace},
        "spec": {**spec, **given},
    }

    with pytest.raises(ApiRefused, match=f"{inner} needs a duration such as"):
        await kube.create(objects_path(kind, namespace), body)
