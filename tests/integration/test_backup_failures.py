"""What a backup does with each kind of bad input: it says which, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from dataguardian.domain.plan import FilesystemTarget, S3Target

from .runs import Pod, Running
from .services import PostgresServer, S3Server, free_port, wait_until
from .shop import HELD_AFTER, content, shop
from .valve import Valve


@pytest.fixture
def bucket(pod: Pod, s3_server: S3Server) -> S3Target:
    """An empty bucket."""
    return pod.s3(s3_server, s3_server.bucket())


@pytest.fixture
def own_s3() -> Iterator[S3Server]:
    """An S3 server that a test may kill."""
    server = S3Server()
    try:
        server.start()
        yield server
    finally:
        server.remove()


def assert_nothing_stored(server: S3Server, target: S3Target) -> None:
    """Neither an object nor a part of one."""
    assert server.admin.keys(target.bucket) == []
    assert server.admin.uploads(target.bucket) == []


def held(pod: Pod, database: str, valve: Valve, target: S3Target, server: S3Server) -> Running:
    """A backup held in the middle of its dump and of its upload."""
    valve.hold_after(HELD_AFTER)
    source = pod.endpoint(database, host=valve.host, port=valve.port)
    running = pod.start(pod.backup_plan(database, target, source=source))
    running.until(lambda: valve.holds and server.admin.uploads(target.bucket), "the upload is under way")
    return running


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


def test_a_dump_that_the_server_ends_is_dump_failed(
    pod: Pod, s3_server: S3Server, bucket: S3Target, postgres_server: PostgresServer, big_database: str, valve: Valve
) -> None:
    running = held(pod, big_database, valve, bucket, s3_server)
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as admin:
        admin.execute("""
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE application_name = 'dataguardian' AND query LIKE 'COPY public.files%'
        """)
    valve.open()

    ended = running.ended()

    assert ended.failure == (70, "dump-failed", "dump")
    assert_nothing_stored(s3_server, bucket)


def test_a_killed_pg_dump_is_dump_failed(
    pod: Pod, s3_server: S3Server, bucket: S3Target, big_database: str, valve: Valve
) -> None:
    running = held(pod, big_database, valve, bucket, s3_server)
    os.kill(running.child("pg_dump"), signal.SIGKILL)

    ended = running.ended()

    assert ended.failure == (70, "dump-failed", "dump")
    assert "signal 9" in ended.text
    assert_nothing_stored(s3_server, bucket)


def test_a_killed_runner_leaves_no_object_and_its_next_try_removes_the_open_upload(
    pod: Pod, s3_server: S3Server, bucket: S3Target, postgres_server: PostgresServer, big_database: str, valve: Valve
) -> None:
    running = held(pod, big_database, valve, bucket, s3_server)
    running.signal(signal.SIGKILL)
    assert running.ended().status == -signal.SIGKILL
    assert s3_server.admin.keys(bucket.bucket) == []
    assert s3_server.admin.uploads(bucket.bucket) != []

    ended = pod.run(pod.backup_plan(shop(postgres_server), bucket))

    assert ended.status == 0, ended.output
    assert s3_server.admin.uploads(bucket.bucket) == []


def test_a_killed_store_is_storage_unavailable_and_the_next_try_completes(
    pod: Pod, own_s3: S3Server, postgres_server: PostgresServer, big_database: str, valve: Valve
) -> None:
    target = pod.s3(own_s3, own_s3.bucket())
    running = held(pod, big_database, valve, target, own_s3)
    own_s3.kill()
    valve.open()

    ended = running.ended()

    assert ended.failure == (75, "storage-unavailable", "dump")
    own_s3.start()
    assert own_s3.admin.keys(target.bucket) == []
    assert pod.run(pod.backup_plan(shop(postgres_server), target)).status == 0
    assert own_s3.admin.uploads(target.bucket) == []


def test_sigterm_ends_a_run_within_ten_seconds_as_cancelled_and_leaves_nothing(
    pod: Pod, s3_server: S3Server, bucket: S3Target, big_database: str, valve: Valve
) -> None:
    running = held(pod, big_database, valve, bucket, s3_server)
    started = time.monotonic()
    running.signal(signal.SIGTERM)

    ended = running.ended()

    assert ended.failure == (143, "cancelled", "dump")
    assert time.monotonic() - started < 10
    assert_nothing_stored(s3_server, bucket)


def test_sigterm_ends_a_run_within_ten_seconds_even_when_the_store_hangs(
    pod: Pod, own_s3: S3Server, big_database: str, valve: Valve
) -> None:
    running = held(pod, big_database, valve, pod.s3(own_s3, own_s3.bucket()), own_s3)
    assert own_s3.process is not None
    own_s3.process.send_signal(signal.SIGSTOP)
    valve.open()
    started = time.monotonic()
    running.signal(signal.SIGTERM)

    ended = running.ended()

    assert ended.failure == (143, "cancelled", "dump")
    assert time.monotonic() - started < 10


def test_a_failed_backup_leaves_the_database_as_it_was_and_no_session_in_it(
    pod: Pod, s3_server: S3Server, bucket: S3Target, postgres_server: PostgresServer, big_database: str, valve: Valve
) -> None:
    before = content(postgres_server, big_database)
    running = held(pod, big_database, valve, bucket, s3_server)
    running.signal(signal.SIGTERM)
    running.ended()
    valve.open()

    sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dataguardian'"
    wait_until(lambda: postgres_server.rows("postgres", sessions) == [(0,)], what="no session is left")
    assert content(postgres_server, big_database) == before


def test_secrets_are_in_no_argument_environment_or_line(
    pod: Pod, s3_server: S3Server, bucket: S3Target, postgres_server: PostgresServer, big_database: str, valve: Valve
) -> None:
    secrets = [postgres_server.password, s3_server.password]
    running = held(pod, big_database, valve, bucket, s3_server)
    seen = ""
    for pid in (running.process.pid, *running.children().values()):
        seen += Path(f"/proc/{pid}/cmdline").read_text() + Path(f"/proc/{pid}/environ").read_text()
    valve.open()

    ended = running.ended()

    assert ended.status == 0, ended.output
    assert "pg_dump" in seen
    assert [secret for secret in secrets if secret in seen or secret in ended.text] == []
