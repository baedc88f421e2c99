"""A restored database is compared with what was backed up: an equal one has no difference, each damage is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass

import msgspec
import psycopg
import psycopg.sql
import pytest

from dataguardian.domain import manifest as manifests
from dataguardian.domain.manifest import Fingerprint, Manifest
from dataguardian.domain.report import Verification
from dataguardian.runner import login
from dataguardian.runner.lines import Lines
from dataguardian.runner.run import Run
from dataguardian.runner.session import Session
from dataguardian.runner.verification import compare

from .museum import OTHER_TEXTS, copied, museum
from .runs import Pod, backed_up, folder_of
from .services import PostgresServer

Compare = Callable[[str, Manifest], tuple[Verification, list[str]]]


@dataclass
class Exhibit:
    """A backup of the museum, and a database that it was restored into."""

    source: str
    copy: str
    manifest: Manifest


@pytest.fixture(scope="module")
def exhibit(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Exhibit:
    """One of them for all tests, which damage copies of the copy."""
    source, pod = museum(postgres_server), Pod(tmp_path_factory.mktemp("pod"), postgres_server)
    folder = folder_of(backed_up(pod, source))
    copy = copied(postgres_server, folder, postgres_server.database())
    return Exhibit(source, copy, manifests.decode((folder / "manifest.json").read_bytes()))


@pytest.fixture
def compared(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> Compare:
    """Compares a database with a manifest."""
    monkeypatch.setenv("DATAGUARDIAN_WORK_DIR", str(pod.folder))

    def compared(database: str, manifest: Manifest) -> tuple[Verification, list[str]]:
        endpoint, run = pod.endpoint(database), Run(Lines("restore"))
        engine = login.engine_of(endpoint)
        with closing(Session(run, engine, login.prepare(endpoint, engine))) as session:
            return compare(session, engine, manifest, run)

    return compared


@pytest.fixture
def copy(exhibit: Exhibit, postgres_server: PostgresServer) -> Iterator[str]:
    """A restored database of the test's own."""
    name = postgres_server.database(like=exhibit.copy)
    yield name
    postgres_server.drop(name)


def test_a_restored_copy_has_no_difference(compared: Compare, exhibit: Exhibit) -> None:
    verification, found = compared(exhibit.copy, exhibit.manifest)

    assert found == []
    tables = exhibit.manifest.fingerprint.tables
    assert verification == Verification(
        passed=True,
        tables=12,
        rows=sum(table.rows for table in tables),
        sequences=6,
        sampled_rows=sum(len(table.sample) for table in tables),
    )


def test_a_restore_of_ours_has_no_difference_and_warns_of_none(
    pod: Pod, compared: Compare, exhibit: Exhibit, postgres_server: PostgresServer
) -> None:
    target, copy = backed_up(pod, exhibit.source), postgres_server.database()

    ended = pod.run(pod.restore_plan(copy, target))

    assert ended.status == 0, ended.output
    assert ended.report is not None
    assert ended.report.warnings == []
    assert compared(copy, exhibit.manifest)[1] == []


def test_the_source_itself_has_no_difference(compared: Compare, exhibit: Exhibit) -> None:
    assert compared(exhibit.source, exhibit.manifest)[1] == []


def test_settings_that_show_values_in_another_way_make_no_difference(
    compared: Compare, exhibit: Exhibit, copy: str, postgres_server: PostgresServer
) -> None:
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as connection:
        for statement in OTHER_TEXTS:
            connection.execute(psycopg.sql.SQL(statement).format(psycopg.sql.Identifier(copy)))

    assert compared(copy, exhibit.manifest)[1] == []


