"""A backup to the first location that works: the next one is taken when one fails, and not for any other reason."""

from __future__ import annotations

import os
import signal

import pytest

from dataguardian.domain.plan import FilesystemTarget, S3Target

from .runs import Pod, Running, files_in, stored
from .services import PostgresServer, S3Server, free_port
from .shop import HELD_AFTER, content, shop
from .valve import Valve

FILES = ["data.dump.zst", "manifest.json", "schema.dump"]


@pytest.fixture
def second(pod: Pod) -> FilesystemTarget:
    """The location that is there when the first one is not."""
    return pod.volume("second")


def held(pod: Pod, database: str, valve: Valve, server: S3Server, first: S3Target, second: FilesystemTarget) -> Running:
    """A backup held in the middle of its dump to the first location."""
    valve.hold_after(HELD_AFTER)
    source = pod.endpoint(database, host=valve.host, port=valve.port)
    plan = pod.backup_plan(database, first, targets=[first, second], strategy="Fallback", source=source)
    running = pod.start(plan)
    running.until(lambda: valve.holds and server.admin.uploads(first.bucket), "the upload is under way")
    return running


def test_the_first_location_that_works_gets_the_backup_and_the_next_one_nothing(
    pod: Pod, s3_server: S3Server, bucket: S3Target, second: FilesystemTarget, postgres_server: PostgresServer
) -> None:
    plan = pod.backup_plan(shop(postgres_server), bucket, targets=[bucket, second], strategy="Fallback")

    ended = pod.run(plan)

    assert ended.status == 0, ended.output
    assert ended.copies == {"primary": True}
    assert sorted(stored(bucket, s3_server)) == FILES
    assert files_in(second) == []


def test_a_location_that_is_away_is_passed_by_before_anything_is_dumped(
    pod: Pod, s3_server: S3Server, second: FilesystemTarget, postgres_server: PostgresServer
) -> None:
    nowhere = pod.s3(s3_server, "bucket", endpoint=f"http://127.0.0.1:{free_port()}")
    plan = pod.backup_plan(shop(postgres_server), nowhere, targets=[nowhere, second], strategy="Fallback")

    ended = pod.run(plan)

    assert ended.status == 0, ended.output
    assert ended.copies == {"primary": False, "second": True}
    assert "storage-unavailable" in ended.reason("primary")
    assert ended.output.count("dump_began") == 1
    (line,) = [line for line in ended.lines if line["action"] == "location_failed"]
    assert "'primary' failed" in line["message"]


def test_a_location_that_dies_in_the_middle_makes_a_new_dump_to_the_next_one(
    pod: Pod,
    own_s3: S3Server,
    second: FilesystemTarget,
    postgres_server: PostgresServer,
    big_database: str,
    valve: Valve,
) -> None:
    first = pod.s3(own_s3, own_s3.bucket())
    running = held(pod, big_database, valve, own_s3, first, second)
    own_s3.kill()
    valve.open()

    ended = running.ended()

    assert ended.status == 0, ended.output
    assert ended.copies == {"primary": False, "second": True}
    assert ended.output.count("dump_began") == 2
    copy = postgres_server.database()
    assert pod.run(pod.restore_plan(copy, second)).status == 0
    assert content(postgres_server, copy) == content(postgres_server, big_database)


def test_a_failing_dump_is_not_tried_again_to_the_next_location(
    pod: Pod, s3_server: S3Server, bucket: S3Target, second: FilesystemTarget, big_database: str, valve: Valve
) -> None:
    running = held(pod, big_database, valve, s3_server, bucket, second)
    os.kill(running.child("pg_dump"), signal.SIGKILL)

    ended = running.ended()

    assert ended.failure == (70, "dump-failed", "dump")
    assert ended.copies == {}
    assert files_in(second) == []


def test_when_every_location_fails_each_is_named_with_its_reason(
    pod: Pod, s3_server: S3Server, postgres_server: PostgresServer
) -> None:
    absent = FilesystemTarget(location="absent", root=str(pod.folder / "absent"))
    missing = pod.s3(s3_server, "no-such-bucket", location="missing")
    plan = pod.backup_plan(shop(postgres_server), absent, targets=[absent, missing], strategy="Fallback")

    ended = pod.run(plan)

    assert ended.failure == (66, "not-found", "connect")
    assert ended.copies == {"absent": False, "missing": False}
    assert "no-such-bucket" in ended.reason("missing")
