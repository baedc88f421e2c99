"""A verification in a throw-away server beside the runner touches no other server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dataguardian.domain.plan import EphemeralServer, RestorePlan

from .runs import Pod, backed_up, rewrite_manifest
from .services import PostgresServer
from .shop import shop
from .trials import SocketServer, proofs


@pytest.fixture
def beside() -> Iterator[SocketServer]:
    """A server that has not been started."""
    server = SocketServer()
    try:
        yield server
    finally:
        server.remove()


def plan(pod: Pod, postgres_server: PostgresServer, beside: SocketServer, data_dir: str | None = None) -> RestorePlan:
    """A plan to verify the backup of a shop that a role owns which only the source has."""
    database = shop(postgres_server)
    role = 'o"wner'
    if not postgres_server.rows(database, "SELECT FROM pg_roles WHERE rolname = 'o\"wner'"):
        postgres_server.sql(database, 'CREATE ROLE "o""wner"')
    postgres_server.sql(database, 'ALTER TABLE orders OWNER TO "o""wner"')
    backup = backed_up(pod, database)
    rewrite_manifest(backup, lambda manifest: manifest["fingerprint"].update(roles=["postgres", role, "pg_monitor"]))
    server = EphemeralServer(
        engine="postgresql", socket_dir=str(beside.sockets), data_dir=data_dir or str(beside.folder)
    )
    return pod.restore_plan(database, backup, verify=True, target=server)


def test_the_server_is_waited_for_gets_the_roles_and_proves_the_backup(
    pod: Pod, postgres_server: PostgresServer, beside: SocketServer
) -> None:
    running = pod.start(plan(pod, postgres_server, beside))
    running.until_action("server_awaited")
    beside.start()

    ended = running.ended()

    assert ended.status == 0, ended.output
    assert ended.told.verification is not None
    assert (ended.told.verification.passed, ended.told.verification.rows) == (True, 5502)
    assert beside.rows("postgres", "SELECT rolcanlogin FROM pg_roles WHERE rolname = 'o\"wner'") == [(False,)]
    assert beside.rows("postgres", "SELECT datname FROM pg_database WHERE datname LIKE 'dg_%'") == []
    (proof,) = proofs(pod.volume())
    assert (proof["target"], proof["passed"]) == ("Ephemeral", True)


def test_the_source_server_sees_no_connection(pod: Pod, postgres_server: PostgresServer, beside: SocketServer) -> None:
    made = plan(pod, postgres_server, beside)
    beside.start()
    sessions = "SELECT sum(sessions) FROM pg_stat_database WHERE datname LIKE 'db_%'"
    before = postgres_server.rows("postgres", sessions)

    ended = pod.run(made)

    assert ended.status == 0, ended.output
    assert postgres_server.rows("postgres", sessions) == before


def test_a_run_that_waits_for_its_server_can_be_cancelled(
    pod: Pod, postgres_server: PostgresServer, beside: SocketServer
) -> None:
    running = pod.start(plan(pod, postgres_server, beside))
    running.until_action("server_awaited")
    running.signal()

    assert running.ended().failure == (143, "cancelled", "fetch")


def test_a_restore_into_a_throw_away_server_is_refused(
    pod: Pod, postgres_server: PostgresServer, beside: SocketServer
) -> None:
    server = EphemeralServer(engine="postgresql", socket_dir=str(beside.sockets), data_dir=str(beside.folder))

    ended = pod.run(pod.restore_plan("unused", pod.volume(), target=server))

    assert ended.failure == (64, "spec-invalid", "connect")
