"""The sidecar answers as its OpenAPI document says, whatever is sent to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from dataguardian.api.app import ENDPOINTS
from dataguardian.api.endpoints import Endpoint
from dataguardian.history.migrate import migrate
from dataguardian.resources.common import API_VERSION

from .apiserver import ApiServer
from .callers import chart_parts, token_of
from .clients import postgres_settings
from .people import without_runs
from .services import PostgresServer, RedisServer
from .sidecars import Sidecar, sidecar_of

EXAMPLES = 25
ROW = """
    INSERT INTO backup_executions (id, operation, namespace, name, job, datasource, trigger, status, queued_at,
                                   observed_at, finished_at, copies)
    VALUES ('{id}', 'backup', '{namespace}', '{status}', 'nightly', 'orders', 'manual', '{status}', now(), now(),
            CASE WHEN '{status}' <> 'running' THEN now() END,
            '[{{"location": "primary", "key": "k", "state": "Stored"}}]')
"""
# A stream of events does not come to its end.
ANSWERING = [each for each in ENDPOINTS if each.media_type == "application/json"]
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def sidecar(
    apiserver: ApiServer,
    postgres_server: PostgresServer,
    redis_server: RedisServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Sidecar]:
    database, folder = postgres_server.database(), tmp_path_factory.mktemp("sidecar")
    migrate(postgres_settings(postgres_server, database, folder), deadline_s=20)
    started = sidecar_of(apiserver, postgres_server, database, redis_server, folder)
    with chart_parts(apiserver, "roles"):
        try:
            started.start()
            yield started
        finally:
            started.remove()


@pytest.fixture(scope="module")
def namespace(apiserver: ApiServer) -> Iterator[str]:
    made = apiserver.namespace()
    yield made
    without_runs(apiserver, made)


@pytest.fixture(scope="module")
def token(apiserver: ApiServer, namespace: str, sidecar: Sidecar) -> str:
    return token_of(apiserver, namespace, "fuzzer", role="admin", everywhere=True)


@pytest.fixture(scope="module")
def ids(
    apiserver: ApiServer, postgres_server: PostgresServer, namespace: str, sidecar: Sidecar
) -> dict[str, list[str]]:
    """What there is, by the name of its id in a path."""
    executions = [_run(apiserver, namespace, phase) for phase in ("Completed", "Failed", "Running")]
    for execution, status in zip(executions, ("completed", "failed", "running"), strict=True):
        postgres_server.sql(
            str(sidecar.variables["POSTGRES_DATABASE"]), ROW.format(id=execution, namespace=namespace, status=status)
        )
    return {"execution_id": executions, "job_id": [f"{namespace}.nightly", f"{namespace}.staging"]}


def _run(apiserver: ApiServer, namespace: str, phase: str) -> str:
    """The id of a run of the job ``nightly``, in this phase."""
    name = phase.lower()
    run = {"metadata": {"name": name}, "kind": "BackupExecution", "spec": {"backupJobRef": {"name": "nightly"}}}
    applied = apiserver.kubectl(
        "create", "-n", namespace, "-o", "json", "-f", "-", stdin=json.dumps({"apiVersion": API_VERSION, **run})
    )
    status = json.dumps({"status": {"phase": phase}})
    patch = ["patch", "backupexecution", name, "-n", namespace, "--subresource=status", "--type=merge", "-p", status]
    apiserver.kubectl(*patch)
    return str(json.loads(applied)["metadata"]["uid"])


@pytest.fixture(scope="module")
def described(sidecar: Sidecar) -> Any:
    return schemathesis.openapi.from_url(f"http://{sidecar.host}:{sidecar.port}/api/openapi.json")


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["as described", "otherwise"])
@pytest.mark.parametrize("endpoint", ANSWERING, ids=lambda each: f"{each.method} {each.path}")
def test_no_request_brings_an_undocumented_answer(
    described: Any, token: str, ids: dict[str, list[str]], endpoint: Endpoint, mode: GenerationMode
) -> None:
    operation = described[endpoint.path][endpoint.method]

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), number=st.integers(min_value=0, max_value=5))
    def answers(case: Any, number: int) -> None:
        """Half of the requests are about something that there is."""
        for name in case.path_parameters or ():
            case.path_parameters[name] = dict(enumerate(ids[name])).get(number, case.path_parameters[name])
        case.headers["Accept"] = "application/json"
        case.call_and_validate(headers={"Authorization": f"Bearer {token}"}, checks=CHECKS, timeout=10)

    answers()
