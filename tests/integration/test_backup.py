"""A backup that completes, and what it leaves in the store."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
from pathlib import Path

import pytest

from dataguardian.domain import manifest as manifests
from dataguardian.domain.manifest import Manifest
from dataguardian.domain.plan import FilesystemTarget, Target

from .runs import FOLDER, Pod, stored
from .services import PostgresServer, S3Server, postgres_bin
from .shop import HELD_AFTER, content, shop
from .valve import Valve

FILES = ["data.dump.zst", "manifest.json", "schema.dump"]


@pytest.fixture(params=["s3", "volume"])
def target(request: pytest.FixtureRequest, pod: Pod, s3_server: S3Server) -> Target:
    """Both kinds of storage."""
    return pod.volume() if request.param == "volume" else pod.s3(s3_server, s3_server.bucket())


def manifest_of(files: dict[str, bytes]) -> Manifest:
    """The manifest among the files."""
    return manifests.decode(files["manifest.json"])


def test_a_backup_is_whole_and_its_manifest_tells_the_truth(
    pod: Pod, s3_server: S3Server, target: Target, postgres_server: PostgresServer
) -> None:
    database = shop(postgres_server)

    ended = pod.run(pod.backup_plan(database, target))

    assert ended.status == 0, ended.output
    files = stored(target, s3_server)
    manifest = manifest_of(files)
    assert sorted(files) == FILES
    (segment,) = manifest.segments
    assert segment.sha256 == hashlib.sha256(files["data.dump.zst"]).hexdigest()
    assert manifest.checksum == f"sha256:{segment.sha256}"
    assert manifest.stored_bytes == segment.bytes == len(files["data.dump.zst"])
    assert {(table.name, table.rows) for table in manifest.fingerprint.tables} == {
        ("customers", 500),
        ("orders", 5000),
        ("line\nbreak; --", 2),
    }
    assert ended.report is not None
    assert (ended.report.tables, ended.report.rows) == (3, 5502)
    assert ended.report.dump_bytes == manifest.dump_bytes


@pytest.mark.parametrize("codec", ["zstd", "gzip", "none"])
def test_a_backup_is_restored_by_hand_with_the_manifests_own_commands(
    pod: Pod, postgres_server: PostgresServer, codec: str
) -> None:
    name = f"we're = {codec}"
    database, target = shop(postgres_server, name), pod.volume()
    plan = pod.backup_plan(database, target, codec=codec, segment_bytes=100_000)
    before = content(postgres_server, database)
    assert pod.run(plan).status == 0
    postgres_server.drop(database)
    postgres_server.database(name)
    folder = Path(target.root) / "prod" / FOLDER
    manifest = manifests.decode((folder / "manifest.json").read_bytes())
    passfile = pod.secret("pgpass", "*:*:*:*:" + postgres_server.password.replace("\\", "\\\\").replace(":", "\\:"))
    Path(passfile).chmod(0o600)

    for command in manifest.restore_commands:
        subprocess.run(
            ["bash", "-ec", f"set -o pipefail; {command}"],
            cwd=folder,
            check=True,
            env={
                "PATH": f"{postgres_bin()}:{os.defpath}",
                "PGHOST": postgres_server.host,
                "PGPORT": str(postgres_server.port),
                "PGUSER": postgres_server.user,
                "PGPASSFILE": passfile,
            },
        )

    assert content(postgres_server, name) == before


def test_an_empty_database_completes(
    pod: Pod, s3_server: S3Server, target: Target, postgres_server: PostgresServer
) -> None:
    ended = pod.run(pod.backup_plan(postgres_server.database(), target))

    assert ended.status == 0, ended.output
    assert manifest_of(stored(target, s3_server)).fingerprint.tables == []


def test_a_dump_longer_than_a_segment_is_stored_as_several_that_restore_as_one(
    pod: Pod, s3_server: S3Server, target: Target, postgres_server: PostgresServer, big_database: str
) -> None:
    copy = postgres_server.database()

    backup = pod.run(pod.backup_plan(big_database, target, segment_bytes=16_000_000))

    assert backup.status == 0, backup.output
    names = [segment.name for segment in manifest_of(stored(target, s3_server)).segments]
    assert names == ["data.dump.zst", "data.dump.zst.00001", "data.dump.zst.00002"]
    assert pod.run(pod.restore_plan(copy, target)).status == 0
    assert content(postgres_server, copy) == content(postgres_server, big_database)


def test_dump_and_row_counts_are_of_one_moment_whatever_is_written_meanwhile(
    pod: Pod, s3_server: S3Server, postgres_server: PostgresServer, valve: Valve
) -> None:
    database, target = shop(postgres_server), pod.volume()
    before = content(postgres_server, database)
    valve.admit(1)  # the session that pins the moment; the dump waits at the door
    source = pod.endpoint(database, host=valve.host, port=valve.port)
    running = pod.start(pod.backup_plan(database, target, source=source))
    running.until(lambda: '"step_started","step":"dump"' in running.output, "the dump begins")
    postgres_server.sql(database, "DELETE FROM orders WHERE id > 7")
    valve.open()

    ended = running.ended()

    assert ended.status == 0, ended.output
    tables = manifest_of(stored(target, s3_server)).fingerprint.tables
    assert {table.rows for table in tables} == {500, 5000, 2}
    assert pod.run(pod.restore_plan(database, target, drop_existing=True)).status == 0
    assert content(postgres_server, database) == before


def test_only_what_the_options_name_is_dumped_and_counted(
    pod: Pod, s3_server: S3Server, postgres_server: PostgresServer
) -> None:
    database, target = shop(postgres_server), pod.volume()

    ended = pod.run(pod.backup_plan(database, target, include_tables=["public.cust*"]))

    assert ended.status == 0, ended.output
    tables = manifest_of(stored(target, s3_server)).fingerprint.tables
    assert [(table.name, table.rows) for table in tables] == [("customers", 500)]


def test_losing_the_session_that_counts_does_not_end_the_backup(pod: Pod, big_database: str, valve: Valve) -> None:
    valve.hold_after(HELD_AFTER)
    source = pod.endpoint(big_database, host=valve.host, port=valve.port)
    running = pod.start(pod.backup_plan(big_database, pod.volume(), source=source))
    running.until(lambda: valve.holds, "the dump is held")
    running.until(lambda: not any("--schema-only" in line for line in running.children()), "the schema is dumped")
    os.kill(running.child("psql"), signal.SIGKILL)
    valve.open()

    ended = running.ended()

    assert ended.status == 0, ended.output


def test_a_second_try_of_a_completed_execution_finds_it_and_dumps_nothing(
    pod: Pod, s3_server: S3Server, target: Target, postgres_server: PostgresServer
) -> None:
    plan = pod.backup_plan(shop(postgres_server), target)
    assert pod.run(plan).status == 0
    before = stored(target, s3_server)

    ended = pod.run(plan)

    assert ended.status == 0, ended.output
    assert stored(target, s3_server) == before
    assert "dump_began" not in ended.output


def test_the_schema_beside_the_dump_has_every_definition_and_no_row(pod: Pod, postgres_server: PostgresServer) -> None:
    database, target = shop(postgres_server), pod.volume()
    assert pod.run(pod.backup_plan(database, target)).status == 0

    listing = subprocess.run(
        [str(postgres_bin() / "pg_restore"), "--list", str(_folder(target) / "schema.dump")],
        check=True,
        capture_output=True,
        text=True,
    ).stdout

    assert "TABLE public customers" in listing
    assert "TABLE DATA" not in listing


def test_a_green_run_has_no_line_of_warning_or_error(pod: Pod, postgres_server: PostgresServer) -> None:
    ended = pod.run(pod.backup_plan(shop(postgres_server), pod.volume()))

    assert {line["level"] for line in ended.lines} <= {"debug", "info", "success"}
    assert all({"ts", "level", "message", "action"} <= set(line) for line in ended.lines)
    assert all(line["message"].startswith("[BACKUP] ") for line in ended.lines)


def _folder(target: FilesystemTarget) -> Path:
    return Path(target.root) / "prod" / FOLDER
