"""The schema's steps, on a real PostgreSQL."""

from __future__ import annotations

import dataclasses
import logging
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from alembic.script import ScriptDirectory

from dataguardian.errors import HistoryUnavailable
from dataguardian.history.migrate import LOCK_KEY, migrate
from dataguardian.settings import PostgresSettings

from .clients import postgres_settings
from .schemas import migrate_to, steps
from .services import PostgresServer, free_port


@pytest.fixture
def database(postgres_server: PostgresServer) -> str:
    return postgres_server.database()


@pytest.fixture
def settings(postgres_server: PostgresServer, database: str, tmp_path: Path) -> PostgresSettings:
    return postgres_settings(postgres_server, database, tmp_path)


def relations(server: PostgresServer, database: str) -> list[str]:
    query = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1"
    return [str(name) for (name,) in server.rows(database, query)]


def test_an_empty_database_gets_the_schema(
    postgres_server: PostgresServer, database: str, settings: PostgresSettings
) -> None:
    migrate(settings, deadline_s=10)

    assert relations(postgres_server, database) == [
        "alembic_version",
        "audit_logs",
        "backup_executions",
        "backup_jobs",
        "database_sync_executions",
        "database_sync_jobs",
        "execution_totals",
        "health_checks",
        "removal_totals",
        "stored_copies",
    ]


def test_migrating_again_changes_nothing(
    postgres_server: PostgresServer, database: str, settings: PostgresSettings
) -> None:
    migrate(settings, deadline_s=10)
    postgres_server.sql(
        database,
        "INSERT INTO backup_executions (id, operation, namespace, name, trigger, status, queued_at)"
        " VALUES (gen_random_uuid(), 'backup', 'shop', 'x', 'manual', 'queued', now())",
    )

    migrate(settings, deadline_s=10)

    assert postgres_server.rows(database, "SELECT count(*) FROM backup_executions") == [(1,)]


def test_a_release_that_knows_fewer_columns_still_writes(
    postgres_server: PostgresServer, database: str, settings: PostgresSettings
) -> None:
    migrate(settings, deadline_s=10)

    postgres_server.sql(
        database,
        "INSERT INTO backup_executions (id, operation, namespace, name, trigger, status, queued_at, metadata)"
        " VALUES (gen_random_uuid(), 'backup', 'shop', 'x', 'manual', 'queued', now(), '{}')",
    )

    assert postgres_server.rows(database, "SELECT kept_by, observed_at FROM backup_executions") == [(None, None)]


def test_a_database_with_rows_gets_what_came_later_beside_them(
    postgres_server: PostgresServer, database: str, settings: PostgresSettings
) -> None:
    migrate_to(settings, "0003")
    postgres_server.sql(
        database,
        "INSERT INTO backup_executions (id, operation, namespace, name, trigger, status, queued_at,"
        " stored_bytes, copies) VALUES (gen_random_uuid(), 'backup', 'shop', 'x', 'safety', 'queued', now(), 7,"
        ' \'[{"location": "primary", "state": "Stored"}, {"location": "offsite", "state": "Missing"}]\')',
    )

    migrate(settings, deadline_s=10)

    query = "SELECT (SELECT count(*) FROM backup_executions), (SELECT count(*) FROM database_sync_executions)"
    assert postgres_server.rows(database, query) == [(1, 0)]
    held = postgres_server.rows(database, "SELECT namespace, location, copies, bytes FROM stored_copies")
    assert held == [("shop", "primary", 1, 7)]


def test_both_tables_of_executions_have_the_same_indexes(
    postgres_server: PostgresServer, database: str, settings: PostgresSettings
) -> None:
    migrate(settings, deadline_s=10)

    def indexes(table: str, datasource: str) -> list[str]:
        query = "SELECT indexdef FROM pg_indexes WHERE tablename = '" + table + "' ORDER BY indexname"
        found = [str(definition) for (definition,) in postgres_server.rows(database, query)]
        # The operation of a sync is no column, and what it stores is listed as the backup that it is.
        listed = [each for each in found if "_stored" not in each]
        same = [each.replace(table, "table").replace(datasource, "datasource") for each in listed]
        return [each.replace("namespace, operation, status", "namespace, status") for each in same]

    backups, syncs = indexes("backup_executions", "datasource"), indexes("database_sync_executions", "target")
    assert len(backups) == 10
    assert sorted(syncs) == sorted(backups)


