"""What a backup's manifest tells of the database that was dumped."""

from __future__ import annotations

import re

import psycopg

from dataguardian.domain import manifest as manifests
from dataguardian.domain.manifest import Fingerprint, Sequence, Table
from dataguardian.domain.plan import FilesystemTarget

from .museum import museum
from .runs import Ended, Pod, backed_up, folder_of
from .services import PostgresServer
from .shop import shop
from .valve import Valve


def fingerprint_in(target: FilesystemTarget) -> Fingerprint:
    """The fingerprint of the backup on a volume."""
    return manifests.decode((folder_of(target) / "manifest.json").read_bytes()).fingerprint


def tables_of(fingerprint: Fingerprint) -> dict[str, Table]:
    """The tables by their names."""
    return {f"{table.schema}.{table.name}": table for table in fingerprint.tables}


def warnings_of(ended: Ended) -> list[str]:
    """The warnings of a run that completed."""
    assert ended.status == 0, ended.output
    assert ended.report is not None
    return ended.report.warnings


def test_rows_indexes_and_constraints_of_every_table_are_recorded(pod: Pod, postgres_server: PostgresServer) -> None:
    found = tables_of(fingerprint_in(backed_up(pod, museum(postgres_server))))

    figures = {name: (table.rows, table.indexes, table.constraints) for name, table in found.items()}
    assert figures == {
        "sales.regions": (30, 2, 2),
        "sales.sold": (0, 2, 3),
        "sales.sold_2025": (1070, 2, 3),
        "sales.sold_2026": (930, 2, 3),
        "sales.returned": (20, 0, 1),
        "sales.parent": (0, 0, 0),
        "sales.child": (50, 0, 0),
        "sales.kinds": (300, 0, 0),
        "public.empty": (0, 0, 1),
        "public.columnless": (1, 0, 0),
        "public.odd \"%s'\\ name": (5, 0, 0),
        "public.large": (2, 0, 0),
    }


def test_rows_of_every_table_are_sampled_up_to_a_limit(pod: Pod, postgres_server: PostgresServer) -> None:
    found = tables_of(fingerprint_in(backed_up(pod, museum(postgres_server))))

    sizes = {name: len(table.sample) for name, table in found.items()}
    assert sizes == {
        "sales.regions": 16,
        "sales.sold": 0,
        "sales.sold_2025": 16,
        "sales.sold_2026": 16,
        "sales.returned": 16,
        "sales.parent": 0,
        "sales.child": 16,
        "sales.kinds": 16,
        "public.empty": 0,
        "public.columnless": 1,
        "public.odd \"%s'\\ name": 5,
        "public.large": 1,  # a row of 3 MB is left out
    }
    assert all(re.fullmatch("[0-9a-f]{16}", each) for table in found.values() for each in table.sample)


def test_the_rows_that_are_sampled_come_from_all_over_a_large_table(pod: Pod, postgres_server: PostgresServer) -> None:
    database = postgres_server.database()
    postgres_server.sql(database, "CREATE TABLE many AS SELECT i AS id FROM generate_series(1, 300000) i")

    (table,) = fingerprint_in(backed_up(pod, database)).tables

    hashed = "left(encode(sha256(convert_to(ROW(id)::text, 'UTF8')), 'hex'), 16)"
    rows = postgres_server.rows(database, f"SELECT {hashed}, id FROM many")
    ids = [int(str(number)) for sampled, number in rows if sampled in table.sample]
    assert len(ids) == 16
    assert min(ids) < 100_000 < 200_000 < max(ids)


def test_sequences_are_recorded_with_values_that_can_be_compared(pod: Pod, postgres_server: PostgresServer) -> None:
    found = fingerprint_in(backed_up(pod, museum(postgres_server)))

    assert found.sequences == [
        Sequence(schema="public", name="again"),
        Sequence(schema="public", name="counter", value=7),
        Sequence(schema="public", name="downwards"),
        Sequence(schema="public", name="unused"),
        Sequence(schema="sales", name="regions_id_seq", value=30),
        Sequence(schema="sales", name="returned_id_seq", value=20),
    ]


def test_extensions_encoding_and_size_are_recorded(pod: Pod, postgres_server: PostgresServer) -> None:
    database = museum(postgres_server)

    found = fingerprint_in(backed_up(pod, database))

    assert set(found.extensions) == {"citext", "hstore"}
    assert found.encoding == "UTF8"
    assert found.database_bytes > 8_000_000


def test_roles_that_a_restore_needs_are_recorded(pod: Pod, postgres_server: PostgresServer) -> None:
    database = shop(postgres_server)
    postgres_server.sql(
        database,
        *(f"CREATE ROLE fp_{name}" for name in ("owner", "reader", "member", "stranger")),
        "ALTER TABLE customers OWNER TO fp_owner",
        "GRANT SELECT ON orders TO fp_reader, pg_read_all_data",
        "CREATE POLICY own ON orders TO fp_member USING (true)",
        "CREATE DATABASE fp_other OWNER fp_stranger",
    )

    found = fingerprint_in(backed_up(pod, database))

    assert found.roles == ["fp_member", "fp_owner", "fp_reader", "postgres"]


