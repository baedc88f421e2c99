"""Databases for tests, and what is in them."""

from __future__ import annotations

import os

import psycopg

from .services import PostgresServer

# Bytes from the server after which a test holds a dump of ``big``: its upload is under way, its end is far. They are
# twice what is stored, as pg_dump writes bytes in hexadecimal: with segments of 12 MB the first one is stored, and the
# second one has sent a part, whatever waits in buffers.
HELD_AFTER = 47_000_000


def shop(postgres: PostgresServer, name: str | None = None) -> str:
    """A small database with what real ones have: keys, a view, a sequence, a function, jsonb and bytea."""
    database = postgres.database(name)
    postgres.sql(
        database,
        "CREATE TABLE customers (id serial PRIMARY KEY, name text NOT NULL, profile jsonb)",
        "CREATE TABLE orders (id bigserial PRIMARY KEY, customer int REFERENCES customers, paid bool, file bytea)",
        "INSERT INTO customers (name, profile) SELECT 'c' || i, jsonb_build_object('n', i) "
        "FROM generate_series(1, 500) i",
        "INSERT INTO orders (customer, paid, file) SELECT i % 500 + 1, i % 2 = 0, sha256(i::text::bytea) "
        "FROM generate_series(1, 5000) i",
        "CREATE INDEX ON orders (customer) WHERE paid",
        "CREATE VIEW paid AS SELECT customer, count(*) FROM orders WHERE paid GROUP BY customer",
        "CREATE FUNCTION double(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2'",
        'CREATE SCHEMA "odd \'schema"',
        'CREATE TABLE "odd \'schema"."line\nbreak; --" ("a b" int)',
        'INSERT INTO "odd \'schema"."line\nbreak; --" VALUES (1), (2)',
    )
    return database


def big(postgres: PostgresServer) -> str:
    """A database of 40 MB that no codec can shrink, so that its dump takes several parts of an upload."""
    database = postgres.database()
    postgres.sql(database, "CREATE TABLE files (id int4, content bytea)")
    rows = "COPY files FROM STDIN (FORMAT binary)"
    with psycopg.connect(postgres.dsn(database)) as connection, connection.cursor().copy(rows) as copy:
        copy.set_types(["int4", "bytea"])
        for number in range(4000):
            copy.write_row((number, os.urandom(10_000)))
    return database


def content(postgres: PostgresServer, database: str) -> dict[str, object]:
    """All that a restore must bring back: rows by their hashes, and every object by its definition."""
    tables = postgres.rows(
        database,
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables "
        "WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1",
    )
    found: dict[str, object] = {}
    for (table,) in tables:
        query = f"SELECT count(*), md5(coalesce(string_agg(r::text, '' ORDER BY r::text), '')) FROM {table} AS r"
        found[str(table)] = postgres.rows(database, query)
    found["definitions"] = postgres.rows(
        database,
        "SELECT relkind::text, relname, CASE relkind WHEN 'v' THEN pg_get_viewdef(c.oid) "
        "WHEN 'i' THEN pg_get_indexdef(c.oid) END FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
        "WHERE nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') "
        "UNION ALL SELECT 'f', proname, pg_get_functiondef(p.oid) FROM pg_proc p "
        "WHERE pronamespace = 'public'::regnamespace UNION ALL SELECT 's', sequencename, last_value::text "
        "FROM pg_sequences ORDER BY 1, 2",
    )
    return found
