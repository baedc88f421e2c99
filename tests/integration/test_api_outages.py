"""Whatever is down, every request is answered in time and says what is wrong, and all comes back by itself."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass

import pytest

from dataguardian.api.app import ENDPOINTS
from dataguardian.api.endpoints import Endpoint
from dataguardian.history.migrate import migrate

from .apiserver import ApiServer
from .callers import chart_parts, token_of
from .clients import postgres_settings
from .services import PostgresServer, RedisServer, Service, wait_until
from .sidecars import Sidecar, sidecar_of

ANSWERED_IN_S = 5.0
UNKNOWN = {"execution_id": "00000000-0000-0000-0000-00000000ffff", "job_id": "shop.nightly"}
ASKED = [each for each in ENDPOINTS if each.media_type == "application/json"]
# What is read from history, or is about an execution that stands there; the others go on without it.
OF_HISTORY = (
    "/api/executions", "/api/backups", "/api/audit-logs", "/api/health/history",
)  # fmt: skip


@dataclass
class Place:
    """Services of their own, the sidecar on them, and somebody who may everything everywhere."""

    services: Mapping[str, Service]
    sidecar: Sidecar
    token: str

    def ask(self, method: str, path: str) -> tuple[int, float]:
        """The status, and the seconds until the answer was whole."""
        begun = time.monotonic()
        with closing(http.client.HTTPConnection(self.sidecar.host, self.sidecar.port, timeout=30)) as connection:
            connection.request(method, path, headers={"Authorization": f"Bearer {self.token}"})
            with connection.getresponse() as answer:
                answer.read()
                return answer.status, time.monotonic() - begun

    def statuses(self) -> dict[str, int]:
        """What every endpoint answers, each within ANSWERED_IN_S."""
        found = {}
        for endpoint in ASKED:
            status, seconds = self.ask(endpoint.method, endpoint.path.format(**UNKNOWN))
            assert seconds < ANSWERED_IN_S, endpoint.path
            found[name_of(endpoint)] = status
        return found

    def down(self) -> list[str]:
        """The services that ``/health`` tells to be down."""
        answer = self.sidecar.get("/health")
        assert answer is not None
        return [name for name, state in answer[1]["services"].items() if state == "down"]  # type: ignore[index]  # JSON


def name_of(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    apiserver, postgres, redis = ApiServer(), PostgresServer(), RedisServer()
    services: dict[str, Service] = {"kubernetes": apiserver, "postgres": postgres, "redis": redis}
    started: list[Service] = list(services.values())
    try:
        for service in services.values():
            service.start()
        database, folder = postgres.database(), tmp_path_factory.mktemp("outages")
        migrate(postgres_settings(postgres, database, folder), deadline_s=20)
        sidecar = sidecar_of(apiserver, postgres, database, redis, folder)
        started.append(sidecar)
        with chart_parts(apiserver, "roles"):
            sidecar.start()
            token = token_of(apiserver, apiserver.namespace(), "admin", role="admin", everywhere=True)
            yield Place(services=services, sidecar=sidecar, token=token)
            apiserver.start()
    finally:
        for service in reversed(started):
            service.remove()


def expected(away: str, usual: Mapping[str, int]) -> dict[str, int]:
    """What is answered while a service is away."""
    if away == "redis":
        return dict(usual)
    if away == "kubernetes":  # nobody can say who asks
        return dict.fromkeys(usual, 503)
    return {name: 503 if name.split()[1].startswith(OF_HISTORY) else status for name, status in usual.items()}


@pytest.mark.parametrize("away", ["redis", "postgres", "kubernetes"])
def test_every_request_is_answered_in_time_while_a_service_is_away_and_all_comes_back(place: Place, away: str) -> None:
    wait_until(lambda: 503 not in place.statuses().values(), what="all is well", seconds=60)
    usual = place.statuses()

    place.services[away].kill()
    wait_until(lambda: place.down() == [away], what="it is told to be down", seconds=20)
    # Callers and rights are remembered for 10 s.
    wait_until(lambda: place.statuses() == expected(away, usual), what="every answer is as expected", seconds=60)
    place.services[away].start()

    wait_until(lambda: place.down() == [] and place.statuses() == usual, what="all has come back", seconds=90)
    assert set(usual.values()) <= {200, 404}
