"""A restore brings back what was backed up, or leaves the target exactly as it was."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from dataguardian.domain import manifest as manifests
from dataguardian.domain.plan import FilesystemTarget

from .runs import FOLDER, Pod
from .services import PostgresServer, S3Server, wait_until
from .shop import content, shop

# As Kubernetes' schema of a Datasource allows them: libpq would read these as connections, options or patterns.
HOSTILE_NAMES = [
    "host=127.0.0.1 port=1",
    "postgresql://127.0.0.1:1/x",
    'it\'s \\ "quoted"',
    "dbname = 'x'",
    "semi;colon $(touch x) `x`",
    "ação 数据",
]


def backed_up(pod: Pod, database: str, **changes: object) -> FilesystemTarget:
    """A completed backup of a database, on a volume."""
    target = pod.volume()
    ended = pod.run(pod.backup_plan(database, target, **changes))
    assert ended.status == 0, ended.output
    return target


def folder_of(target: FilesystemTarget) -> Path:
    """Where the files of the backup are."""
    return Path(target.root) / "prod" / FOLDER


def test_a_restore_brings_back_every_row_and_definition(
    pod: Pod, s3_server: S3Server, postgres_server: PostgresServer
) -> None:
    database, copy = shop(postgres_server), postgres_server.database()
    target = pod.s3(s3_server, s3_server.bucket())
    assert pod.run(pod.backup_plan(database, target)).status == 0

    ended = pod.run(pod.restore_plan(copy, target))

    assert ended.status == 0, ended.output
    assert content(postgres_server, copy) == content(postgres_server, database)
    assert ended.report is not None
    assert (ended.report.tables, ended.report.rows, ended.report.warnings) == (3, 5502, [])


@pytest.mark.parametrize("codec", ["zstd", "gzip", "none"])
def test_dropping_what_exists_replaces_what_the_backup_contains(
    pod: Pod, postgres_server: PostgresServer, codec: str
) -> None:
    database = shop(postgres_server)
    before = content(postgres_server, database)
    target = backed_up(pod, database, codec=codec)
    postgres_server.sql(database, "DELETE FROM orders", "DROP VIEW paid", "UPDATE customers SET name = 'x'")

    ended = pod.run(pod.restore_plan(database, target, drop_existing=True))

    assert ended.status == 0, ended.output
    assert content(postgres_server, database) == before


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_databases_name_is_a_name_whatever_it_looks_like(
    pod: Pod, postgres_server: PostgresServer, name: str
) -> None:
    shop(postgres_server, name)
    before = content(postgres_server, name)
    target = backed_up(pod, name)
    postgres_server.drop(name)
    postgres_server.database(name)

    ended = pod.run(pod.restore_plan(name, target))

    assert ended.status == 0, ended.output
    assert content(postgres_server, name) == before
    postgres_server.drop(name)


def test_a_target_that_is_not_empty_is_refused_and_stays(pod: Pod, postgres_server: PostgresServer) -> None:
    database = shop(postgres_server)
    before = content(postgres_server, database)

    ended = pod.run(pod.restore_plan(database, backed_up(pod, database)))

    assert ended.failure == (64, "target-not-empty", "fetch")
    assert content(postgres_server, database) == before


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


def test_a_flipped_bit_in_a_row_that_any_server_would_load_is_backup_corrupt(
    pod: Pod, postgres_server: PostgresServer
) -> None:
    database = postgres_server.database()
    postgres_server.sql(database, "CREATE TABLE t AS SELECT repeat('a', 1000) AS t FROM generate_series(1, 300)")
    target = backed_up(pod, database, codec="none")
    path = folder_of(target) / "data.dump"
    data = bytearray(path.read_bytes())
    data[data.index(b"aaaa") + 500] = ord("b")
    path.write_bytes(data)
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


def test_a_backup_of_a_newer_server_is_refused(pod: Pod, postgres_server: PostgresServer) -> None:
    target = backed_up(pod, shop(postgres_server))
    path = folder_of(target) / "manifest.json"
    path.write_text(path.read_text().replace('"engine_version": "', '"engine_version": "9'))

    ended = pod.run(pod.restore_plan(postgres_server.database(), target))

    assert ended.failure == (64, "spec-invalid", "fetch")


def test_a_role_that_the_target_lacks_is_load_failed_and_the_target_stays(
    pod: Pod, postgres_server: PostgresServer
) -> None:
    database = shop(postgres_server)
    postgres_server.sql(database, "CREATE ROLE vanishing", "ALTER TABLE orders OWNER TO vanishing")
    target = backed_up(pod, database)
    postgres_server.sql(database, "REASSIGN OWNED BY vanishing TO postgres", "DROP ROLE vanishing")
    before = content(postgres_server, database)

    ended = pod.run(pod.restore_plan(database, target, drop_existing=True))

    assert ended.failure == (70, "load-failed", "load")
    assert "vanishing" in ended.text
    assert content(postgres_server, database) == before


def test_a_wrong_password_is_permission_refused(pod: Pod, postgres_server: PostgresServer) -> None:
    database = shop(postgres_server)
    plan = pod.restore_plan(database, backed_up(pod, database))
    pod.secret("password", "wrong-password")

    ended = pod.run(plan)

    assert ended.failure == (77, "permission-refused", "fetch")
    assert "wrong-password" not in ended.text


SESSIONS = "SELECT pid FROM pg_stat_activity WHERE application_name = 'dataguardian' AND datname = current_database()"
LOADING = """
    SELECT pid FROM pg_stat_activity
     WHERE application_name = 'dataguardian' AND wait_event_type = 'Lock' AND datname = current_database()
