"""What a backup does with each kind of bad input: it says which, and leaves nothing behind."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataguardian.domain.plan import FilesystemTarget, S3Target

from .runs import Pod, assert_nothing_stored
from .services import PostgresServer, S3Server, free_port
from .shop import shop


def test_a_wrong_password_is_permission_refused(
    pod: Pod, s3_server: S3Server, bucket: S3Target, postgres_server: PostgresServer
) -> None:
    plan = pod.backup_plan(shop(postgres_server), bucket)
    pod.secret("password", "wrong-password")

    ended = pod.run(plan)

    assert ended.failure == (77, "permission-refused", "connect")
    assert "wrong-password" not in ended.text
    assert_nothing_stored(s3_server, bucket)


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
def test_an_unreachable_server_is_database_unavailable(
    pod: Pod, s3_server: S3Server, bucket: S3Target, host: str
) -> None:
    source = pod.endpoint("orders", host=host, port=free_port())

    ended = pod.run(pod.backup_plan("orders", bucket, source=source))

    assert ended.failure == (75, "database-unavailable", "connect")
    assert_nothing_stored(s3_server, bucket)


def test_an_unknown_database_is_not_found(pod: Pod, s3_server: S3Server, bucket: S3Target) -> None:
    ended = pod.run(pod.backup_plan("no_such_database", bucket))

    assert ended.failure == (66, "not-found", "connect")
    assert "no_such_database" in ended.text
    assert_nothing_stored(s3_server, bucket)


def test_a_role_that_may_not_read_one_table_is_permission_refused_and_the_table_is_named(
    pod: Pod, s3_server: S3Server, bucket: S3Target, postgres_server: PostgresServer
) -> None:
    database = shop(postgres_server)
    postgres_server.sql(
        database,
        "CREATE ROLE reader LOGIN PASSWORD 'reader'",
        "GRANT SELECT ON orders TO reader",
        'GRANT USAGE ON SCHEMA "odd \'schema" TO reader',
        'GRANT SELECT ON "odd \'schema"."line\nbreak; --" TO reader',
    )
    plan = pod.backup_plan(database, bucket)
    pod.secret("username", "reader")
    pod.secret("password", "reader")

    ended = pod.run(plan)

    assert ended.failure == (77, "permission-refused", "dump")
    assert "customers" in ended.text
    assert_nothing_stored(s3_server, bucket)


def test_a_missing_bucket_is_not_found_before_anything_is_dumped(
    pod: Pod, s3_server: S3Server, postgres_server: PostgresServer
) -> None:
    ended = pod.run(pod.backup_plan(shop(postgres_server), pod.s3(s3_server, "no-such-bucket")))

    assert ended.failure == (66, "not-found", "connect")
    assert "spec.s3.bucket" in ended.text


@pytest.mark.parametrize("file", ["accessKeyId", "secretAccessKey"])
def test_a_wrong_key_is_permission_refused(
    pod: Pod, s3_server: S3Server, bucket: S3Target, postgres_server: PostgresServer, file: str
) -> None:
    plan = pod.backup_plan(shop(postgres_server), bucket)
    pod.secret(file, "wrong-key")

    ended = pod.run(plan)

    assert ended.failure == (77, "permission-refused", "connect")
    assert_nothing_stored(s3_server, bucket)


def test_an_unreachable_store_is_storage_unavailable_within_a_minute(
    pod: Pod, s3_server: S3Server, postgres_server: PostgresServer
) -> None:
    nowhere = pod.s3(s3_server, "bucket", endpoint=f"http://127.0.0.1:{free_port()}")
    plan = pod.backup_plan(shop(postgres_server), nowhere)
    started = time.monotonic()

    ended = pod.run(plan)

    assert ended.failure == (75, "storage-unavailable", "connect")
    assert time.monotonic() - started < 60


@pytest.mark.parametrize("file", ["username", "password", "accessKeyId", "secretAccessKey"])
def test_a_missing_key_of_a_secret_is_not_found_and_named(
    pod: Pod, s3_server: S3Server, bucket: S3Target, postgres_server: PostgresServer, file: str
) -> None:
    plan = pod.backup_plan(shop(postgres_server), bucket)
    (pod.folder / file).unlink()

    ended = pod.run(plan)

    assert ended.failure == (66, "not-found", "connect")
    assert f"'{file}'" in ended.text


def mounted(folder: Path, options: str) -> Iterator[FilesystemTarget]:
    """A volume of 1 MiB."""
    root = folder / "small"
    root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=1m,{options}", "tmpfs", str(root)], check=True)
    try:
        yield FilesystemTarget(location="primary", root=str(root), prefix="prod")
    finally:
        subprocess.run(["umount", str(root)], check=True)


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[FilesystemTarget]:
    """A volume that cannot be written."""
    yield from mounted(tmp_path, "ro")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[FilesystemTarget]:
    """A volume that is soon full."""
    yield from mounted(tmp_path, "rw")


def test_a_read_only_volume_is_permission_refused(
    pod: Pod, postgres_server: PostgresServer, read_only: FilesystemTarget
) -> None:
    ended = pod.run(pod.backup_plan(shop(postgres_server), read_only))

    assert ended.failure == (77, "permission-refused", "dump")


def test_a_full_volume_is_storage_full_and_nothing_stays_on_it(
    pod: Pod, big_database: str, small: FilesystemTarget
) -> None:
    ended = pod.run(pod.backup_plan(big_database, small))

    assert ended.failure == (75, "storage-full", "dump")
    assert "full" in ended.text
    assert [path for path in Path(small.root).rglob("*") if path.is_file()] == []


def test_a_volume_that_is_not_mounted_is_not_found(pod: Pod, postgres_server: PostgresServer) -> None:
    absent = FilesystemTarget(location="primary", root=str(pod.folder / "absent"))

    ended = pod.run(pod.backup_plan(shop(postgres_server), absent))

    assert ended.failure == (66, "not-found", "connect")
