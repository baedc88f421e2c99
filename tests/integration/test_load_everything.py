"""A load that replaces everything makes the target a copy: what it does not replace is what no dump holds."""

from __future__ import annotations

from contextlib import closing

import psycopg
import pytest

from dataguardian.errors import PermissionRefused, SyncRefused, TargetLocked

from .loads import Loads, dump_of, pieces
from .museum import museum
from .rich import dumped, rich
from .runs import Pod
from .services import PostgresServer
from .shop import content, shop

BOTH_WAYS = pytest.mark.parametrize("atomic", [True, False])


@pytest.fixture
def loads(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> Loads:
    """Makes loads."""
    return Loads(pod, monkeypatch)


@BOTH_WAYS
def test_a_database_with_one_of_everything_becomes_another_one(
    loads: Loads, postgres_server: PostgresServer, atomic: bool
) -> None:
    """The schema of an extension stays, without its comment and grants, and so do extensions; one is moved."""
    source, target = museum(postgres_server), rich(postgres_server)
    postgres_server.sql(
        source,
        "CREATE SCHEMA shop",
        "CREATE EXTENSION btree_gist",
        "DROP TABLE sales.parent CASCADE",  # every restore orders the columns of its child anew
    )
    load, dump = loads.into(target), pieces(dump_of(postgres_server, source))

    loaded = load.atomic(dump) if atomic else load.parallel(dump, 2)

    assert dumped(postgres_server, target) == dumped(postgres_server, source)
    assert sum(loaded) > 2000


def test_a_copy_of_the_same_database_takes_its_place_again(loads: Loads, postgres_server: PostgresServer) -> None:
    """What the source calls the same may be something else in the target, and what hangs on it may not be known."""
    source, target = rich(postgres_server), rich(postgres_server)
    postgres_server.sql(
        target,
        "CREATE VIEW public.unknown AS SELECT * FROM shop.orders",
        'CREATE SCHEMA "odd ""%I;"',
        'CREATE TABLE "odd ""%I;"."odd ""%s\'\\ name" (a int)',
        'CREATE FUNCTION "odd ""%I;"() RETURNS int LANGUAGE sql AS \'SELECT 1\'',
        "CREATE SCHEMA other",
        "CREATE TABLE other.orders (id int REFERENCES shop.orders, state shop.state)",
        "CREATE FUNCTION other.of(shop.orders) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE DOMAIN other.few AS shop.cents",
        "DROP VIEW shop.by_key",
        "CREATE TABLE shop.by_key (a int)",
        "CREATE DOMAIN public.name AS text",
        "CREATE AGGREGATE public.none (*) (sfunc = int8inc, stype = bigint, initcond = '0')",
        "CREATE CAST (shop.state AS shop.cents) WITH INOUT",
        "CREATE TEXT SEARCH CONFIGURATION public.plain (COPY = simple)",
        "CREATE OPERATOR FAMILY public.family USING btree",
        "CREATE PUBLICATION of_all FOR ALL TABLES",
        "CREATE FOREIGN DATA WRAPPER files",
        "CREATE SERVER elsewhere FOREIGN DATA WRAPPER files",
        "CREATE FOREIGN TABLE public.far (a int) SERVER elsewhere",
        "CREATE EVENT TRIGGER never ON sql_drop EXECUTE FUNCTION shop.watch()",
        "SELECT lo_from_bytea(80000, 'another one')",
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
        "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON SEQUENCES TO PUBLIC",
    )

    loads.into(target).atomic(pieces(dump_of(postgres_server, source)))

    assert dumped(postgres_server, target) == dumped(postgres_server, source)


@pytest.mark.parametrize("changed", [True, False])
def test_schema_public_is_as_in_a_new_database_that_is_restored(
    loads: Loads, postgres_server: PostgresServer, changed: bool
) -> None:
    source, target = postgres_server.database(), postgres_server.database()
    change = (
        "GRANT ALL ON SCHEMA public TO PUBLIC",
        "ALTER SCHEMA public OWNER TO pg_monitor",
        "COMMENT ON SCHEMA public IS 'ours'",
    )
    postgres_server.sql(source if changed else target, *change)
    postgres_server.sql(target if changed else source, "SELECT")

    loads.into(target).atomic(pieces(dump_of(postgres_server, source)))

    assert dumped(postgres_server, target) == dumped(postgres_server, source)


def test_a_target_without_schema_public_gets_it_again(loads: Loads, postgres_server: PostgresServer) -> None:
    source, target = shop(postgres_server), postgres_server.database()
    postgres_server.sql(target, "DROP SCHEMA public")

    loads.into(target).atomic(pieces(dump_of(postgres_server, source)))

    assert content(postgres_server, target) == content(postgres_server, source)


def test_what_no_dump_holds_stays(loads: Loads, postgres_server: PostgresServer) -> None:
    source, target = shop(postgres_server), shop(postgres_server)
    postgres_server.sql(
        target,
        f"COMMENT ON DATABASE {target} IS 'the staging of the shop'",
        f"ALTER DATABASE {target} SET work_mem = '5MB'",
        f"GRANT CREATE ON DATABASE {target} TO pg_monitor",
        "CREATE EXTENSION pg_trgm",
        "CREATE SCHEMA search",
        "CREATE EXTENSION unaccent SCHEMA search",
    )
    kept = (
        "SELECT shobj_description(d.oid, 'pg_database'), datacl::text, setconfig FROM pg_database AS d"
        " JOIN pg_db_role_setting ON setdatabase = d.oid WHERE datname = current_database()"
    )
    extensions = "SELECT oid, extname, extnamespace FROM pg_extension ORDER BY extname"
    before = (postgres_server.rows(target, kept), postgres_server.rows(target, extensions))

    loads.into(target).atomic(pieces(dump_of(postgres_server, source)))

    assert (postgres_server.rows(target, kept), postgres_server.rows(target, extensions)) == before
    assert content(postgres_server, target)["public.orders"] == content(postgres_server, source)["public.orders"]


def test_rows_of_users_in_tables_of_extensions_are_replaced(loads: Loads, postgres_server: PostgresServer) -> None:
    """As those of spatial_ref_sys, which a dump has too: they would be there twice."""
    source, target = postgres_server.database(), postgres_server.database()
    for database, row in ((source, "(11, 'source')"), (target, "(12, 'target')")):
        postgres_server.sql(
            database,
            "CREATE EXTENSION pg_trgm",
            "CREATE TABLE systems (id int PRIMARY KEY, name text)",
            "ALTER EXTENSION pg_trgm ADD TABLE systems",
            "UPDATE pg_extension SET extconfig = ARRAY['systems'::regclass::oid], extcondition = ARRAY['WHERE id > 10']"
            " WHERE extname = 'pg_trgm'",
            "INSERT INTO systems VALUES (1, 'of the extension')",
            f"INSERT INTO systems VALUES {row}",
        )

    loads.into(target).atomic(pieces(dump_of(postgres_server, source)))

    assert postgres_server.rows(target, "SELECT * FROM systems ORDER BY id") == [
        (1, "of the extension"),
        (11, "source"),
    ]


def test_a_role_that_owns_the_database_is_enough(loads: Loads, postgres_server: PostgresServer) -> None:
    """It does not own extensions, whose comments the dump would set."""
    source, target = postgres_server.database(), postgres_server.database()
    postgres_server.sql("postgres", "CREATE ROLE keeper LOGIN PASSWORD 'keeper'")
    postgres_server.sql("postgres", *(f"ALTER DATABASE {name} OWNER TO keeper" for name in (source, target)))
    for name in (source, target):
        postgres_server.sql(name, "CREATE EXTENSION pg_stat_statements")
        with psycopg.connect(postgres_server.dsn(name, user="keeper", password="keeper")) as connection:
            connection.execute("CREATE TABLE mine AS SELECT 1 AS id; CREATE SCHEMA own; CREATE TABLE own.more ()")
            connection.execute("REVOKE ALL ON mine FROM keeper")

    loads.into(target, user="keeper").atomic(pieces(dump_of(postgres_server, source)))

    assert dumped(postgres_server, target) == dumped(postgres_server, source)


def test_what_a_role_may_not_drop_is_permission_refused_and_stays(
    loads: Loads, postgres_server: PostgresServer
) -> None:
    source, target = postgres_server.database(), shop(postgres_server)
    postgres_server.sql("postgres", "CREATE ROLE stranger LOGIN PASSWORD 'stranger'")
    before = dumped(postgres_server, target)

    with pytest.raises(PermissionRefused, match="must be owner of"):
        loads.into(target, user="stranger").atomic(pieces(dump_of(postgres_server, source)))

    assert dumped(postgres_server, target) == before


def test_a_target_with_a_subscription_is_refused(loads: Loads, postgres_server: PostgresServer) -> None:
    """Others write into it, and it is they that know of its tables."""
    source, target = shop(postgres_server), shop(postgres_server)
    postgres_server.sql(
        target, "CREATE SUBSCRIPTION changes CONNECTION 'host=nowhere' PUBLICATION p WITH (connect = false)"
    )
    before = dumped(postgres_server, target)

    with pytest.raises(SyncRefused, match=r"changes.*SET \(slot_name = NONE\); then DROP"):
        loads.into(target).atomic(pieces(dump_of(postgres_server, source)))

    assert dumped(postgres_server, target) == before
    postgres_server.sql(target, "ALTER SUBSCRIPTION changes SET (slot_name = NONE)", "DROP SUBSCRIPTION changes")


@pytest.mark.parametrize("replaces", ["everything", "nothing"])
def test_a_subscription_of_the_source_is_not_copied(
    loads: Loads, postgres_server: PostgresServer, replaces: str
) -> None:
    """Two subscribers of one slot would take rows from each other."""
    source, target = shop(postgres_server), postgres_server.database()
    postgres_server.sql(
        source, "CREATE SUBSCRIPTION orders CONNECTION 'host=nowhere' PUBLICATION p WITH (connect = false)"
    )

    loads.into(target, replaces=replaces).atomic(pieces(dump_of(postgres_server, source)))

    assert (
        postgres_server.rows(
            target,
            "SELECT FROM pg_subscription AS s JOIN pg_database AS d ON d.oid = subdbid"
            " WHERE datname = current_database()",
        )
        == []
    )
    postgres_server.sql(source, "ALTER SUBSCRIPTION orders SET (slot_name = NONE)", "DROP SUBSCRIPTION orders")


def test_who_holds_a_lock_on_what_only_the_target_has_is_named(loads: Loads, postgres_server: PostgresServer) -> None:
    source, target = postgres_server.database(), shop(postgres_server)
    before = dumped(postgres_server, target)
    with psycopg.connect(postgres_server.dsn(target), application_name="monthly report") as connection:
        connection.execute("SELECT FROM orders")

        with pytest.raises(TargetLocked, match="application 'monthly report'"):
            loads.into(target, lock_timeout_seconds=1).atomic(pieces(dump_of(postgres_server, source)))

    assert dumped(postgres_server, target) == before


def test_what_an_earlier_try_left_is_ended(loads: Loads, postgres_server: PostgresServer) -> None:
    source, target = shop(postgres_server), shop(postgres_server)
    load = loads.into(target, lock_timeout_seconds=2)
    with closing(psycopg.connect(postgres_server.dsn(target), application_name="dataguardian-test")) as lost:
        lost.execute("LOCK orders")

        load.atomic(pieces(dump_of(postgres_server, source)))

    assert content(postgres_server, target) == content(postgres_server, source)
