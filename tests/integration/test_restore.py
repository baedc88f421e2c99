"""A restore brings back what was backed up, or leaves the target exactly as it was."""

from __future__ import annotations

import signal
import time

import psycopg
import pytest

from .runs import Pod, backed_up, folder_of, rewrite_manifest
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


def test_a_table_that_has_other_rows_than_were_backed_up_is_a_warning(
    pod: Pod, postgres_server: PostgresServer
) -> None:
    target = backed_up(pod, shop(postgres_server))
    rewrite_manifest(target, lambda manifest: manifest["fingerprint"]["tables"][0].update(rows=7))

    ended = pod.run(pod.restore_plan(postgres_server.database(), target))

    assert ended.status == 0, ended.output
    assert ended.report is not None
    (warning,) = ended.report.warnings
    assert warning.endswith("rows; the backup's fingerprint has 7")


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


def test_a_backup_of_a_newer_server_is_refused(pod: Pod, postgres_server: PostgresServer) -> None:
    target = backed_up(pod, shop(postgres_server))
    path = folder_of(target) / "manifest.json"
    path.write_text(path.read_text().replace('"engine_version": "', '"engine_version": "9'))

    ended = pod.run(pod.restore_plan(postgres_server.database(), target))

    assert ended.failure == (64, "server-too-old", "fetch")


@pytest.mark.parametrize("known", [True, False])
def test_a_role_that_the_target_lacks_is_named_and_the_target_stays(
    pod: Pod, postgres_server: PostgresServer, known: bool
) -> None:
    database = shop(postgres_server)
    postgres_server.sql(database, "CREATE ROLE vanishing", "ALTER TABLE orders OWNER TO vanishing")
    target = backed_up(pod, database)
    postgres_server.sql(database, "REASSIGN OWNED BY vanishing TO postgres", "DROP ROLE vanishing")
    if not known:  # to the manifest, as of an earlier release
        rewrite_manifest(target, lambda manifest: manifest["fingerprint"].update(roles=[]))
    before = content(postgres_server, database)

    ended = pod.run(pod.restore_plan(database, target, drop_existing=True))

    assert ended.failure == ((64, "prerequisite-missing", "fetch") if known else (70, "load-failed", "load"))
    assert "vanishing" in ended.message
    assert content(postgres_server, database) == before


def test_a_wrong_password_is_permission_refused(pod: Pod, postgres_server: PostgresServer) -> None:
    database = shop(postgres_server)
    plan = pod.restore_plan(database, backed_up(pod, database))
    pod.secret("password", "wrong-password")

    ended = pod.run(plan)

    assert ended.failure == (77, "permission-refused", "fetch")
    assert "wrong-password" not in ended.text


SESSIONS = (
    "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'dataguardian%' AND datname = current_database()"
)
LOADING = """
    SELECT pid FROM pg_stat_activity
     WHERE application_name LIKE 'dataguardian%' AND wait_event_type = 'Lock' AND datname = current_database()
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
