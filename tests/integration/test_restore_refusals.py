"""A restore that could not go well is refused with a code of its own, and the target is not touched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from dataguardian.domain.plan import Endpoint, ExpectedTarget, FilesystemTarget

from .runs import Ended, Pod, backed_up, rewrite_manifest
from .services import PostgresServer
from .shop import content, shop

Manifest = dict[str, Any]


@pytest.fixture
def backup(pod: Pod, postgres_server: PostgresServer) -> FilesystemTarget:
    """The backup of a shop."""
    return backed_up(pod, shop(postgres_server))


@pytest.fixture
def target(postgres_server: PostgresServer) -> str:
    """A database with something in it."""
    database = postgres_server.database()
    postgres_server.sql(database, "CREATE TABLE customers (id int)", "INSERT INTO customers VALUES (1)")
    return database


def limited(pod: Pod, server: PostgresServer, database: str) -> Endpoint:
    """The database as a role sees it that may do nothing but log in."""
    name = f"limited_{database}"
    with psycopg.connect(server.dsn(database)) as connection:
        connection.execute(SQL("CREATE ROLE {} LOGIN PASSWORD 'limited'").format(Identifier(name)))
    return pod.endpoint(
        database, username_file=pod.secret("limited", name), password_file=pod.secret("limited-password", "limited")
    )


def refused(pod: Pod, server: PostgresServer, database: str, backup: FilesystemTarget, **plan: Any) -> Ended:
    """The end of a restore that leaves the target as it was."""
    before = content(server, database)
    ended = pod.run(pod.restore_plan(database, backup, drop_existing=True, **plan))
    assert content(server, database) == before
    return ended


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda manifest: manifest.update(version=2), "manifest-unknown"),
        (lambda manifest: manifest.update(codec="brotli"), "manifest-unknown"),
        (lambda manifest: manifest.update(engine="mariadb"), "engine-mismatch"),
        (lambda manifest: manifest.update(engine_version="99.1"), "server-too-old"),
        (lambda manifest: manifest["fingerprint"].update(roles=["vanished"]), "prerequisite-missing"),
        (lambda manifest: manifest["fingerprint"].update(extensions={"vanished": "1"}), "prerequisite-missing"),
    ],
)
def test_a_backup_that_does_not_fit_is_refused(
    pod: Pod,
    postgres_server: PostgresServer,
    backup: FilesystemTarget,
    target: str,
    change: Callable[[Manifest], None],
    code: str,
) -> None:
    rewrite_manifest(backup, change)

    ended = refused(pod, postgres_server, target, backup)

    assert ended.failure == (64, code, "fetch")
    if code == "prerequisite-missing":
        assert "vanished" in ended.message


@pytest.mark.parametrize("expected", [{"server_identity": "1"}, {"database": "elsewhere"}])
def test_another_target_than_the_expected_one_is_refused(
    pod: Pod, postgres_server: PostgresServer, backup: FilesystemTarget, target: str, expected: dict[str, str]
) -> None:
    ended = refused(pod, postgres_server, target, backup, expected=ExpectedTarget(**expected))

    assert ended.failure == (64, "target-mismatch", "fetch")


def test_the_expected_target_is_restored_into(
    pod: Pod, postgres_server: PostgresServer, backup: FilesystemTarget
) -> None:
    target = postgres_server.database()
    ((identity,),) = postgres_server.rows(target, "SELECT system_identifier::text FROM pg_control_system()")
    expected = ExpectedTarget(server_identity=str(identity), database=target)

    assert pod.run(pod.restore_plan(target, backup, expected=expected)).status == 0


def test_an_identity_that_the_role_may_not_read_is_refused_with_the_remedy(
    pod: Pod, postgres_server: PostgresServer, backup: FilesystemTarget, target: str
) -> None:
    postgres_server.sql(target, "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
    endpoint = limited(pod, postgres_server, target)

    expected = ExpectedTarget(server_identity="1")
    ended = refused(pod, postgres_server, target, backup, expected=expected, target=endpoint)

    assert ended.failure == (64, "target-mismatch", "fetch")
    assert "pg_control_system" in ended.text


def test_a_target_that_is_not_empty_is_refused(
    pod: Pod, postgres_server: PostgresServer, backup: FilesystemTarget, target: str
) -> None:
    before = content(postgres_server, target)

    ended = pod.run(pod.restore_plan(target, backup))

    assert ended.failure == (64, "target-not-empty", "fetch")
    assert "public.customers" in ended.message
    assert content(postgres_server, target) == before


def test_a_disk_that_would_be_full_is_refused(
    pod: Pod, postgres_server: PostgresServer, backup: FilesystemTarget, target: str
) -> None:
    ((used,),) = postgres_server.rows(target, "SELECT sum(pg_database_size(oid))::bigint FROM pg_database")
    rewrite_manifest(backup, lambda manifest: manifest["fingerprint"].update(database_bytes=50_000_000))
    capacity = int(str(used)) + 20_000_000

    ended = refused(pod, postgres_server, target, backup, capacity_bytes=capacity)

    assert ended.failure == (64, "target-too-small", "fetch")


def test_a_verification_without_the_right_to_create_a_database_is_refused_with_the_remedy(
    pod: Pod, postgres_server: PostgresServer, backup: FilesystemTarget, target: str
) -> None:
    plan = pod.restore_plan(target, backup, verify=True, target=limited(pod, postgres_server, target))

    ended = pod.run(plan)

    assert ended.failure == (77, "permission-refused", "fetch")
    assert "CREATEDB" in ended.text
