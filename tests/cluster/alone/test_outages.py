"""Without Postgres or Redis backups go on, and nothing is lost."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from functools import partial

import pytest

from ..cluster import Cluster, eventually
from ..shop import Shop

NAMESPACE = "dataguardian"
WITHOUT_HISTORY_S = 300.0
WITHOUT_QUEUE_S = 120.0
EVERY_S = 30.0  # between two runs of the outage
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


def passed(moment: float) -> bool:
    return time.monotonic() > moment


def test_five_minutes_without_history_and_two_without_a_queue_stop_no_backup(shop: Shop) -> None:
    begun, runs = time.monotonic(), 0
    stopped: list[str] = []
    try:
        for name in ("postgres", "redis"):
            scale(shop.cluster, name, 0)
            stopped.append(name)
        while time.monotonic() < begun + WITHOUT_HISTORY_S:
            runs += 1
            assert shop.backup(f"run-{runs}")["status"]["phase"] == "Completed"
            if "redis" in stopped and time.monotonic() > begun + WITHOUT_QUEUE_S:
                scale(shop.cluster, "redis", 1)
                stopped.remove("redis")
            following = partial(passed, begun + runs * EVERY_S)
            eventually("the next run's time has come", following)
    finally:
        for name in stopped:
            scale(shop.cluster, name, 1)

    complete = "name, status, coalesce(jsonb_array_length(metadata -> 'execution_logs'), 0) > 3"
    wanted = sorted([f"run-{number}", "completed", "t"] for number in range(1, runs + 1))
    eventually("all rows are written, with their logs", lambda: sorted(shop.history(complete)) == wanted)
