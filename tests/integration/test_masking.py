"""A masked copy has no source value, at no moment and in no file, and joins as the source does."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from psycopg.sql import Identifier

from .masked import KEY, Copying, rule
from .runs import Pod
from .services import PostgresServer

LEFT = """
    SELECT tgname FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT proname FROM pg_proc WHERE proname ~ 'dg_'
    UNION ALL SELECT relname FROM pg_class WHERE relname ~ 'dg_' OR relpersistence = 't'
    UNION ALL SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|public$|information_schema$)'
"""


@pytest.fixture(scope="module")
def logging_postgres() -> Iterator[PostgresServer]:
    """A server that logs each statement."""
    server = PostgresServer(settings=("fsync=off", "log_statement=all", "log_min_duration_statement=0"))
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def copying(
    pod: Pod, postgres_server: PostgresServer, logging_postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> Copying:
    """Copies from a server to that one."""
    monkeypatch.setenv("DATAGUARDIAN_WORK_DIR", str(pod.folder))
    return Copying(pod, postgres_server, logging_postgres)


def hashed(value: str | bytes) -> bytes:
    """What the key makes of a value."""
    message = value.encode() if isinstance(value, str) else value
    return hmac.new(KEY.encode(), message, hashlib.sha256).digest()


def files(server: PostgresServer) -> Iterator[Path]:
    """All that the server has written."""
    return (path for path in server.folder.rglob("*") if path.is_file())


def test_each_how_does_what_it_says_and_null_stays_null(copying: Copying, postgres_server: PostgresServer) -> None:
    source = postgres_server.database()
    postgres_server.sql(
        source,
        "CREATE DOMAIN code AS varchar(6) CHECK (length(VALUE) > 2)",
        """CREATE TABLE people (n int, hex text, cut varchar(10), padded char(12), own code, id uuid, raw bytea,
           mail text, person text, phone text, gone text, said jsonb DEFAULT '{"a": 1}', plain text,
           upper text GENERATED ALWAYS AS (upper(mail)) STORED, always int GENERATED ALWAYS AS IDENTITY)""",
        """INSERT INTO people VALUES (1, 'José', 'a', 'b', 'abcdef', '6ecd8c99-4036-403d-bf84-cf8400f67836',
           '\\xdeadbeef', 'a@b.c', 'Jo', '+55 (11) 9', 'x', '{"secret": 2}', 'kept')""",
        "INSERT INTO people (n, said) VALUES (2, NULL)",
    )

    copy = copying.copy(
        source,
        *(rule(f"people.{column}", "hash") for column in ("hex", "cut", "padded", "own", "id", "raw")),
        rule("people.mail", "email"),
        rule("people.person", "name"),
        rule("people.phone", "digits"),
        rule("people.gone", "null"),
        rule("people.said", "fixed", '{"it\'s": "a \\\\ \\" 1"}'),
    )

    first, second = copying.target.rows(copy, "SELECT * FROM people ORDER BY n")
    digits = [str(byte % 10) for byte in hashed("+55 (11) 9")]
    identity = hashed("6ecd8c99-4036-403d-bf84-cf8400f67836").hex()
    mail = f"{hashed('a@b.c').hex()[:16]}@example.invalid"
    assert first[:8] == (
        1,
        hashed("José").hex(),
        hashed("a").hex()[:10],
        hashed("b").hex()[:12],
        hashed("abcdef").hex()[:6],
        uuid.UUID(f"{identity[:12]}4{identity[12:15]}8{identity[15:30]}"),
        hashed(b"\xde\xad\xbe\xef"),
        mail,
    )
    assert str(first[8]).istitle()
    assert first[9] == f"+{digits[1]}{digits[2]} ({digits[5]}{digits[6]}) {digits[9]}"
    assert first[10:] == (None, {"it's": 'a \\ " 1'}, "kept", mail.upper(), 1)
    assert second == (2, *[None] * 10, {"it's": 'a \\ " 1'}, None, None, 2)


def test_joins_on_hashed_keys_match_across_types_and_keys_stay_unique(
    copying: Copying, postgres_server: PostgresServer
) -> None:
    source = postgres_server.database()
    postgres_server.sql(
        source,
        "CREATE TABLE a (id int PRIMARY KEY, email text UNIQUE, tax numeric(11) UNIQUE, few numeric(4) UNIQUE)",
        "CREATE TABLE b (a bigint, email varchar(80) REFERENCES a (email), tax bigint, exact numeric, "
        "small smallint, far int8, id int REFERENCES a)",
        "INSERT INTO a SELECT i - 500, 'person' || i, 10000000000 + i, i FROM generate_series(0, 4999) i",
        "INSERT INTO b SELECT id, email, tax, round(id, 2), id, id::int8 << 40, id FROM a",
    )
    joined = (
        "SELECT count(*) FROM b JOIN a ON a.id = b.a AND a.id = b.exact AND a.id = small"
        " AND a.tax = b.tax AND a.email = b.email"
    )

    copy = copying.copy(
        source,
        *(rule(f"a.{column}", "hash") for column in ("id", "email", "tax", "few")),
        *(rule(f"b.{column}", "hash") for column in ("a", "email", "tax", "exact", "small", "far", "id")),
    )

    assert copying.target.rows(copy, joined) == [(5000,)]
    assert copying.target.rows(copy, "SELECT count(DISTINCT far) FROM b") == [(5000,)]
    assert copying.target.rows(copy, "SELECT count(*) FROM a WHERE id < 0 AND id BETWEEN -32768 AND 32767") == [(500,)]


def test_what_citext_takes_for_equal_has_one_hash(copying: Copying, postgres_server: PostgresServer) -> None:
    source = postgres_server.database()
    postgres_server.sql(
        source,
        "CREATE EXTENSION citext",
        "CREATE DOMAIN address AS citext",
        "CREATE TABLE people AS SELECT 'Ada@X'::citext AS mail",
        "CREATE TABLE visits AS SELECT 'ada@x'::address AS mail, 'ADA@x'::citext AS again",
    )

    copy = copying.copy(source, rule("people.mail", "hash"), rule("visits.mail", "hash"), rule("visits.again", "hash"))

    joined = "SELECT count(*) FROM people JOIN visits USING (mail) WHERE again = people.mail"
    assert copying.target.rows(copy, joined) == [(1,)]


def test_a_rule_covers_partitions_and_children_and_shuffle_moves_values_over_all_of_them(
    copying: Copying, postgres_server: PostgresServer
) -> None:
    source = postgres_server.database()
    postgres_server.sql(
        source,
        "CREATE TABLE events (id int, note text, who text) PARTITION BY RANGE (id)",
        "CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (100)",
        "CREATE TABLE events_2 (who text, id int, note text)",
        "ALTER TABLE events ATTACH PARTITION events_2 DEFAULT",
        "INSERT INTO events SELECT i, 'note ' || i, 'who ' || i FROM generate_series(0, 199) i",
        "CREATE TABLE parent (secret text)",
        "CREATE TABLE child (more int) INHERITS (parent)",
        "INSERT INTO parent VALUES ('one')",
        "INSERT INTO child VALUES ('two', 1)",
    )

    copy = copying.copy(
        source,
        rule("events.note", "hash"),
        rule("events.who", "shuffle"),
        rule("parent.secret", "sql", "'<' || length(secret) || E'>\\\\ \\' \\n' || $q$;--$q$"),
    )

    assert copying.target.rows(copy, "SELECT DISTINCT secret FROM parent") == [("<3>\\ ' \n;--",)]
    events = copying.target.rows(copy, "SELECT id, note, who FROM events ORDER BY id")
    assert [note for _, note, _ in events] == [hashed(f"note {number}").hex() for number in range(200)]
    assert sorted(str(who) for _, _, who in events) == sorted(f"who {number}" for number in range(200))
    assert sum(who == f"who {number}" for number, _, who in events) < 20
    assert any(int(str(who).split()[1]) >= 100 for number, _, who in events if int(str(number)) < 100)


def test_neither_a_second_session_nor_a_file_of_the_server_ever_has_a_source_value_or_the_key(
    copying: Copying, postgres_server: PostgresServer, logging_postgres: PostgresServer
) -> None:
    source = postgres_server.database()
    postgres_server.sql(
        source,
        "CREATE TABLE people (id int PRIMARY KEY, mail text, note text)",
        "INSERT INTO people SELECT i, 'sourcevalue' || i, 'sourcevalue' || i FROM generate_series(1, 3000) i",
        "CREATE INDEX ON people (mail)",
        "CREATE MATERIALIZED VIEW mails AS SELECT mail FROM people",
        "CREATE TABLE counted AS SELECT 1 AS n",
    )
    seen: list[object] = []

    def look(copy: str) -> None:
        seen.append(logging_postgres.rows(copy, "SELECT relname FROM pg_class WHERE relname = 'people'"))
        seen.append(logging_postgres.rows(copy, LEFT))
        activity = logging_postgres.rows(copy, "SELECT query FROM pg_stat_activity")
        assert "fixedvalue" not in str(activity)

    copy = copying.copy(source, rule("people.mail", "email"), rule("people.note", "fixed", "fixedvalue"), beside=look)
    logging_postgres.sql(copy, "CHECKPOINT")

    assert seen == [*[[]] * 12, [("people",)], []]
    assert logging_postgres.rows(copy, "SELECT count(*) FROM people JOIN mails USING (mail) WHERE mail ~ '@'") == [
        (3000,)
    ]
    inner = bytes(byte ^ 0x36 for byte in KEY.encode())
    for path in files(logging_postgres):
        content = path.read_bytes()
        for secret in (b"sourcevalue", KEY.encode(), inner, inner.hex().encode()):
            assert secret not in content, path
    assert b"fixedvalue" not in (logging_postgres.folder / "log").read_bytes()


def test_names_and_texts_are_what_they_are_in_any_encoding_and_an_owner_needs_no_more_rights(
    copying: Copying, postgres_server: PostgresServer, logging_postgres: PostgresServer
) -> None:
    source, owner = f"db_{uuid.uuid4().hex}", f"owner_{uuid.uuid4().hex}"
    postgres_server.sql("postgres", f"CREATE DATABASE {source} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    names = ["new", "row_", "number", "value", "é%1$s\\", "a'b\"c;", "tg_name"]
    written = ", ".join(f"{Identifier(name).as_string()} text" for name in names)
    table = Identifier("Tàble %s\\! '").as_string()
    postgres_server.sql(
        source, f"CREATE TABLE {table} ({written}, id int GENERATED ALWAYS AS IDENTITY)",
        f"INSERT INTO {table} VALUES ('ä', 'ä', 'ä', 'ä', 'ä', 'ä', 'ä'), ('b', 'b', 'b', 'b', 'b', 'b', 'b')",
    )  # fmt: skip
    hows = [("hash", None), ("sql", "\"new\" || 'é\\'"), ("shuffle", None), ("shuffle", None), ("digits", None),
            ("fixed", "%I \\é' :QUIET"), ("name", None)]  # fmt: skip
    logging_postgres.sql("postgres", f"CREATE ROLE {owner} LOGIN PASSWORD 'owner' ROLE postgres")

    copy = copying.copy(
        source,
        *(msgspec.structs.replace(rule("", how, text), table="Tàble %s\\! '", column=name)
          for name, (how, text) in zip(names, hows, strict=True)),
        msgspec.structs.replace(rule("", "hash"), table="Tàble %s\\! '", column="id"),
        owner=owner,
    )  # fmt: skip

    rows = logging_postgres.rows(copy, f"SELECT * FROM {table}")
    assert [row[:2] for row in rows] == [(hashed("ä").hex(), "äé\\"), (hashed("b").hex(), "bé\\")]
    assert {row[2] for row in rows} == {row[3] for row in rows} == {"ä", "b"}
    assert [row[4:6] for row in rows] == [("ä", "%I \\é' :QUIET"), ("b", "%I \\é' :QUIET")]
    assert {row[7] for row in rows}.isdisjoint({1, 2})
