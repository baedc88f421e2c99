"""Least privilege, and what the sidecar shows."""

from __future__ import annotations

import json

import pytest

from .cluster import Cluster, eventually
from .services import DATABASE_PASSWORD, S3_SECRET_KEY
from .shop import Shop

OPERATOR = "system:serviceaccount:dataguardian:dataguardian"


def allowed(cluster: Cluster, verb: str, resource: str) -> bool:
    try:
        return cluster.kubectl("auth", "can-i", verb, resource, "-A", f"--as={OPERATOR}").strip() == "yes"
    except AssertionError:
        return False


@pytest.mark.parametrize(
    ("verb", "resource"),
    [
        ("get", "secrets"),
        ("list", "secrets"),
        ("create", "pods"),
        ("create", "pods/exec"),
        ("delete", "backupjobs.dataguardian.io"),
        ("delete", "restoredrills.dataguardian.io"),
        ("update", "backupjobs.dataguardian.io"),
        ("update", "restorerequests.dataguardian.io"),
        ("restore", "backupexecutions.dataguardian.io"),
    ],
)
def test_the_operator_may_not(cluster: Cluster, verb: str, resource: str) -> None:
    assert not allowed(cluster, verb, resource)


@pytest.mark.parametrize(
    ("verb", "resource"),
    [
        ("create", "jobs.batch"),
        ("create", "restorerequests.dataguardian.io"),
        ("restore-verify", "backupexecutions.dataguardian.io"),
    ],
)
def test_the_operator_may_what_it_has_to(cluster: Cluster, verb: str, resource: str) -> None:
    assert allowed(cluster, verb, resource)


def test_a_runners_pod_has_no_token_no_secret_in_sight_and_cannot_write_to_its_root(big_shop: Shop) -> None:
    shop = big_shop
    shop.start_backup("first")
    shop.until_uploading()
    (pod,) = shop.cluster.list(shop.namespace, "pods", "dataguardian.io/operation=backup")
    name = pod["metadata"]["name"]

    mounted = shop.cluster.inside(shop.namespace, name, "cat", "/proc/mounts")
    who = shop.cluster.inside(shop.namespace, name, "id", "-u").strip()
    # A process that is just being made may not be looked at.
    script = "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null; true"
    told = shop.cluster.inside(shop.namespace, name, "sh", "-c", script)

    assert "serviceaccount" not in mounted
    assert mounted.splitlines()[0].split()[3].startswith("ro")
    assert who == "65532"
    assert "pg_dump" in told
    assert "PGPASSFILE=" in told
    assert DATABASE_PASSWORD not in told
    assert S3_SECRET_KEY not in told


def test_the_sidecar_tells_health_and_the_last_success(shop: Shop) -> None:
    backup = shop.backup("first")

    def ask(path: str) -> str:
        script = f"import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:8080{path}').read().decode())"
        pod = "deployment/dataguardian"
        return shop.cluster.inside("dataguardian", pod, "python3", "-c", script)

    def success() -> str | None:
        lines = ask("/metrics").splitlines()
        mine = [
            line for line in lines if line.startswith("dataguardian_backup_last_success") and shop.namespace in line
        ]
        return mine[0] if mine else None

    assert json.loads(ask("/health"))["status"] == "ok"
    assert 'name="nightly"' in eventually("the metric of the last success", success)
    assert backup["status"]["phase"] == "Completed"


def test_describe_shows_how_a_run_ended(shop: Shop) -> None:
    shop.backup("first")

    said = shop.cluster.kubectl("describe", "-n", shop.namespace, "backupexecution", "first")

    assert "Completed" in said.partition("Events:")[2]
