"""What PostgreSQL's programs are told, and what they are not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from dataguardian.domain.manifest import Fingerprint
from dataguardian.domain.plan import BackupPlan, Endpoint
from dataguardian.engines import Contents, Login, Source
from dataguardian.engines.postgresql import PostgreSQL
from dataguardian.engines.postgresql_load import quoted
from dataguardian.errors import ConfigInvalid, EngineFailed

NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=63)
ENGINE = PostgreSQL()


def login(database: str = "orders", **changes: str) -> Login:
    """A login whose password is in a file."""
    endpoint = Endpoint(
        datasource="orders",
        engine="postgresql",
        host="db.shop.svc",
        port=5432,
        database=database,
        username_file="/secrets/username",
        password_file="/secrets/password",
        tls_mode="verify-full",
        ca_file="/secrets/ca.crt",
    )
    return Login(endpoint, changes.get("username", "app"), "/work/login")


def plan(**changes: list[str]) -> BackupPlan:
    """A plan with these options."""
    return BackupPlan(
        execution_id="1",
        execution_name="nightly-1",
        namespace="shop",
        job_name="nightly",
        job_uid="2",
        folder="f",
        source=login().endpoint,
        targets=[],
        **changes,  # type: ignore[arg-type]  # one type for all options
    )


def read_password_file(line: str) -> list[str]:
    """The fields of a line as libpq reads them."""
    fields, escaped = [""], False
    for character in line.removesuffix("\n"):
        if escaped or character not in ":\\":
            fields[-1] += character
            escaped = False
        elif character == "\\":
            escaped = True
        else:
            fields.append("")
    return fields


@settings(deadline=None)
@given(st.text(st.characters(exclude_characters="\0\n\r", exclude_categories=["Cs"])))
def test_any_password_arrives_as_it_is(password: str) -> None:
    assert read_password_file(ENGINE.password_file(password)) == ["*", "*", "*", "*", password]


@settings(deadline=None)
@given(NAMES)
def test_any_database_name_is_a_name_and_nothing_else_in_a_connection_string(name: str) -> None:
    assert conninfo_to_dict(f"dbname={quoted(name)}") == {"dbname": name}


@settings(deadline=None)
@given(NAMES)
def test_no_name_becomes_an_argument_of_its_own(name: str) -> None:
    access = login(name, username=name)

    loading = ENGINE.loading(access, 15, 15, lock_timeout_seconds=60, application="a")

    for command in (
        ENGINE.session(access),
        ENGINE.dump(access, 15, "snapshot", plan()),
        loading.session(),
        loading.build("--head", 2),
    ):
        assert all(argument.startswith("--") for argument in command.argv[1:])
        assert (command.env["PGDATABASE"], command.env["PGUSER"]) == (name, name)


def test_an_environment_is_never_printed() -> None:
    command = ENGINE.dump(login(username="some-user"), 15, "snapshot", plan())

    assert "some-user" not in repr(command)
    assert "some-user" in command.env.values()


def test_nothing_of_our_own_environment_reaches_the_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c search_path=evil")
    monkeypatch.setenv("DATAGUARDIAN_PLAN", "{}")

    environment = ENGINE.session(login()).env

    assert {"PGOPTIONS", "DATAGUARDIAN_PLAN"} & set(environment) == set()


def test_options_are_patterns_for_pg_dump() -> None:
    options = plan(schemas=["shop"], include_tables=["shop.a*"], exclude_tables=["shop.audit"])

    arguments = ENGINE.dump_arguments(options)

    assert {"--schema=shop", "--table=shop.a*", "--exclude-table=shop.audit", "--strict-names"} <= set(arguments)


@pytest.fixture
def clients(tmp_path: Path) -> PostgreSQL:
    """An image with the clients of three majors."""
    for major in ("9", "15", "17"):
        for name in ("psql", "pg_dump", "pg_restore"):
            program = tmp_path / major / "bin" / name
            program.parent.mkdir(parents=True, exist_ok=True)
            program.touch()
    return PostgreSQL(tmp_path)


@pytest.mark.parametrize(
    ("server", "dumped_by", "client"), [(9, 0, 9), (14, 0, 15), (15, 15, 15), (17, 0, 17), (17, 15, 17)]
)
def test_the_client_is_the_oldest_that_serves(clients: PostgreSQL, server: int, dumped_by: int, client: int) -> None:
    assert clients.client(server, at_least=dumped_by) == client


def test_a_server_newer_than_every_client_is_refused_and_told(clients: PostgreSQL) -> None:
    with pytest.raises(ConfigInvalid, match=r"18 needs a client.*9, 15, 17"):
        clients.client(18)


@pytest.mark.parametrize(("server", "dumped_by", "client"), [(16, 15, 17), (18, 15, 17), (18, 17, 17), (14, 15, 15)])
def test_a_dump_is_loaded_by_the_newest_client_where_all_are_older_than_the_server(
    clients: PostgreSQL, server: int, dumped_by: int, client: int
) -> None:
    assert clients.client(server, at_least=dumped_by, dumps=False) == client


def test_a_dump_is_not_loaded_by_a_client_that_is_older_than_the_dumps(clients: PostgreSQL) -> None:
    with pytest.raises(ConfigInvalid, match=r"What client 18 has dumped.*9, 15, 17"):
        clients.client(18, at_least=18, dumps=False)


@pytest.mark.parametrize(("server", "dumped_by"), [(16, 0), (15, 17)])
def test_a_client_whose_dumps_the_server_cannot_load_is_refused(
    clients: PostgreSQL, server: int, dumped_by: int
) -> None:
    with pytest.raises(ConfigInvalid, match="PGDG=1"):
        clients.client(server, at_least=dumped_by)


def test_an_image_without_clients_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="none"):
        PostgreSQL(tmp_path).session(login())


def test_tables_are_those_whose_data_the_contents_list() -> None:
    listing = """\
