"""A database as shops have them: orders, events as jsonb, texts, files that do not compress, and indexes."""

from __future__ import annotations

from psycopg import connect
from psycopg.sql import SQL, Literal

from tests.integration.services import PostgresServer

# Rows for one gigabyte of database.
ORDERS, EVENTS, DOCUMENTS, FILES = 2_700_000, 1_100_000, 146_000, 17_000

_TABLES = (
    (
        ORDERS,
        """
        CREATE TABLE orders AS
        SELECT i AS id, i % 100000 AS customer, md5(i::text) AS reference, (i::bigint * 7919 % 100000)::numeric / 100
               AS total, timestamptz '2024-01-01' + i * interval '7 seconds' AS placed, 'order number ' || i AS remark
          FROM generate_series(1, {}) AS i
        """,
    ),
    (
        EVENTS,
        """
        CREATE TABLE events AS
        SELECT i AS id, jsonb_build_object('kind', (ARRAY['view', 'click', 'pay'])[i % 3 + 1], 'user', i % 50000,
               'session', md5((i / 20)::text), 'tags', jsonb_build_array(i % 10, i % 100), 'at', i * 13) AS body
          FROM generate_series(1, {}) AS i
        """,
    ),
    (
        DOCUMENTS,
        """
        CREATE TABLE documents AS
        SELECT i AS id, repeat(md5(i::text) || ' the quick brown fox jumps over the lazy dog ', 10) AS body
          FROM generate_series(1, {}) AS i
        """,
    ),
    (
        FILES,
        """
        CREATE TABLE files AS
        SELECT i AS id, (SELECT string_agg(uuid_send(gen_random_uuid()), '') FROM generate_series(1, 512 + i * 0))
               AS content
          FROM generate_series(1, {}) AS i
        """,
    ),
)
_INDEXES = (
    "ALTER TABLE orders ADD PRIMARY KEY (id)",
    "CREATE INDEX ON orders (customer, placed)",
    "ALTER TABLE events ADD PRIMARY KEY (id)",
    "CREATE INDEX ON events ((body->>'user'))",
    "CREATE INDEX ON events USING gin (body)",
    "ALTER TABLE documents ADD PRIMARY KEY (id)",
    "ALTER TABLE files ADD PRIMARY KEY (id)",
    "VACUUM ANALYZE",
)


def fill(postgres: PostgresServer, database: str, gigabytes: float) -> None:
    """Make the tables, so that the database with its indexes has about this size."""
    with connect(postgres.dsn(database), autocommit=True) as connection:
        for rows, statement in _TABLES:
            connection.execute(SQL(statement).format(Literal(int(rows * gigabytes))))
        for statement in _INDEXES:
            connection.execute(statement)
