"""A backup that is interrupted: by the server, the kernel, the store or a person. It leaves nothing behind."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import psycopg

from dataguardian.domain.plan import S3Target

from .runs import Pod, Running, assert_nothing_stored
from .services import PostgresServer, S3Server, wait_until
from .shop import HELD_AFTER, content, shop
from .valve import Valve


def held(pod: Pod, database: str, valve: Valve, target: S3Target, server: S3Server, **changes: object) -> Running:
    """A backup held in the middle of its dump and of its upload."""
    valve.hold_after(HELD_AFTER)
    source = pod.endpoint(database, host=valve.host, port=valve.port)
    running = pod.start(pod.backup_plan(database, target, source=source, **changes))
    running.until(lambda: valve.holds and server.admin.uploads(target.bucket), "the upload is under way")
    return running


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


def test_segments_that_were_stored_before_a_failure_are_removed(
    pod: Pod, s3_server: S3Server, bucket: S3Target, big_database: str, valve: Valve
) -> None:
    running = held(pod, big_database, valve, bucket, s3_server, segment_bytes=12_000_000)
    running.until(lambda: s3_server.admin.keys(bucket.bucket), "a segment is stored")
    os.kill(running.child("pg_dump"), signal.SIGKILL)

    ended = running.ended()

    assert ended.failure == (70, "dump-failed", "dump")
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


def test_a_part_that_arrives_after_its_upload_was_aborted_is_removed_by_the_next_try(
    pod: Pod, s3_server: S3Server, bucket: S3Target, big_database: str
) -> None:
    plan = pod.backup_plan(big_database, bucket)
    uploads = s3_server.store / bucket.bucket / ".sgwtmp" / "multipart"
    key = hashlib.sha256(f"{bucket.prefix}/{plan.folder}/data.dump.zst".encode()).hexdigest()
    late = uploads / key / "00000000-0000-4000-8000-000000000000"
    late.mkdir(parents=True)  # the server lists it only once another upload of the key has begun
    (late / "2").write_bytes(b"late")

    ended = pod.run(plan)

    assert ended.status == 0, ended.output
    assert not late.exists()
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
        with suppress(ProcessLookupError, FileNotFoundError):  # the dump of the schema may have ended
            seen += Path(f"/proc/{pid}/cmdline").read_text() + Path(f"/proc/{pid}/environ").read_text()
    valve.open()

    ended = running.ended()

    assert ended.status == 0, ended.output
    assert "pg_dump" in seen
    assert [secret for secret in secrets if secret in seen or secret in ended.text] == []
