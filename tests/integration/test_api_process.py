"""``dataguardian api`` as a process: it starts whatever is down, and ends when it is told."""

from __future__ import annotations

import http.client
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from .apiserver import ApiServer
from .callers import chart_parts, rendered, token_of
from .clients import frozen
from .services import HOST, PostgresServer, RedisServer, free_port, wait_until
from .sidecars import Sidecar, sidecar_of

MEMORY_KIB = 110 * 1024


@pytest.fixture
def sidecar(tmp_path: Path) -> Iterator[Sidecar]:
    """With everything around it down."""
    nobody = {"server": f"http://{HOST}:{free_port()}"}
    context = {"cluster": "none", "user": "none"}
    kubeconfig, secret = tmp_path / "kubeconfig", tmp_path / "secret"
    secret.write_text("x")
    kubeconfig.write_text(
        yaml.safe_dump(
            {
                "clusters": [{"name": "none", "cluster": nobody}],
                "users": [{"name": "none", "user": {}}],
                "contexts": [{"name": "none", "context": context}],
                "current-context": "none",
            }
        )
    )
    variables = {
        "POSTGRES_HOST": HOST, "POSTGRES_PORT": free_port(), "REDIS_HOST": HOST, "REDIS_PORT": free_port(),
        "POSTGRES_USERNAME_FILE": secret, "POSTGRES_PASSWORD_FILE": secret, "REDIS_PASSWORD_FILE": secret,
    }  # fmt: skip
    started = Sidecar(variables=variables, kubeconfig=kubeconfig)
    try:
        started.start()
        yield started
    finally:
        started.remove()


def test_it_serves_with_everything_around_it_down(sidecar: Sidecar) -> None:
    services = {"kubernetes": "down", "postgres": "down", "redis": "down"}

    assert sidecar.health() == (503, {"status": "down", "services": services})


def test_the_kubelet_finds_it_well_with_everything_around_it_down(sidecar: Sidecar) -> None:
    assert sidecar.get("/livez") == sidecar.get("/readyz") == (200, {"status": "ok"})


def test_a_loop_that_hangs_fails_the_probe_and_is_ended_within_a_minute(sidecar: Sidecar) -> None:
    probe = probes()["livenessProbe"]
    patience_s = probe["timeoutSeconds"]
    path = probe["httpGet"]["path"]

    assert sidecar.get(path, seconds=patience_s) is not None
    with frozen(sidecar):
        assert sidecar.get(path, seconds=patience_s) is None
    # It hangs right after a good probe, and takes no notice of SIGTERM.
    until_noticed = probe["periodSeconds"] * probe["failureThreshold"] + patience_s
    assert until_noticed + probe["terminationGracePeriodSeconds"] < 60


def test_only_the_container_itself_decides_what_the_kubelet_does_with_it() -> None:
    paths = {name: probe["httpGet"]["path"] for name, probe in probes().items()}

    assert paths == {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}


def probes() -> dict[str, Any]:
    """Those of the container in the chart."""
    (deployment,) = rendered("deployment")
    (api,) = [each for each in deployment["spec"]["template"]["spec"]["containers"] if each["name"] == "api"]
    return {name: api[name] for name in ("startupProbe", "livenessProbe", "readinessProbe")}


def test_it_ends_in_order_when_it_is_told(sidecar: Sidecar) -> None:
    assert sidecar.process is not None

    sidecar.process.send_signal(signal.SIGTERM)

    assert sidecar.process.wait(timeout=5) == 0
    assert sidecar.health() is None
    actions = [line["action"] for line in sidecar.log()]
    assert (actions[0], actions[-1]) == ("api_serving", "api_ended")


def test_it_is_small(sidecar: Sidecar) -> None:
    sidecar.health()
    assert sidecar.process is not None
    status = Path(f"/proc/{sidecar.process.pid}/status").read_text()
    (resident,) = [line for line in status.splitlines() if line.startswith("VmRSS")]

    assert int(resident.split()[1]) < MEMORY_KIB


def test_it_answers_what_is_under_way_and_takes_nothing_new_when_it_is_told_to_end(
    apiserver: ApiServer, postgres_server: PostgresServer, migrated: str, redis_server: RedisServer, tmp_path: Path
) -> None:
    def is_waiting() -> bool:
        query = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'backup_executions'::regclass"
        return postgres_server.rows(migrated, query) == [(1,)]

    serving = sidecar_of(apiserver, postgres_server, migrated, redis_server, tmp_path)
    with chart_parts(apiserver, "roles"), ThreadPoolExecutor(1) as threads, _gone(serving):
        token = token_of(apiserver, apiserver.namespace(), "viewer", role="viewer")
        serving.start()
        assert serving.process is not None
        with psycopg.connect(postgres_server.dsn(migrated)) as held:
            held.execute("LOCK TABLE backup_executions IN ACCESS EXCLUSIVE MODE")
            answer = threads.submit(_status, serving, token)
            wait_until(is_waiting, what="a request is under way", seconds=4)
            serving.process.send_signal(signal.SIGTERM)
            wait_until(lambda: not _takes(serving), what="nothing new is taken", seconds=4)
            running = serving.process.poll() is None

        assert (running, answer.result(timeout=5), serving.process.wait(timeout=5)) == (True, 200, 0)
        assert [line["action"] for line in serving.log()][-2:] == ["request", "api_ended"]


@contextmanager
def _gone(serving: Sidecar) -> Iterator[None]:
    try:
        yield
    finally:
        serving.remove()


def _status(serving: Sidecar, token: str) -> int:
    with closing(http.client.HTTPConnection(serving.host, serving.port, timeout=10)) as connection:
        connection.request("GET", "/api/executions", headers={"Authorization": f"Bearer {token}"})
        with connection.getresponse() as answer:
            return answer.status


def _takes(serving: Sidecar) -> bool:
    try:
        socket.create_connection((serving.host, serving.port), timeout=1).close()
    except OSError:
        return False
    return True


def test_an_origin_that_is_none_is_told_at_the_start(sidecar: Sidecar) -> None:
    wrong = Sidecar(variables={**sidecar.variables, "API_CORS_ORIGINS": "*"}, kubeconfig=sidecar.kubeconfig)
    try:
        with pytest.raises(RuntimeError, match="DATAGUARDIAN_API_CORS_ORIGINS has '\\*'"):
            wrong.start()
    finally:
        wrong.remove()