def test_the_bootstrap_superuser_is_no_role_of_a_database_in_which_it_made_nothing(
    pod: Pod, postgres_server: PostgresServer
) -> None:
    assert fingerprint_in(backed_up(pod, postgres_server.database())).roles == []


def test_who_installed_an_extension_is_no_role_of_the_database(pod: Pod, postgres_server: PostgresServer) -> None:
    """A dump has the extension by its name alone; on a managed service it is the provider's, whom no other server has.

    What was granted on its parts is in the dump.
    """
    database = postgres_server.database()
    postgres_server.sql(
        database,
        "CREATE ROLE fp_installer SUPERUSER",
        "CREATE ROLE fp_tenant",
        "CREATE ROLE fp_granted",
        f'GRANT CREATE ON DATABASE "{database}" TO fp_tenant',
        "SET ROLE fp_installer",
        "CREATE EXTENSION pg_stat_statements",
        "GRANT SELECT ON pg_stat_statements TO fp_granted",
        "SET ROLE fp_tenant",
        "CREATE EXTENSION citext",  # a trusted one: its parts are the bootstrap superuser's
        "CREATE SCHEMA mine CREATE TABLE names (name public.citext, id serial PRIMARY KEY)",
    )

    roles = fingerprint_in(backed_up(pod, database)).roles

    assert roles == ["fp_granted", "fp_tenant"]


def test_only_what_the_options_name_is_recorded(pod: Pod, postgres_server: PostgresServer) -> None:
    found = fingerprint_in(backed_up(pod, museum(postgres_server), include_tables=["sales.returned", "counter"]))

    assert [table.name for table in found.tables] == ["returned"]
    assert [sequence.name for sequence in found.sequences] == ["counter", "returned_id_seq"]
    assert found.extensions == {}


def test_a_role_that_may_only_read_all_data_records_everything(pod: Pod, postgres_server: PostgresServer) -> None:
    database = museum(postgres_server)
    expected = fingerprint_in(backed_up(pod, database))
    postgres_server.sql(
        database,
        "CREATE ROLE fp_backup LOGIN PASSWORD 'backup'",
        "GRANT pg_read_all_data TO fp_backup",
        # pg_dump reads them, and pg_read_all_data does not suffice.
        "SELECT lo_unlink(oid) FROM pg_largeobject_metadata",
    )
    source = pod.endpoint(database)
    pod.secret("username", "fp_backup")
    pod.secret("password", "backup")

    ended = pod.run(pod.backup_plan(database, pod.volume("second"), source=source))

    assert warnings_of(ended) == []
    found = fingerprint_in(pod.volume("second"))
    assert (found.tables, found.sequences) == (expected.tables, expected.sequences)


def test_a_sequence_set_back_after_the_snapshot_is_recorded_without_a_value(
    pod: Pod, postgres_server: PostgresServer, valve: Valve
) -> None:
    """The dump has whatever value it met, and a restored copy must not be called worse than that."""
    database, target = shop(postgres_server), pod.volume()
    valve.admit(1)  # the session that pins the moment; the dump waits at the door
    source = pod.endpoint(database, host=valve.host, port=valve.port)
    running = pod.start(pod.backup_plan(database, target, source=source))
    running.until(lambda: '"step_started","step":"dump"' in running.output, "the dump begins")
    postgres_server.sql(database, "SELECT setval('customers_id_seq', 3)", "SELECT setval('orders_id_seq', 6000)")
    valve.open()

    assert warnings_of(running.ended()) == []

    values = {sequence.name: sequence.value for sequence in fingerprint_in(target).sequences}
    assert values == {"customers_id_seq": None, "orders_id_seq": 5000}


def test_nobody_waits_for_a_sequence_while_the_dump_goes_on(
    pod: Pod, postgres_server: PostgresServer, valve: Valve
) -> None:
    database = shop(postgres_server)
    valve.admit(1)
    source = pod.endpoint(database, host=valve.host, port=valve.port)
    running = pod.start(pod.backup_plan(database, pod.volume(), source=source))
    running.until(lambda: '"step_started","step":"dump"' in running.output, "the dump begins")

    postgres_server.sql(database, "SET lock_timeout = '5s'; ALTER SEQUENCE orders_id_seq CACHE 10")

    valve.open()
    assert running.ended().status == 0


def test_a_sequence_that_somebody_alters_costs_its_value_and_not_the_backup(
    pod: Pod, postgres_server: PostgresServer
) -> None:
    database = shop(postgres_server)
    target = pod.volume()
    with psycopg.connect(postgres_server.dsn(database)) as migration:
        migration.execute("ALTER SEQUENCE orders_id_seq CACHE 10")

        ended = pod.run(pod.backup_plan(database, target))

    assert warnings_of(ended) == ["The values of the sequences of the database could not be read"]
    found = fingerprint_in(target)
    assert [(sequence.name, sequence.value) for sequence in found.sequences] == [
        ("customers_id_seq", None),
        ("orders_id_seq", None),
    ]
    assert len(found.tables) == 3


def test_a_manifest_shows_each_sample_in_one_line(pod: Pod, postgres_server: PostgresServer) -> None:
    text = (folder_of(backed_up(pod, shop(postgres_server))) / "manifest.json").read_text()

    samples = [line for line in text.splitlines() if '"sample"' in line]
    assert len(samples) == 3
    assert all(line.rstrip(",").endswith(" ]") for line in samples)