def test_migrations_at_once_run_once(
    postgres_server: PostgresServer, database: str, settings: PostgresSettings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "dataguardian.history.migrate")
    ready = threading.Barrier(4)

    def one() -> None:
        ready.wait()
        migrate(settings, deadline_s=20)

    with ThreadPoolExecutor(4) as threads:
        for future in [threads.submit(one) for _ in range(4)]:
            future.result()

    newest = ScriptDirectory.from_config(steps()).get_current_head()
    begun = [vars(record)["from"] for record in caplog.records if vars(record).get("action") == "schema_ready"]
    assert sorted(map(str, begun)) == [newest, newest, newest, "None"]
    assert postgres_server.rows(database, "SELECT version_num FROM alembic_version") == [(newest,)]


def test_a_migration_that_fails_half_way_leaves_nothing(
    postgres_server: PostgresServer, database: str, settings: PostgresSettings
) -> None:
    postgres_server.sql(database, "CREATE TABLE backup_executions_newest (stands int)")  # where an index should be

    with pytest.raises(Exception, match="already exists"):
        migrate(settings, deadline_s=10)

    assert relations(postgres_server, database) == ["backup_executions_newest"]
    postgres_server.sql(database, "DROP TABLE backup_executions_newest")
    migrate(settings, deadline_s=10)


def test_a_newer_schema_stays_as_it_is_so_that_a_release_can_be_rolled_back(
    postgres_server: PostgresServer, database: str, settings: PostgresSettings, caplog: pytest.LogCaptureFixture
) -> None:
    migrate(settings, deadline_s=10)
    postgres_server.sql(database, "UPDATE alembic_version SET version_num = '9999'")

    migrate(settings, deadline_s=10)

    assert postgres_server.rows(database, "SELECT version_num FROM alembic_version") == [("9999",)]
    assert "newer than this release" in caplog.text


def test_a_server_that_comes_late_is_waited_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "dataguardian.history.migrate")
    server = PostgresServer()
    settings = postgres_settings(server, "postgres", tmp_path)
    try:
        with ThreadPoolExecutor(1) as thread:
            migration = thread.submit(migrate, settings, 60.0)
            while "Waiting for Postgres" not in caplog.text and not migration.done():
                time.sleep(0.01)
            server.start()
            migration.result()
        assert "alembic_version" in relations(server, "postgres")
    finally:
        server.remove()


def test_a_server_that_never_comes_ends_the_wait_at_the_deadline(settings: PostgresSettings) -> None:
    settings = dataclasses.replace(settings, port=free_port())
    begun = time.monotonic()

    with pytest.raises(HistoryUnavailable, match="Connection refused"):
        migrate(settings, deadline_s=1.5)

    assert 1.4 < time.monotonic() - begun < 4


def test_another_migration_that_never_ends_is_not_waited_for_longer_than_the_deadline(
    postgres_server: PostgresServer, database: str, settings: PostgresSettings
) -> None:
    with psycopg.connect(postgres_server.dsn(database)) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [LOCK_KEY])

        with pytest.raises(HistoryUnavailable, match="lock timeout"):
            migrate(settings, deadline_s=1)


def test_the_password_is_in_no_line_of_the_log(
    postgres_server: PostgresServer, settings: PostgresSettings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    migrate(settings, deadline_s=10)

    assert postgres_server.password not in caplog.text


def test_a_process_that_does_not_migrate_carries_no_alembic() -> None:
    program = (
        "import sys, dataguardian.history.migrate; sys.exit('alembic' in sys.modules or 'sqlalchemy' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
