"""Source, target and client programs of different majors: a newer target is fine, an older one is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from .majors import CLIENT
from .museum import museum
from .runs import Pod, backed_up
from .services import PostgresServer
from .shop import content, shop
from .syncs import Pair

needs_client = pytest.mark.skipif(CLIENT >= 17, reason="no client that dumps a server of 14 is installed")


def at(server: PostgresServer, folder: Path) -> Pod:
    """A pod whose datasource is on this server."""
    folder.mkdir(exist_ok=True)
    return Pod(folder, server)


def told(server: PostgresServer, database: str) -> dict[str, object]:
    """The content of a shop without the text of its view, which majors write in different ways."""
    found = content(server, database)
    definitions = found["definitions"]
    assert isinstance(definitions, list)
    others = [row for row in definitions if row[0] != "v"]
    return found | {"definitions": others, "paid": server.rows(database, "SELECT * FROM paid ORDER BY 1")}


@pytest.mark.parametrize("atomic", [True, False])
def test_a_backup_comes_back_on_a_server_that_is_newer_than_every_client(
    pod: Pod, postgres_server: PostgresServer, newer_postgres: PostgresServer, tmp_path: Path, atomic: bool
) -> None:
    database, copy = shop(postgres_server), newer_postgres.database()
    backup, newer = backed_up(pod, database), at(newer_postgres, tmp_path / "newer")

    ended = newer.run(newer.restore_plan(copy, backup, atomic=atomic))

    assert ended.status == 0, ended.output
    assert told(newer_postgres, copy) == told(postgres_server, database)
    assert ended.told.warnings == []


def test_a_backup_is_proven_on_a_newer_server(
    pod: Pod, postgres_server: PostgresServer, newer_postgres: PostgresServer, tmp_path: Path
) -> None:
    backup, newer = backed_up(pod, museum(postgres_server)), at(newer_postgres, tmp_path / "newer")

    ended = newer.run(newer.restore_plan(newer_postgres.database(), backup, verify=True))

    assert ended.status == 0, ended.output
    assert ended.told.verification is not None
    assert (ended.told.verification.passed, ended.told.verification.differences) == (True, [])


def test_a_server_that_is_older_than_the_backups_is_refused_and_left_as_it_was(
    pod: Pod, postgres_server: PostgresServer, older_postgres: PostgresServer, tmp_path: Path
) -> None:
    backup, target = backed_up(pod, shop(postgres_server)), shop(older_postgres)
    older_postgres.sql(target, "DELETE FROM orders WHERE id > 7")
    before, older = content(older_postgres, target), at(older_postgres, tmp_path / "older")

    ended = older.run(older.restore_plan(target, backup, drop_existing=True))

    assert ended.failure == (64, "server-too-old", "fetch")
    assert content(older_postgres, target) == before


def test_a_database_is_synced_into_a_newer_server_and_not_into_an_older_one(
    pod: Pod, postgres_server: PostgresServer, older_postgres: PostgresServer, newer_postgres: PostgresServer
) -> None:
    source = shop(postgres_server)
    newer = Pair(pod, newer_postgres, source, newer_postgres.database())
    older = Pair(pod, older_postgres, source, shop(older_postgres))

    ended = pod.run(newer.plan())

    assert ended.status == 0, ended.output
    assert told(newer_postgres, newer.target) == told(postgres_server, source)
    assert older.refused(older.plan()).failure == (64, "server-too-old", "connect")


@needs_client
@pytest.mark.parametrize("atomic", [True, False])
def test_a_server_that_is_older_than_the_client_is_backed_up_and_restored(
    older_postgres: PostgresServer, tmp_path: Path, atomic: bool
) -> None:
    older, database = at(older_postgres, tmp_path / "older"), shop(older_postgres)
    before = content(older_postgres, database)
    backup = backed_up(older, database)
    older_postgres.sql(database, "DROP VIEW paid", "DELETE FROM orders WHERE id > 7")

    ended = older.run(older.restore_plan(database, backup, drop_existing=True, atomic=atomic))

    assert ended.status == 0, ended.output
    assert content(older_postgres, database) == before
    assert ended.told.warnings == []


@needs_client
@pytest.mark.parametrize("target", ["older_postgres", "postgres_server"])
def test_a_backup_of_an_older_server_is_proven(
    older_postgres: PostgresServer, tmp_path: Path, target: str, request: pytest.FixtureRequest
) -> None:
    server: PostgresServer = request.getfixturevalue(target)
    backup, place = (
        backed_up(at(older_postgres, tmp_path / "older"), museum(older_postgres)),
        at(server, tmp_path / "at"),
    )

    ended = place.run(place.restore_plan(server.database(), backup, verify=True))

    assert ended.status == 0, ended.output
    assert ended.told.verification is not None
    assert (ended.told.verification.passed, ended.told.verification.differences) == (True, [])
    assert ended.told.warnings == []
