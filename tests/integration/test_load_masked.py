"""A masked load: what masks runs between tables, rows and what is built from rows, in one transaction with them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import psycopg
import pytest

from dataguardian.errors import DumpFailed, LoadFailed
from dataguardian.runner import contents

from .loads import Loads, Masked, dump_of, pieces
from .rich import dumped, rich
from .runs import Pod
from .services import PostgresServer, wait_until
from .shop import content, shop

BOTH_WAYS = pytest.mark.parametrize("atomic", [True, False])

UPPER = Masked(
    before="""\
CREATE FUNCTION pg_temp.upper() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
  NEW.name := pg_catalog.upper(NEW.name);
  RETURN NEW;
END$$;
CREATE TRIGGER mask BEFORE INSERT ON public.people FOR EACH ROW EXECUTE FUNCTION pg_temp.upper();
CREATE TEMPORARY TABLE key (value bytea) ON COMMIT DROP;
COPY pg_temp.key FROM stdin;
\\\\x00
\\.
SELECT 'COPY 77';
""",
    after="""\
DROP TRIGGER mask ON public.people;
SELECT pg_catalog.format('COMMENT ON TABLE public.people IS %L', relation || ' ' || found)
  FROM (SELECT count(*) AS found FROM pg_catalog.pg_index WHERE indrelid = 'public.people'::pg_catalog.regclass) AS i
 CROSS JOIN (SELECT max(name) AS relation FROM public.people) AS p