;     Dumped by pg_dump version: 17.2 (Debian 17.2-1)
214; 1259 16385 TABLE public a postgres
3320; 0 16385 TABLE DATA public a postgres
3321; 0 16390 TABLE DATA public TABLE DATA of 3; 0 4 postgres
3322; 0 0 SEQUENCE SET public a_id_seq postgres
"""

    contents = ENGINE.contents(listing)

    assert (contents.tables, contents.tool_version) == ([16385, 16390], "17.2")


LISTING = """\
;
; Archive created at 2026-11-24 22:16:58 UTC
;     Dumped by pg_dump version: 15.18 (Debian 15.18-0+deb12u1)
;
2; 3079 16419 EXTENSION - citext{end}
3471; 0 0 COMMENT - EXTENSION citext{end}
218; 1259 16412 SEQUENCE public idn_id_seq postgres
3472; 0 0 SEQUENCE OWNED BY public idn_s_seq postgres
216; 1259 16390 TABLE public partitioned postgres
217; 1259 16401 TABLE DATA p1 postgres
219; 1259 16500 VIEW public TABLE postgres
3302; 0 0 TABLE ATTACH public p1 postgres
3460; 0 16401 TABLE DATA public p1 postgres
3461; 0 16700 TABLE DATA public of_an_extension postgres
3473; 0 0 SEQUENCE SET public idn_id_seq postgres
3308; 1259 16410 INDEX public partitioned_k_idx postgres
""".format(end=" ")


def test_the_listing_of_a_dump_tells_tables_sequences_and_extensions() -> None:
    contents = ENGINE.contents(LISTING)

    assert contents.tables == [16390, 16401, 16700]
    assert (contents.sequences, contents.extensions) == ([16412], [16419])
    assert contents.tool_version == "15.18"


def test_a_server_that_answers_nothing_leaves_a_fingerprint_without_that_and_says_so() -> None:
    source = Source(version="15.18", major=15, snapshot="1")

    fingerprint, missing = ENGINE.fingerprint(source, ENGINE.contents(LISTING), [])

    assert fingerprint == Fingerprint()
    assert missing == [
        "3 tables were not counted: another session waits for them",
        *(
            f"The {what} of the database could not be read"
            for what in ("sequences", "values of the sequences", "extensions", "roles", "encoding", "size")
        ),
    ]


def test_an_answer_that_is_none_is_an_error_of_ours_and_no_crash() -> None:
    with pytest.raises(EngineFailed):
        ENGINE.found(['["found_table", 7]'])


def test_the_more_tables_the_fewer_rows_of_each_are_sampled_so_that_manifests_stay_small() -> None:
    def limit(tables: int) -> int:
        contents = Contents(tables=list(range(tables)), sequences=[], extensions=[], tool_version="")
        (found,) = re.findall(r"LIMIT (\d+)", ENGINE.describe_dumped(contents))
        return int(found)

    assert [limit(tables) for tables in (0, 1, 1024, 4096, 50_000)] == [16, 16, 16, 4, 1]
