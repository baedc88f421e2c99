"""A verification proves that a backup can be restored, or names what is wrong with it, and leaves nothing."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dataguardian.domain.plan import FilesystemTarget, RestorePlan

from .runs import Ended, Pod, backed_up, damage, folder_of, rewrite_manifest
from .services import PostgresServer, postgres_bin
from .shop import content, shop
from .trials import proofs, temporary_databases


@pytest.fixture
def database(postgres_server: PostgresServer) -> str:
    """What is backed up."""
    return shop(postgres_server)


def verify(pod: Pod, database: str, backup: FilesystemTarget, **changes: object) -> Ended:
    """Verify the backup on the server that it comes from."""
    return pod.run(pod.restore_plan(database, backup, verify=True, **changes))


def test_a_good_backup_passes_with_the_sources_counts_and_leaves_a_proof_and_nothing_else(
    pod: Pod, postgres_server: PostgresServer, database: str
) -> None:
    backup = backed_up(pod, database)
    before = content(postgres_server, database)

    ended = verify(pod, database, backup)

    assert ended.status == 0, ended.output
    found = ended.told.verification
    assert found is not None
    assert (found.passed, found.tables, found.rows, found.differences) == (True, 3, 5502, [])
    assert (ended.told.tables, ended.told.rows, ended.told.read_from) == (3, 5502, "primary")
    assert ended.told.restore_seconds is not None
    assert '"action":"database_removed"' in ended.output
    assert {line["message"].split("]")[0] for line in ended.lines} == {"[VERIFY"}
    assert temporary_databases(postgres_server, database) == []
    assert content(postgres_server, database) == before
    (proof,) = proofs(backup)
    assert (proof["passed"], proof["rows"], proof["location"]) == (True, 5502, "primary")
    assert found.proof_key is not None
    assert (Path(backup.root) / "prod" / found.proof_key).exists()


def test_a_backup_whose_stored_bytes_were_altered_is_corrupt(
    pod: Pod, postgres_server: PostgresServer, database: str
) -> None:
    backup = backed_up(pod, database)
    damage(folder_of(backup) / "data.dump.zst")

    ended = verify(pod, database, backup)

    assert ended.failure == (65, "backup-corrupt", "load")
    assert temporary_databases(postgres_server, database) == []
    assert proofs(backup) == []


def lose_orders(server: PostgresServer, database: str, backup: FilesystemTarget) -> None:
    """Put a dump without a table in place of the stored one; its checksums are right."""
    path = folder_of(backup) / "data.dump"
    argv = [str(postgres_bin() / "pg_dump"), "-Fc", "-Z0", "--exclude-table=orders", f"--file={path}"]
    subprocess.run([*argv, server.dsn(database)], check=True, env={"PATH": os.defpath, "LANG": "C.UTF-8"})
    data = path.read_bytes()
    segment = {"name": "data.dump", "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    rewrite_manifest(
        backup,
        lambda manifest: manifest.update(
            segments=[segment],
            checksum=f"sha256:{segment['sha256']}",
            dump_bytes=len(data),
            stored_bytes=len(data),
        ),
    )


def test_a_dump_that_lost_a_table_fails_with_the_table_named_and_the_proof_says_so(
    pod: Pod, postgres_server: PostgresServer, database: str
) -> None:
    backup = backed_up(pod, database, codec="none")
    postgres_server.sql(database, "DROP VIEW paid")
    lose_orders(postgres_server, database, backup)

    ended = verify(pod, database, backup)

    assert ended.failure == (65, "verification-failed", "check")
    found = ended.told.verification
    assert found is not None
    assert not found.passed
    assert found.difference_count >= 1
    assert any("orders" in difference for difference in found.differences)
    assert "orders" in ended.message
    assert ended.told.read_from == "primary"
    assert temporary_databases(postgres_server, database) == []
    (proof,) = proofs(backup)
    assert (proof["passed"], proof["difference_count"]) == (False, found.difference_count)


def test_a_backup_without_a_fingerprint_is_not_taken_for_a_proven_one(
    pod: Pod, postgres_server: PostgresServer, database: str
) -> None:
    backup = backed_up(pod, database)
    rewrite_manifest(backup, lambda manifest: manifest.update(fingerprint={}))

    ended = verify(pod, database, backup)

    assert ended.failure == (65, "verification-failed", "check")
    assert "no fingerprint to compare with" in ended.message
    assert ended.told.failure is not None
    assert ended.told.failure.remedy.startswith("Make a new backup")
    assert [(proof["passed"], proof["tables"]) for proof in proofs(backup)] == [(False, 0)]
    assert temporary_databases(postgres_server, database) == []


def test_a_database_without_tables_passes(pod: Pod, postgres_server: PostgresServer) -> None:
    empty = postgres_server.database()
    postgres_server.sql(empty, "CREATE EXTENSION pg_buffercache", "CREATE VIEW one AS SELECT 1 AS one")

    ended = verify(pod, empty, backed_up(pod, empty))

    assert ended.status == 0, ended.output
    assert ended.told.warnings == []


FILTERS: dict[str, dict[str, object]] = {
    "a schema": {"schemas": ['"odd ""app"']},
    "tables of a schema": {"include_tables": ['"odd ""app".*']},
    "all but a table": {"exclude_tables": ['"odd ""app".excluded']},
    "some tables of a schema": {"schemas": ['"odd ""app"'], "exclude_tables": ["*.excluded"]},
}


@pytest.mark.parametrize("chosen", FILTERS)
def test_a_filtered_backup_finds_the_schemas_that_its_dump_does_not_bring(
    pod: Pod, postgres_server: PostgresServer, database: str, chosen: str
) -> None:
    postgres_server.sql(
        database,
        "CREATE ROLE of_app",
        'CREATE SCHEMA "odd ""app" AUTHORIZATION of_app',
        'CREATE TABLE "odd ""app".kept (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY)',
        'CREATE TABLE "odd ""app".excluded ()',
        'ALTER TABLE "odd ""app".kept OWNER TO of_app',
    )
    backup = backed_up(pod, database, **FILTERS[chosen])

    ended = verify(pod, database, backup)

    postgres_server.sql(database, "DROP OWNED BY of_app CASCADE", "DROP ROLE of_app")
    assert ended.status == 0, ended.output
    assert ended.told.warnings == []


def test_a_filtered_backup_that_refers_to_what_it_leaves_out_says_so(
    pod: Pod, postgres_server: PostgresServer, database: str
) -> None:
    postgres_server.sql(
        database,
        "CREATE EXTENSION citext",
        "CREATE SCHEMA app",
        "CREATE TABLE app.names (name public.citext)",
    )

    ended = verify(pod, database, backed_up(pod, database, schemas=["app"]))

    assert ended.failure == (70, "load-failed", "load")
    assert "citext" in ended.message
    assert "The backup is filtered" in ended.message


def test_a_manifest_cannot_make_the_client_run_anything(pod: Pod, database: str) -> None:
    """To psql a NUL is the end of a line: a quote stays open, and the next name would stand outside of quotes."""
    backup = backed_up(pod, database)

    def change(manifest: dict[str, Any]) -> None:
        manifest["fingerprint"]["encoding"] = "UTF8\0"
        manifest["database"] = "\n\\! kill -9 $PPID\n"

    rewrite_manifest(backup, change)

    ended = pod.start(pod.restore_plan(database, backup, verify=True)).ended(30)

    assert ended.failure == (65, "backup-corrupt", "fetch")


def test_a_server_that_lacks_an_extension_is_refused_with_its_name(
    pod: Pod, postgres_server: PostgresServer, database: str
) -> None:
    backup = backed_up(pod, database)
    rewrite_manifest(backup, lambda manifest: manifest["fingerprint"].update(extensions={"postgis": "3"}))

    ended = verify(pod, database, backup)

    assert ended.failure == (64, "prerequisite-missing", "fetch")
    assert "postgis" in ended.message
    assert temporary_databases(postgres_server, database) == []


def test_what_a_load_stumbles_over_is_named_and_the_database_is_removed(
    pod: Pod, postgres_server: PostgresServer, database: str
) -> None:
    postgres_server.sql(database, "CREATE ROLE gone_soon", "ALTER TABLE orders OWNER TO gone_soon")
    backup = backed_up(pod, database)
    rewrite_manifest(backup, lambda manifest: manifest["fingerprint"].update(roles=[]))
    postgres_server.sql(database, "REASSIGN OWNED BY gone_soon TO postgres", "DROP ROLE gone_soon")

    ended = verify(pod, database, backup, keep_database=True)

    assert ended.failure == (70, "load-failed", "load")
    assert "gone_soon" in ended.message
    assert temporary_databases(postgres_server, database) == []


def test_a_database_with_a_subscription_leaves_none_behind(
    pod: Pod, postgres_server: PostgresServer, database: str
) -> None:
    """A server drops no database that has one; and it would be another subscriber of the same slot."""
    postgres_server.sql(
        database,
        "CREATE SUBSCRIPTION verified CONNECTION 'dbname=elsewhere' PUBLICATION p WITH (connect=false, slot_name='s')",
    )
    backup = backed_up(pod, database)

    ended = verify(pod, database, backup)

    postgres_server.sql(database, "ALTER SUBSCRIPTION verified SET (slot_name = NONE)", "DROP SUBSCRIPTION verified")
    assert ended.status == 0, ended.output
    assert ended.told.warnings == []
    assert temporary_databases(postgres_server, database) == []


def test_a_database_that_is_kept_can_be_queried_and_stays(
    pod: Pod, postgres_server: PostgresServer, database: str
) -> None:
    backup = backed_up(pod, database)

    ended = verify(pod, database, backup, keep_database=True)

    assert ended.status == 0, ended.output
    assert ended.told.verification is not None
    (kept,) = temporary_databases(postgres_server, database)
    assert ended.told.verification.database == kept
    assert content(postgres_server, kept) == content(postgres_server, database)
    postgres_server.drop(kept)


def test_a_temporary_database_that_could_not_be_made_is_not_told_to_be_removed(
    pod: Pod, postgres_server: PostgresServer, database: str
) -> None:
    backup = backed_up(pod, database)
    rewrite_manifest(backup, lambda manifest: manifest["fingerprint"].update(encoding="none such"))

    ended = verify(pod, database, backup)

    assert ended.failure[1:] == ("load-failed", "fetch"), ended.output
    assert '"action":"database_removed"' not in ended.output
    assert '"action":"database_left"' not in ended.output


def test_only_its_owner_enters_a_temporary_database(pod: Pod, postgres_server: PostgresServer, database: str) -> None:
    ended = verify(pod, database, backed_up(pod, database), keep_database=True)

    assert ended.told.verification is not None
    kept = ended.told.verification.database
    assert kept is not None
    public = postgres_server.rows(kept, "SELECT has_database_privilege('pg_monitor', current_database(), 'CONNECT')")
    assert public == [(False,)]
    postgres_server.drop(kept)


def test_a_read_only_location_gets_no_proof(pod: Pod, database: str) -> None:
    backup = backed_up(pod, database)
    plan = pod.restore_plan(database, backup, verify=True)
    sources = [msgspec.structs.replace(plan.sources[0], read_only=True)]

    ended = pod.run(msgspec.structs.replace(plan, sources=sources))

    assert ended.status == 0, ended.output
    assert ended.told.verification is not None
    assert ended.told.verification.proof_key is None
    assert proofs(backup) == []


def test_a_proof_that_cannot_be_stored_is_a_warning(pod: Pod, database: str) -> None:
    backup = backed_up(pod, database)
    (folder_of(backup) / "proofs").write_text("in the way")

    ended = verify(pod, database, backup)

    assert ended.status == 0, ended.output
    assert ["proof" in warning for warning in ended.told.warnings] == [True]


def test_another_encoding_and_locale_than_the_servers_are_those_of_the_backup(
    pod: Pod, postgres_server: PostgresServer
) -> None:
    """A database in LATIN1 is verified in LATIN1, though the Datasource's is in UTF8."""
    source = f"latin_{os.getpid()}"
    postgres_server.sql(
        "postgres",
        f"CREATE DATABASE {source} TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'",
    )
    postgres_server.sql(source, "CREATE TABLE names AS SELECT 'Ação' AS name")
    backup = backed_up(pod, source)
    rewrite_manifest(backup, lambda manifest: manifest["fingerprint"].update(encoding="LATIN1"))

    ended = verify(pod, postgres_server.database(), backup, keep_database=True)

    assert ended.status == 0, ended.output
    assert ended.told.verification is not None
    kept = ended.told.verification.database
    assert kept is not None
    assert postgres_server.rows(kept, "SHOW server_encoding") == [("LATIN1",)]
    assert postgres_server.rows(kept, "SELECT name FROM names") == [("Ação",)]
    for name in (kept, source):
        postgres_server.drop(name)


@pytest.mark.parametrize("name", ["ação 数据 " + "é" * 20, 'it\'s \\ "quoted" %s {x} :y'])
def test_whatever_a_database_is_called_its_temporary_one_is_made_and_removed(
    pod: Pod, postgres_server: PostgresServer, name: str
) -> None:
    shop(postgres_server, name)
    backup = backed_up(pod, name)

    ended = verify(pod, name, backup)

    assert ended.status == 0, ended.output
    left = postgres_server.rows("postgres", "SELECT datname FROM pg_database WHERE datname ~ '^dg_verify_(aç|it)'")
    assert left == []
    postgres_server.drop(name)


def test_two_verifications_of_one_database_at_once_do_not_meet(
    pod: Pod, postgres_server: PostgresServer, database: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    backup = backed_up(pod, database)
    other = Pod(tmp_path_factory.mktemp("pod"), postgres_server)  # else both would write one password file

    def plan(pod: Pod, execution: str) -> RestorePlan:
        return pod.restore_plan(database, backup, verify=True, execution_id=execution * 8)

    both = [pod.start(plan(pod, "1")), other.start(plan(other, "2"))]

    assert [running.ended().status for running in both] == [0, 0], [running.output for running in both]
    assert temporary_databases(postgres_server, database) == []