\\gexec
""",
)


@pytest.fixture
def loads(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> Loads:
    """Makes loads."""
    return Loads(pod, monkeypatch)


@pytest.fixture
def people(postgres_server: PostgresServer) -> str:
    """A database with a table that is masked, and what is built from its rows."""
    database = postgres_server.database()
    postgres_server.sql(
        database,
        "CREATE TABLE people (id int PRIMARY KEY, name text NOT NULL)",
        "INSERT INTO people SELECT i, 'person ' || i FROM generate_series(1, 2000) AS i",
        "CREATE INDEX names ON people (name)",
        "CREATE MATERIALIZED VIEW named AS SELECT DISTINCT name FROM people",
        "CREATE TABLE visits (person int REFERENCES people)",
        "INSERT INTO visits SELECT i FROM generate_series(1, 2000) AS i",
        "GRANT SELECT ON people TO pg_monitor",
    )
    return database


@BOTH_WAYS
@pytest.mark.parametrize("replaces", ["nothing", "contained", "everything"])
def test_rows_are_masked_before_anything_is_built_from_them(
    loads: Loads, postgres_server: PostgresServer, people: str, atomic: bool, replaces: str
) -> None:
    target = postgres_server.database(like="template1" if replaces == "nothing" else people)
    load, dump = loads.into(target, replaces=replaces, mask=UPPER), pieces(dump_of(postgres_server, people))

    loaded = load.atomic(dump) if atomic else load.parallel(dump, 2)

    assert sorted(loaded) == [2000, 2000]
    assert postgres_server.rows(target, "SELECT count(*) FROM named WHERE name ~ '^PERSON'") == [(2000,)]
    assert postgres_server.rows(target, "SELECT obj_description('people'::regclass)") == [("PERSON 999 0",)]
    postgres_server.sql(target, "COMMENT ON TABLE people IS NULL", "UPDATE people SET name = lower(name)")
    postgres_server.sql(target, "REFRESH MATERIALIZED VIEW named")
    assert content(postgres_server, target) == content(postgres_server, people)
    assert "GRANT SELECT ON TABLE public.people TO pg_monitor" in dumped(postgres_server, target)


@BOTH_WAYS
def test_a_mask_that_does_nothing_loads_what_is_loaded_without(
    loads: Loads, postgres_server: PostgresServer, atomic: bool
) -> None:
    source, target = rich(postgres_server), rich(postgres_server)
    load, dump = loads.into(target, mask=Masked()), pieces(dump_of(postgres_server, source))

    loaded = load.atomic(dump) if atomic else load.parallel(dump, 2)

    assert dumped(postgres_server, target) == dumped(postgres_server, source)
    assert sum(loaded) == 303 + 3000 + 900 + 2


def test_an_owner_without_rights_in_its_own_table_can_load_it(loads: Loads, postgres_server: PostgresServer) -> None:
    source, target = postgres_server.database(), postgres_server.database()
    postgres_server.sql("postgres", "CREATE ROLE frugal LOGIN PASSWORD 'frugal'")
    postgres_server.sql("postgres", *(f"ALTER DATABASE {name} OWNER TO frugal" for name in (source, target)))
    with psycopg.connect(postgres_server.dsn(source, user="frugal", password="frugal")) as connection:
        connection.execute("CREATE TABLE mine AS SELECT 1 AS id")
        connection.execute("REVOKE ALL ON mine FROM frugal")

    loads.into(target, user="frugal", mask=Masked()).atomic(pieces(dump_of(postgres_server, source)))

    assert dumped(postgres_server, target) == dumped(postgres_server, source)


@BOTH_WAYS
@pytest.mark.parametrize(
    ("change", "mask"),
    [
        # In each phase by something that the source's statements meet in the target.
        pytest.param("CREATE ROLE nobody_{0}; ALTER TABLE people OWNER TO nobody_{0}", Masked(), id="tables"),
        pytest.param("SELECT", Masked(before="SELECT 1/0;\n"), id="before the rows"),
        pytest.param("SELECT", Masked(before="ALTER TABLE public.people ADD CHECK (id <> 1000);\n"), id="rows"),
        pytest.param("SELECT", Masked(after="SELECT 1/0;\n"), id="after the rows"),
    ],
)
def test_a_failure_before_the_commit_leaves_the_target_as_it_was(
    loads: Loads, postgres_server: PostgresServer, people: str, atomic: bool, change: str, mask: Masked
) -> None:
    postgres_server.sql(people, *change.format(people).split("; "))
    target, dump = shop(postgres_server), pieces(dump_of(postgres_server, people))
    if "ROLE" in change:
        postgres_server.sql(people, "ALTER TABLE people OWNER TO postgres", f"DROP ROLE nobody_{people}")
    before = dumped(postgres_server, target)
    load = loads.into(target, mask=mask)

    with pytest.raises(LoadFailed):
        load.atomic(dump) if atomic else load.parallel(dump, 2)

    assert dumped(postgres_server, target) == before


def test_a_failure_in_what_is_built_leaves_the_target_as_it_was(
    loads: Loads, postgres_server: PostgresServer, people: str
) -> None:
    target = shop(postgres_server)
    before = dumped(postgres_server, target)
    doubled = Masked(after="INSERT INTO public.people VALUES (1, 'another first');\n")

    with pytest.raises(LoadFailed, match="people_pkey"):
        loads.into(target, mask=doubled).atomic(pieces(dump_of(postgres_server, people)))

    assert dumped(postgres_server, target) == before


@BOTH_WAYS
def test_a_failure_in_what_is_built_tells_nothing_of_a_row(
    loads: Loads, postgres_server: PostgresServer, people: str, atomic: bool
) -> None:
    doubled = Masked("\\set VERBOSITY verbose\n", "INSERT INTO public.people VALUES (1234567, ''), (1234567, '');\n")
    load, dump = loads.into(postgres_server.database(), mask=doubled), pieces(dump_of(postgres_server, people))

    with pytest.raises(LoadFailed, match="people_pkey") as failed:
        load.atomic(dump) if atomic else load.parallel(dump, 2)

    assert "1234567" not in str(failed.value)


@BOTH_WAYS
@pytest.mark.parametrize("mask", [None, Masked()])
def test_a_source_that_fails_is_the_error_and_the_target_stays(
    loads: Loads, postgres_server: PostgresServer, people: str, atomic: bool, mask: Masked | None
) -> None:
    target = shop(postgres_server)
    before = dumped(postgres_server, target)
    dump = dump_of(postgres_server, people)

    def broken() -> Iterator[bytes]:
        yield from itertools.islice(pieces(dump), len(dump) // 4096)
        raise DumpFailed("The source is gone.", remedy="Bring it back.")

    load = loads.into(target, mask=mask)
    with pytest.raises(DumpFailed):
        load.atomic(broken()) if atomic else load.parallel(broken(), 2)

    assert dumped(postgres_server, target) == before


@pytest.mark.parametrize("mask", [None, Masked()])
def test_a_target_that_fails_ends_a_dump_that_proves_nothing_at_once(
    loads: Loads, postgres_server: PostgresServer, people: str, mask: Masked | None
) -> None:
    target, taken = shop(postgres_server), []
    before = dumped(postgres_server, target)
    dump = dump_of(postgres_server, people)
    loading = "SELECT pid FROM pg_stat_activity WHERE application_name = 'dataguardian-test' AND state <> 'idle'"

    def endless() -> Iterator[bytes]:
        yield dump
        postgres_server.rows(target, f"SELECT pg_terminate_backend(pid) FROM ({loading}) AS loading")
        wait_until(lambda: not postgres_server.rows(target, loading), what="the load's session is gone")
        for number in itertools.count():
            taken.append(number)
            yield bytes(1024 * 1024)

    with pytest.raises(LoadFailed):
        loads.into(target, mask=mask).atomic(endless())

    assert len(taken) < 64
    assert dumped(postgres_server, target) == before


def test_a_table_of_contents_that_is_too_long_for_memory_cannot_be_masked(
    loads: Loads, postgres_server: PostgresServer, people: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "LIMIT_BYTES", 1000)
    target = postgres_server.database()

    with pytest.raises(LoadFailed, match="table of contents"):
        loads.into(target, mask=UPPER).atomic(pieces(dump_of(postgres_server, people), 2000))

    assert postgres_server.rows(target, "SELECT FROM pg_class WHERE relname = 'people'") == []


def test_without_a_mask_everything_is_replaced_also_by_a_longer_one(
    loads: Loads, postgres_server: PostgresServer, people: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "LIMIT_BYTES", 1000)
    target = shop(postgres_server)

    loads.into(target).atomic(pieces(dump_of(postgres_server, people), 2000))

    assert dumped(postgres_server, target) == dumped(postgres_server, people)
