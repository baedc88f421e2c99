"""A dry run tells what a restore would do, and does nothing."""

from __future__ import annotations

from pathlib import Path

import psycopg

from dataguardian.domain.plan import ExpectedTarget
from dataguardian.domain.report import LIMIT_BYTES

from .runs import Pod, backed_up, rewrite_manifest
from .services import PostgresServer
from .shop import content, shop


def test_a_dry_run_tells_what_is_in_the_backup_and_the_target_and_what_would_be_dropped(
    pod: Pod, postgres_server: PostgresServer
) -> None:
    database = shop(postgres_server)
    backup = backed_up(pod, database)
    postgres_server.sql(
        database, "CREATE TABLE later (id int)", 'DROP TABLE "odd \'schema"."line\nbreak; --"', "ANALYZE"
    )
    before = content(postgres_server, database)
    plan = pod.restore_plan(database, backup, drop_existing=True, dry_run=True, expected_seconds=42)
    with psycopg.connect(postgres_server.dsn(database), application_name="till"):
        ended = pod.run(plan)

    assert ended.status == 0, ended.output
    preview = ended.told.preview
    assert preview is not None
    assert (preview.backup_tables, preview.backup_rows) == (3, 5502)
    assert preview.backup_bytes == ended.told.dump_bytes
    assert preview.target_identity
    assert (preview.target_tables, preview.target_rows) == (3, 5500)
    assert preview.target_bytes > 1_000_000
    assert {"public.customers", "public.orders"} <= set(preview.dropped)
    assert preview.dropped_count == len(preview.dropped)
    assert "public.later" not in preview.dropped
    assert ("till", 1) in [(found.application, found.sessions) for found in preview.connections]
    assert "dataguardian" not in [found.application for found in preview.connections]
    assert (preview.expected_seconds, preview.obstacles) == (42, [])
    assert content(postgres_server, database) == before


def test_a_dry_run_lists_all_that_speaks_against_the_restore(pod: Pod, postgres_server: PostgresServer) -> None:
    database = shop(postgres_server)
    backup = backed_up(pod, database)
    rewrite_manifest(backup, lambda manifest: manifest["fingerprint"].update(roles=["vanished"]))
    before = content(postgres_server, database)
    expected = ExpectedTarget(database="elsewhere")

    ended = pod.run(pod.restore_plan(database, backup, dry_run=True, capacity_bytes=1, expected=expected))

    assert ended.status == 0, ended.output
    assert ended.told.preview is not None
    codes = [obstacle.partition(":")[0] for obstacle in ended.told.preview.obstacles]
    assert codes == ["target-mismatch", "target-not-empty", "target-too-small", "prerequisite-missing"]
    assert content(postgres_server, database) == before


def test_a_dry_run_of_a_verification_tells_the_right_that_it_would_need(
    pod: Pod, postgres_server: PostgresServer
) -> None:
    backup = backed_up(pod, shop(postgres_server))
    target = postgres_server.database()
    postgres_server.sql(target, "CREATE ROLE looking LOGIN PASSWORD 'looking'")
    endpoint = pod.endpoint(
        target, username_file=pod.secret("looking", "looking"), password_file=pod.secret("looking-too", "looking")
    )

    ended = pod.run(pod.restore_plan(target, backup, dry_run=True, verify=True, target=endpoint))

    postgres_server.sql(target, "DROP ROLE looking")
    assert ended.status == 0, ended.output
    assert ended.told.preview is not None
    assert [
        "CREATEDB" in obstacle or "temporary database" in obstacle for obstacle in ended.told.preview.obstacles
    ] == [True]


def test_a_preview_of_very_many_long_names_fits_into_a_report(
    pod: Pod, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    database = postgres_server.database()
    many = "SELECT format('CREATE TABLE %I (id int)', repeat('é', 20) || i) FROM generate_series(1, 300) AS i"
    with psycopg.connect(postgres_server.dsn(database), autocommit=True) as connection:
        for (statement,) in connection.execute(many).fetchall():
            connection.execute(statement)
    backup = backed_up(pod, database)
    rewrite_manifest(
        backup, lambda manifest: manifest["fingerprint"].update(roles=[f"{'r' * 60}{i}" for i in range(100)])
    )

    plan = pod.restore_plan(database, backup, drop_existing=True, dry_run=True, capacity_bytes=1)
    ended = pod.run(plan)

    assert ended.told.preview is not None
    assert ended.told.preview.dropped_count == 300
    assert len(ended.told.preview.obstacles) == 2
    assert max(len(file.read_bytes()) for file in tmp_path.glob("termination-*")) <= LIMIT_BYTES
