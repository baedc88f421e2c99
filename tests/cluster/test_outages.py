"""Without Postgres or Redis backups go on, and nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from .cluster import Cluster, eventually
from .shop import Shop

NAMESPACE = "dataguardian"
PROXY = f"/api/v1/namespaces/{NAMESPACE}/services/dataguardian:http/proxy"


def scale(cluster: Cluster, service: str, replicas: int) -> None:
    cluster.kubectl("scale", "-n", NAMESPACE, f"statefulset/dataguardian-{service}", f"--replicas={replicas}")
    command = ("rollout", "status", "-n", NAMESPACE, f"statefulset/dataguardian-{service}", "--timeout=180s")
    if replicas:
        cluster.kubectl(*command)
    else:
        cluster.kubectl("wait", "-n", NAMESPACE, "--for=delete", f"pod/dataguardian-{service}-0", "--timeout=120s")


@pytest.fixture
def no_history(cluster: Cluster) -> Iterator[None]:
    scale(cluster, "postgres", 0)
    yield
    scale(cluster, "postgres", 1)


def test_runs_end_without_history_and_their_rows_are_written_when_it_is_back(shop: Shop, no_history: None) -> None:
    shop.start_backup("first")
    shop.start_restore("of-nothing", "nothing")
    backup = shop.ended("BackupExecution", "first")
    refused = shop.ended("RestoreRequest", "of-nothing")
    health = json.loads(shop.cluster.kubectl("get", "--raw", f"{PROXY}/health"))

    scale(shop.cluster, "postgres", 1)

    assert backup["status"]["phase"] == "Completed"
    assert refused["status"]["error"]["code"] == "not-found"
    assert (health["status"], health["services"]["postgres"]) == ("degraded", "down")
    wanted = [["backup", "first", "completed", "t"], ["restore", "of-nothing", "failed", "f"]]
    columns = "operation, name, status, coalesce(jsonb_array_length(metadata -> 'execution_logs'), 0) > 3"
    eventually("both rows are written", lambda: sorted(shop.history(columns)) == wanted)


def test_an_emptied_queue_loses_no_run(shop: Shop) -> None:
    missing = shop.job("waits", source="later")
    shop.cluster.apply(missing)
    shop.start_backup("first", "waits")
    shop.until_condition("backupexecution", "first", "Ready", "False", "DatasourceNotFound")
    password = (
        "grep -o '>[^ ]*' /run/secrets/redis/users.acl | cut -c2-",
        'redis-cli -a "$password" --no-auth-warning FLUSHALL',
    )

    script = f"password=$({password[0]}); {password[1]}"
    said = shop.cluster.inside(NAMESPACE, "dataguardian-redis-0", "sh", "-c", script)
    shop.cluster.apply(shop.datasource("later"))

    assert said.strip() == "OK"
    assert shop.ended("BackupExecution", "first")["status"]["phase"] == "Completed"


def test_a_dead_queue_loses_no_run(cluster: Cluster, shop: Shop) -> None:
    scale(cluster, "redis", 0)
    try:
        shop.start_backup("first")
        run = shop.ended("BackupExecution", "first")
    finally:
        scale(cluster, "redis", 1)

    assert run["status"]["phase"] == "Completed"