def test_another_encoding_makes_no_difference(pod: Pod, compared: Compare, postgres_server: PostgresServer) -> None:
    source = f"{postgres_server.database()}_latin"
    postgres_server.sql("postgres", f"CREATE DATABASE {source} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    postgres_server.sql(source, "CREATE TABLE words AS SELECT 'ação ' || i AS word FROM generate_series(1, 9) i")
    folder = folder_of(backed_up(pod, source))
    manifest = manifests.decode((folder / "manifest.json").read_bytes())

    verification, found = compared(copied(postgres_server, folder, postgres_server.database()), manifest)

    assert (verification.sampled_rows, found) == (9, [])


# What is done to the copy, and what is said of it: all of it, whatever else.
DAMAGES = {
    "a table is lost": ("DROP TABLE sales.kinds", ["Table sales.kinds is missing; it had 300 rows"]),
    "a partition is lost": (
        "DROP TABLE sales.sold_2025 CASCADE",
        [
            "Table sales.returned has 0 valid constraints instead of 1",
            "Table sales.sold_2025 is missing; it had 1070 rows",
        ],
    ),
    "a row is lost that no hash knows": (
        "DELETE FROM large WHERE length(body) > 1000",
        ["Table public.large has 1 rows instead of 2"],
    ),
    "rows are doubled": (
        "INSERT INTO sales.child SELECT * FROM sales.child WHERE a <= 3",
        ["Table sales.child has 53 rows instead of 50"],
    ),
    "one value is another": (
        "UPDATE public.large SET body = 'smalL' WHERE body = 'small'",
        ["Table public.large lacks 1 of 1 rows whose hashes were recorded"],
    ),
    "a column is another in every row": (
        "UPDATE sales.kinds SET at = at + interval '1 microsecond'",
        ["Table sales.kinds lacks 16 of 16 rows whose hashes were recorded"],
    ),
    "a column is lost": (
        'ALTER TABLE "odd ""%s\'\\ name" DROP "line\nbreak"',
        ["Table public.odd \"%s'\\ name lacks 5 of 5 rows whose hashes were recorded"],
    ),
    "an index is lost": (
        "DROP INDEX sales.sold_region_idx",
        [
            "Table sales.sold has 1 valid indexes instead of 2",
            "Table sales.sold_2025 has 1 valid indexes instead of 2",
            "Table sales.sold_2026 has 1 valid indexes instead of 2",
        ],
    ),
    "an index is not valid": (
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'sales.regions_name_key'::regclass",
        ["Table sales.regions has 1 valid indexes instead of 2; not valid: regions_name_key"],
    ),
    "an index is not ready": (
        "UPDATE pg_index SET indisready = false WHERE indexrelid = 'sales.regions_name_key'::regclass",
        ["Table sales.regions has 1 valid indexes instead of 2; not valid: regions_name_key"],
    ),
    "a constraint is lost": (
        "ALTER TABLE empty DROP CONSTRAINT empty_id_check; ALTER TABLE sales.regions DROP CONSTRAINT regions_name_key",
        [
            "Table sales.regions has 1 valid indexes instead of 2",
            "Table sales.regions has 1 valid constraints instead of 2",
            "Table public.empty has 0 valid constraints instead of 1; not valid: unproven",
        ],
    ),
    "a constraint is not validated": (
        "UPDATE pg_constraint SET convalidated = false WHERE conname = 'empty_id_check'",
        ["Table public.empty has 0 valid constraints instead of 1; not valid: empty_id_check, unproven"],
    ),
    "a reference between partitioned tables is lost": (
        "ALTER TABLE sales.sold DROP CONSTRAINT sold_region_fkey",
        [
            "Table sales.sold has 2 valid constraints instead of 3",
            "Table sales.sold_2025 has 2 valid constraints instead of 3",
            "Table sales.sold_2026 has 2 valid constraints instead of 3",
        ],
    ),
    "a sequence is lost": ("DROP SEQUENCE unused", ["Sequence public.unused is missing"]),
    "a sequence is behind": (
        "SELECT setval('sales.regions_id_seq', 29)",
        ["Sequence sales.regions_id_seq is at 29; the source was at 30"],
    ),
    "a sequence begins anew": (
        "ALTER SEQUENCE counter RESTART",
        ["Sequence public.counter has given out no value; the source was at 7"],
    ),
    "an extension is lost": (
        "ALTER TABLE sales.kinds DROP pairs; DROP EXTENSION hstore",
        ["Extension hstore is missing", "Table sales.kinds lacks 16 of 16 rows whose hashes were recorded"],
    ),
    "a table cannot be read": (
        "UPDATE pg_class SET relfilenode = 4000000000 WHERE oid = 'empty'::regclass",
        ["Table public.empty cannot be read: could not open file"],
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_each_damage_is_named(
    compared: Compare, exhibit: Exhibit, copy: str, postgres_server: PostgresServer, damage: str
) -> None:
    statements, expected = DAMAGES[damage]
    postgres_server.sql(copy, "SELECT 1; SET allow_system_table_mods = on; " + statements)

    verification, found = compared(copy, exhibit.manifest)

    assert [sentence[: len(text)] for sentence, text in zip(sorted(found), sorted(expected), strict=True)] == sorted(
        expected
    )
    assert (verification.passed, verification.difference_count) == (False, len(expected))
    assert verification.differences == found


@pytest.mark.parametrize(
    "change",
    [
        "SELECT nextval('counter')",
        "CREATE TABLE more ()",
        "SELECT setval('again', 1)",
        "ALTER TABLE large SET (fillfactor = 50)",
    ],
)
def test_what_no_restore_would_lose_is_no_difference(
    compared: Compare, exhibit: Exhibit, copy: str, postgres_server: PostgresServer, change: str
) -> None:
    postgres_server.sql(copy, "SELECT 1; " + change)

    assert compared(copy, exhibit.manifest)[1] == []


def test_a_manifest_with_nothing_but_row_counts_is_compared_by_them(
    compared: Compare, exhibit: Exhibit, copy: str, postgres_server: PostgresServer
) -> None:
    postgres_server.sql(copy, "DROP INDEX sales.sold_region_idx", "DELETE FROM columnless")
    fingerprint = exhibit.manifest.fingerprint
    counted = [msgspec.structs.replace(table, indexes=0, constraints=0, sample=[]) for table in fingerprint.tables]
    bare = msgspec.structs.replace(fingerprint, tables=counted, sequences=[], encoding="", database_bytes=0)

    found = compared(copy, msgspec.structs.replace(exhibit.manifest, fingerprint=bare))[1]

    assert found == ["Table public.columnless has 0 rows instead of 1"]


def test_tables_that_an_extension_brings_need_no_fingerprint(
    compared: Compare, exhibit: Exhibit, postgres_server: PostgresServer
) -> None:
    database = postgres_server.database()
    postgres_server.sql(
        database,
        "CREATE EXTENSION citext",
        "CREATE TABLE brought (id int)",
        "ALTER EXTENSION citext ADD TABLE brought",
    )

    verification, found = compared(database, msgspec.structs.replace(exhibit.manifest, fingerprint=Fingerprint()))

    assert (verification.passed, found) == (True, [])
