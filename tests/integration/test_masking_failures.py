"""What masking cannot do is told by code, column and remedy, and without a value of any row."""

from __future__ import annotations

from typing import LiteralString

import pytest

from dataguardian.domain.masking import refusals
from dataguardian.domain.plan import MaskingRule
from dataguardian.errors import MaskingFailed, MaskingInvalid

from .masked import DIGEST, Copying, rule
from .runs import Pod
from .services import PostgresServer

COMMENT = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()"
PEOPLE = "CREATE TABLE people (id int, mail text, age int, note varchar(20))"
ROWS = "INSERT INTO people VALUES (1, 'secretone', 30, 'failed'), (2, 'secrettwo', 40, 'ERROR: x')"


@pytest.fixture
def copying(pod: Pod, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Copying:
    """Copies from a server to itself."""
    monkeypatch.setenv("DATAGUARDIAN_WORK_DIR", str(pod.folder))
    return Copying(pod, postgres_server, postgres_server)


def people(copying: Copying, *statements: LiteralString) -> str:
    """A database with two people in a table."""
    source = copying.source.database()
    copying.source.sql(source, PEOPLE, *statements, ROWS)
    return source


@pytest.mark.parametrize(
    ("made", "masked", "told"),
    [
        ("ALTER TABLE people ADD CHECK (mail ~ 'secret')", rule("people.mail", "hash"), "people_mail_check"),
        ("ALTER TABLE people ADD UNIQUE (note)", rule("people.note", "fixed", "same"), "people_note_key"),
        (
            "ALTER TABLE people ADD EXCLUDE USING btree (age WITH =)",
            rule("people.age", "fixed", "1"),
            "people_age_excl",
        ),
        (
            "CREATE DOMAIN adult AS int CHECK (VALUE > 29)",
            rule("people.age", "sql", "0"),
            "adult_check of table people",
        ),
    ],
)
def test_a_masked_row_that_breaks_a_constraint_is_told_without_its_values(
    copying: Copying, made: LiteralString, masked: MaskingRule, told: str
) -> None:
    source = people(copying, made)
    if "DOMAIN" in made:
        copying.source.sql(source, "ALTER TABLE people ALTER age TYPE adult")

    with pytest.raises(MaskingFailed) as failed:
        copying.copy(source, masked)

    assert told in str(failed.value)
    assert "'orders'" in failed.value.what
    assert "spec.masking.rules" in failed.value.remedy
    for value in ("secret", "same", "ERROR", "DETAIL", "Key"):
        assert value not in str(failed.value)


@pytest.mark.parametrize(
    ("masked", "told"),
    [
        (rule("people.mail", "sql", "emial"), 'public.people.mail: column "emial" does not exist'),
        (rule("people.mail", "sql", "no_such(mail)"), "public.people.mail: function no_such(text) does not exist"),
        (rule("people.age", "sql", "point '1, 2'"), "public.people.age: cannot cast type point to integer"),
        (rule("people.age", "fixed", "old"), 'public.people.age: invalid input syntax for type integer: "old"'),
        (rule("people.age", "sql", "count(*) FROM people"), 'public.people.age: syntax error at or near "FROM"'),
    ],
)
def test_a_rule_that_the_server_refuses_is_named_before_any_row_comes(
    copying: Copying, masked: MaskingRule, told: str
) -> None:
    with pytest.raises(MaskingInvalid) as failed:
        copying.copy(people(copying), masked)

    assert told in failed.value.what


@pytest.mark.parametrize(
    "expression",
    ["mail::int", "1 / (age - age)", "pg_catalog.current_setting(mail)::int", "mail::pg_catalog.regclass::oid::int"],
)
def test_an_expression_that_fails_on_a_row_is_told_by_its_table_without_the_rows_values(
    copying: Copying, expression: str
) -> None:
    with pytest.raises(MaskingFailed) as failed:
        copying.copy(people(copying), rule("people.age", "sql", expression))

    assert "people" in failed.value.what
    assert "secret" not in str(failed.value)


def test_a_row_that_fails_leaves_no_source_value_in_the_servers_log(copying: Copying) -> None:
    with pytest.raises(MaskingFailed):
        copying.copy(people(copying), rule("people.mail", "sql", "(mail || age)::int::text"))

    assert b"secretone" not in (copying.target.folder / "log").read_bytes()


def test_the_comment_of_the_target_tells_the_rules_beside_what_it_says_already(
    copying: Copying, postgres_server: PostgresServer
) -> None:
    copy = copying.copy(people(copying), rule("people.mail", "hash"))
    assert postgres_server.rows(copy, COMMENT) == [(f"masked by rules {DIGEST}",)]

    engine, session = copying.session(postgres_server, copy)
    postgres_server.sql("postgres", f"COMMENT ON DATABASE {copy} IS E'it''s\nmasked by rules sha256:12\nours'")
    session.ask(engine.mark_masked(DIGEST))
    assert postgres_server.rows(copy, COMMENT) == [(f"it's\nours\nmasked by rules {DIGEST}",)]
    session.ask(engine.mark_masked(None, database=copy))
    assert postgres_server.rows(copy, COMMENT) == [("it's\nours",)]
    session.close()


def test_what_a_dump_would_hold_is_described_by_what_its_types_are_made_of(
    copying: Copying, postgres_server: PostgresServer
) -> None:
    source = postgres_server.database()
    postgres_server.sql(
        source,
        "CREATE DOMAIN must AS text NOT NULL",
        "CREATE DOMAIN cents AS numeric(12, 2)",
        "CREATE TYPE mood AS ENUM ('good')",
        "CREATE TYPE pair AS (a int, b int)",
        "CREATE EXTENSION hstore",
        "CREATE TABLE typed (a must, b cents, c mood, d pair, e hstore, f int[], g mood[], h must[], i int4range, "
        "j uuid, k macaddr, l bit(3), m float8, n date, o money, p bytea, q xml, r int4multirange, s tsvector)",
        "CREATE VIEW seen AS SELECT a FROM typed",
        "SELECT lo_from_bytea(0, 'x')",
    )

    columns, large_objects = copying.columns(source)
    found = {column.column: column for column in columns if column.table == "typed"}

    assert "".join(name for name, column in found.items() if column.needs_decision) == "adehpqs"
    assert [column.column for column in found.values() if not column.nullable] == ["a"]
    assert {column.family for column in found.values()} == {"text", "numeric", "uuid", "bytea", "other"}
    assert found["b"].digits == 10
    assert [column.relation for column in columns if column.table == "seen"] == ["view"]
    assert large_objects == 1
    assert refusals(copying.plan(rule("seen.a", "hash")), columns, large_objects) != []