"""


def test_a_load_that_the_server_ends_is_load_failed_and_the_target_stays(
    pod: Pod, postgres_server: PostgresServer
) -> None:
    database = shop(postgres_server)
    plan = pod.restore_plan(database, backed_up(pod, database), drop_existing=True)
    before = content(postgres_server, database)
    with psycopg.connect(postgres_server.dsn(database)) as reader:
        reader.execute("SELECT count(*) FROM customers")  # the load waits for this lock
        running = pod.start(plan)
        running.until(lambda: postgres_server.rows(database, LOADING), "the load waits")
        postgres_server.rows(database, f"SELECT pg_terminate_backend(pid) FROM ({LOADING}) AS loading")

        ended = running.ended()

    assert ended.failure == (70, "load-failed", "load")
    assert content(postgres_server, database) == before


def test_sigterm_ends_a_load_within_ten_seconds_as_cancelled_and_the_target_stays(
    pod: Pod, postgres_server: PostgresServer
) -> None:
    database = shop(postgres_server)
    plan = pod.restore_plan(database, backed_up(pod, database), drop_existing=True)
    before = content(postgres_server, database)
    with psycopg.connect(postgres_server.dsn(database)) as reader:
        reader.execute("SELECT count(*) FROM customers")
        running = pod.start(plan)
        running.until(lambda: postgres_server.rows(database, LOADING), "the load waits")
        started = time.monotonic()
        running.signal(signal.SIGTERM)

        ended = running.ended()

    assert ended.failure == (143, "cancelled", "load")
    assert time.monotonic() - started < 10
    wait_until(lambda: not postgres_server.rows(database, LOADING), what="the load's session is gone")
    assert content(postgres_server, database) == before


def test_a_killed_runner_leaves_the_target_as_it_was(pod: Pod, postgres_server: PostgresServer) -> None:
    database = shop(postgres_server)
    plan = pod.restore_plan(database, backed_up(pod, database), drop_existing=True)
    before = content(postgres_server, database)
    with psycopg.connect(postgres_server.dsn(database)) as reader:
        reader.execute("SELECT count(*) FROM customers")
        running = pod.start(plan)
        running.until(lambda: postgres_server.rows(database, LOADING), "the load waits")
        running.signal(signal.SIGKILL)
        running.ended()

    wait_until(lambda: not postgres_server.rows(database, SESSIONS), what="the load's sessions are gone")
    assert content(postgres_server, database) == before
