"""Two operators as processes, on a real API server: one works, whatever happens to it."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from dataguardian.domain.leadership import CERTAIN_S, DURATION_S
from dataguardian.domain.naming import LEASE
from dataguardian.errors import LeadershipLost
from dataguardian.history.migrate import migrate
from dataguardian.kube.client import JSON

from .apiserver import ApiServer
from .clients import frozen, postgres_settings
from .operators import Operator
from .services import PostgresServer, RedisServer, wait_until

TAKEOVER_S = 30.0
STANDBY_MIB = 80
OBJECTS = """
apiVersion: dataguardian.io/v1alpha1
kind: Datasource
metadata: {name: orders}
spec:
  engine: postgresql
  host: db
  database: orders
  credentialsSecretRef: {name: db}
  maxConcurrentExecutions: 10
---
apiVersion: dataguardian.io/v1alpha1
kind: StorageLocation
metadata: {name: primary}
spec: {s3: {bucket: backups, region: us-east-1, endpoint: "http://s3:7070", credentialsSecretRef: {name: s3}}}
---
apiVersion: dataguardian.io/v1alpha1
kind: BackupJob
metadata: {name: nightly}
spec: {datasourceRef: {name: orders}, storage: {locations: [{name: primary}]}, concurrencyPolicy: Allow}
"""
RUN = """
apiVersion: dataguardian.io/v1alpha1
kind: BackupExecution
metadata: {{name: {name}}}
spec: {{backupJobRef: {{name: nightly}}}}
"""


class Pair:
    """Two operators of one release, and the objects of a shop that they look after."""

    def __init__(self, apiserver: ApiServer, postgres: PostgresServer, database: str, redis: RedisServer) -> None:
        self.apiserver = apiserver
        self.shop = apiserver.namespace()
        self._own = apiserver.namespace()
        self.operators = [
            Operator(apiserver, postgres, database, redis, self._own, f"operator-{name}-{self._own}") for name in "ab"
        ]
        self._create(OBJECTS)

    def until_one_leads(self) -> tuple[Operator, Operator]:
        """The one that leads, and the one that stands by."""
        wait_until(lambda: any(one.leads for one in self.operators), what="one operator leads")
        leader, standby = sorted(self.operators, key=lambda one: not one.leads)
        assert not standby.leads
        return leader, standby

    def start_backups(self, *names: str) -> None:
        for name in names:
            self._create(RUN.format(name=name))

    def until_started(self, *names: str, seconds: float = 30) -> None:
        """Until each of the backups has its Kubernetes Job."""
        wanted = {f"backup-{name}" for name in names}
        wait_until(lambda: wanted <= set(self._jobs()), what=f"{wanted} exist", seconds=seconds)

    def holder(self) -> str:
        """Whom the Lease names."""
        return self._lease("get", "--output=jsonpath={.spec.holderIdentity}")

    def delete_lease(self) -> None:
        self._lease("delete")

    def writes(self, operator: Operator) -> list[JSON]:
        """What it wrote in the shop."""
        found = self.apiserver.writes(operator.user)
        return [entry for entry in found if entry["objectRef"].get("namespace") == self.shop]

    def remove(self) -> None:
        for operator in self.operators:
            operator.remove()

    def _lease(self, verb: str, *options: str) -> str:
        return self.apiserver.kubectl(verb, "lease", LEASE, f"--namespace={self._own}", *options)

    def _create(self, objects: str) -> None:
        self.apiserver.kubectl("create", f"--namespace={self.shop}", "--filename=-", stdin=objects)

    def _jobs(self) -> list[str]:
        found = self.apiserver.kubectl("get", "jobs", f"--namespace={self.shop}", "--output=name")
        return [name.removeprefix("job.batch/") for name in found.split()]


@pytest.fixture(scope="module")
def apiserver() -> Iterator[ApiServer]:
    """One of its own: these operators look after all that they find."""
    server = ApiServer(audited=True)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="module")
def database(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    name = postgres_server.database()
    migrate(postgres_settings(postgres_server, name, tmp_path_factory.mktemp("secrets")), deadline_s=10)
    return name


@pytest.fixture
def pair(
    apiserver: ApiServer, postgres_server: PostgresServer, database: str, redis_server: RedisServer
) -> Iterator[Pair]:
    made = Pair(apiserver, postgres_server, database, redis_server)
    try:
        for operator in made.operators:
            operator.start()
        yield made
    finally:
        made.remove()


def test_one_operator_works_and_the_other_one_writes_nothing(pair: Pair) -> None:
    leader, standby = pair.until_one_leads()

    pair.start_backups("first", "second")
    pair.until_started("first", "second")

    assert leader.healthz() == (200, {"status": "ok", "leading": True})
    assert standby.healthz() == (200, {"status": "ok", "leading": False})
    assert pair.writes(leader) != []
    assert pair.apiserver.writes(standby.user) == []
    assert standby.resident_mib() < STANDBY_MIB


def test_the_rights_of_the_chart_are_enough(pair: Pair) -> None:
    leader, _ = pair.until_one_leads()

    pair.start_backups("first")
    pair.until_started("first")

    refused = [entry for entry in pair.apiserver.writes(leader.user) if entry["responseStatus"]["code"] == 403]
    assert refused == []


def test_a_killed_leader_is_replaced_within_half_a_minute(pair: Pair) -> None:
    leader, standby = pair.until_one_leads()

    leader.kill()
    pair.start_backups("first")

    pair.until_started("first", seconds=TAKEOVER_S)
    assert standby.leads


def test_a_leader_that_was_frozen_writes_nothing_when_it_wakes_up_and_ends(pair: Pair) -> None:
    leader, standby = pair.until_one_leads()
    pair.start_backups("before")
    pair.until_started("before")

    with frozen(leader):
        pair.start_backups("meanwhile", "and-another")
        pair.until_started("meanwhile", "and-another", seconds=TAKEOVER_S)
        woken_at = time.time()

    assert exit_status(leader, within_s=5) == LeadershipLost.exit_status
    assert said_last(leader).startswith("error [leadership-lost]")
    assert pair.apiserver.writes(leader.user, since=woken_at) == []
    assert standby.leads


def test_a_leader_that_is_told_to_end_hands_over_at_once(pair: Pair) -> None:
    leader, standby = pair.until_one_leads()
    before = pair.holder()

    tell(leader, signal.SIGTERM)

    assert exit_status(leader, within_s=10) == 0
    wait_until(lambda: standby.leads, what="the other one leads", seconds=5)
    assert pair.holder() not in ("", before)
    pair.start_backups("first")
    pair.until_started("first", seconds=5)


def test_a_leader_ends_in_order_though_history_and_queue_do_not_answer(
    pair: Pair, postgres_server: PostgresServer, redis_server: RedisServer
) -> None:
    leader, _ = pair.until_one_leads()

    with frozen(postgres_server), frozen(redis_server):
        pair.start_backups("first")
        wait_until(lambda: pair.writes(leader), what="the leader has seen the backup")
        tell(leader, signal.SIGTERM)

        assert exit_status(leader, within_s=10) == 0


def test_a_standby_ends_in_order(pair: Pair) -> None:
    _, standby = pair.until_one_leads()

    tell(standby, signal.SIGTERM)

    assert exit_status(standby, within_s=5) == 0


def test_a_leader_that_cannot_renew_ends_before_anybody_else_may_begin(pair: Pair) -> None:
    leader, standby = pair.until_one_leads()

    with frozen(pair.apiserver):
        assert exit_status(leader, within_s=DURATION_S) == LeadershipLost.exit_status
        assert standby.healthz() == (200, {"status": "ok", "leading": False})

    wait_until(lambda: standby.leads, what="the other one leads", seconds=TAKEOVER_S)


def test_a_leader_whose_lease_was_deleted_ends(pair: Pair) -> None:
    leader, _ = pair.until_one_leads()

    pair.delete_lease()

    assert exit_status(leader, within_s=CERTAIN_S) == LeadershipLost.exit_status


def tell(operator: Operator, number: signal.Signals) -> None:
    assert operator.process is not None
    operator.process.send_signal(number)


def exit_status(operator: Operator, *, within_s: float) -> int:
    assert operator.process is not None
    return operator.process.wait(timeout=within_s)


def said_last(operator: Operator) -> str:
    return operator.log().splitlines()[-1]
