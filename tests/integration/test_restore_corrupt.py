"""A damaged backup is told from a good one, and never changes the target."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL, Literal

from dataguardian.domain import manifest as manifests
from dataguardian.domain.plan import FilesystemTarget

from .runs import Pod, backed_up, folder_of
from .services import PostgresServer
from .shop import content, shop


def flipped(path: Path, at: float) -> None:
    """Change one bit of a file; ``at`` is a fraction of its length."""
    data = bytearray(path.read_bytes())
    data[min(int(len(data) * at), len(data) - 1)] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("codec", ["zstd", "gzip", "none"])
@pytest.mark.parametrize("at", [0.3, 0.9, 1.0])
def test_one_flipped_bit_is_backup_corrupt_and_the_target_stays(
    pod: Pod, postgres_server: PostgresServer, codec: str, at: float
) -> None:
    database = shop(postgres_server)
    target = backed_up(pod, database, codec=codec)
    flipped(folder_of(target) / manifests.data_name(codec), at)
    postgres_server.sql(database, "DELETE FROM orders WHERE id > 10")
    before = content(postgres_server, database)

    ended = pod.run(pod.restore_plan(database, target, drop_existing=True))

    assert ended.failure == (65, "backup-corrupt", "load")
    assert content(postgres_server, database) == before


def uncompressed(pod: Pod, server: PostgresServer, *, rows: int) -> tuple[FilesystemTarget, Path, bytearray]:
    """The backup of a table with 1000 times ``a`` in each row: where it is, its dump's file and bytes."""
    database = server.database()
    with psycopg.connect(server.dsn(database)) as connection:
        query = "CREATE TABLE t AS SELECT repeat('a', 1000) AS t FROM generate_series(1, {}) AS i"
        connection.execute(SQL(query).format(Literal(rows)))
    target = backed_up(pod, database, codec="none")
    path = folder_of(target) / "data.dump"
    return target, path, bytearray(path.read_bytes())


def test_a_flipped_bit_in_a_row_that_any_server_would_load_is_backup_corrupt(
    pod: Pod, postgres_server: PostgresServer
) -> None:
    target, path, data = uncompressed(pod, postgres_server, rows=300)
    data[data.index(b"aaaa") + 500] = ord("b")
    path.write_bytes(data)
    copy = postgres_server.database()

    ended = pod.run(pod.restore_plan(copy, target))

    assert ended.failure == (65, "backup-corrupt", "load")
    assert content(postgres_server, copy)["definitions"] == []


@pytest.mark.parametrize("atomic", [True, False])
def test_a_load_that_takes_damage_for_its_end_is_backup_corrupt_and_the_target_stays(
    pod: Pod, postgres_server: PostgresServer, atomic: bool
) -> None:
    target, path, data = uncompressed(pod, postgres_server, rows=30_000)
    row = data.index(b"aaaa")
    data[row - 5 : row] = bytes(5)  # its length: zero ends the table's data
    path.write_bytes(data)
    copy = postgres_server.database()

    ended = pod.run(pod.restore_plan(copy, target, atomic=atomic))

    assert ended.failure == (65, "backup-corrupt", "load")
    assert content(postgres_server, copy)["definitions"] == []


def test_a_load_that_stumbles_over_flipped_bits_before_the_checksum_is_known_is_backup_corrupt(
    pod: Pod, big_database: str, postgres_server: PostgresServer
) -> None:
    target = backed_up(pod, big_database, codec="none")
    path = folder_of(target) / "data.dump"
    data = path.read_bytes()
    path.write_bytes(data.replace(b"CREATE TABLE", b"CREATE TIBLE", 1))
    copy = postgres_server.database()

    ended = pod.run(pod.restore_plan(copy, target))

    assert ended.failure == (65, "backup-corrupt", "load")
    assert content(postgres_server, copy)["definitions"] == []


def cut(path: Path) -> None:
    """Lose the last byte."""
    os.truncate(path, path.stat().st_size - 1)


@pytest.mark.parametrize("damage", [cut, Path.unlink])
def test_a_cut_or_missing_object_is_backup_corrupt_before_the_target_is_touched(
    pod: Pod, postgres_server: PostgresServer, damage: Callable[[Path], None]
) -> None:
    database = shop(postgres_server)
    target = backed_up(pod, database)
    damage(folder_of(target) / "data.dump.zst")

    ended = pod.run(pod.restore_plan(postgres_server.database(), target))

    assert ended.failure == (65, "backup-corrupt", "fetch")


def test_a_missing_manifest_is_not_found(pod: Pod, postgres_server: PostgresServer) -> None:
    target = backed_up(pod, shop(postgres_server))
    (folder_of(target) / "manifest.json").unlink()

    ended = pod.run(pod.restore_plan(postgres_server.database(), target))

    assert ended.failure == (66, "not-found", "fetch")


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ("9f8e7d6c-0000", "00000000-0000"),  # the manifest of another execution
        ('"name": "data.dump.zst"', '"name": "../data.dump.zst"'),
        ('"codec": "zstd"', '"codec": 7'),
        ("}", ""),
    ],
)
def test_a_manifest_that_is_not_the_one_that_was_written_is_backup_corrupt(
    pod: Pod, postgres_server: PostgresServer, text: str, instead: str
) -> None:
    target = backed_up(pod, shop(postgres_server))
    path = folder_of(target) / "manifest.json"
    path.write_text(path.read_text().replace(text, instead))

    ended = pod.run(pod.restore_plan(postgres_server.database(), target))

    assert ended.failure == (65, "backup-corrupt", "fetch")
