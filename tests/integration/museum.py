"""A database with a piece of everything that a dump can bring back, and copies of it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from .services import PostgresServer, postgres_bin

# Defaults of a database that show the same values as other texts.
OTHER_TEXTS = (
    "ALTER DATABASE {} SET DateStyle = 'German'",
    "ALTER DATABASE {} SET IntervalStyle = 'iso_8601'",
    "ALTER DATABASE {} SET TimeZone = 'Asia/Tokyo'",
    "ALTER DATABASE {} SET bytea_output = 'escape'",
    "ALTER DATABASE {} SET extra_float_digits = -5",
    "ALTER DATABASE {} SET search_path = 'sales'",
    "ALTER DATABASE {} SET quote_all_identifiers = on",
)


def museum(postgres: PostgresServer) -> str:
    """A small database with one of everything."""
    database = postgres.database()
    postgres.sql(
        database,
        "CREATE EXTENSION citext",
        "CREATE EXTENSION hstore",
        "CREATE SCHEMA sales",
        "CREATE TYPE sales.mood AS ENUM ('sad', 'ok', 'happy')",
        "CREATE DOMAIN sales.positive AS int CHECK (VALUE > 0)",
        "CREATE TABLE sales.regions (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name citext UNIQUE)",
        "INSERT INTO sales.regions (name) SELECT 'region ' || i FROM generate_series(1, 30) i",
        # Partitions, keys over them, and a reference to and from a partitioned table.
        "CREATE TABLE sales.sold (id bigint, day date, region int REFERENCES sales.regions, amount numeric, "
        "PRIMARY KEY (id, day), CHECK (amount >= 0)) PARTITION BY RANGE (day)",
        "CREATE TABLE sales.sold_2025 PARTITION OF sales.sold FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')",
        "CREATE TABLE sales.sold_2026 PARTITION OF sales.sold FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
        "CREATE INDEX ON sales.sold (region)",
        "INSERT INTO sales.sold SELECT i, date '2025-06-01' + i % 400, i % 30 + 1, i::numeric / 7 "
        "FROM generate_series(1, 2000) i",
        "CREATE TABLE sales.returned (id serial, sold bigint, day date, FOREIGN KEY (sold, day) REFERENCES sales.sold)",
        "INSERT INTO sales.returned (sold, day) SELECT id, day FROM sales.sold LIMIT 20",
        # A child whose columns come in another order after a restore.
        "CREATE TABLE sales.parent (a int)",
        "CREATE TABLE sales.child (b text) INHERITS (sales.parent)",
        "ALTER TABLE sales.parent ADD c timestamptz DEFAULT '2026-01-01'",
        "INSERT INTO sales.child SELECT i, 'child ' || i FROM generate_series(1, 50) i",
        # Types whose text depends on settings, and others.
        "CREATE TABLE sales.kinds (n float8, m float4, at timestamptz, span interval, day date, blob bytea, "
        "tags text[], doc jsonb, mood sales.mood, range int4range, pairs hstore, whole sales.regions, "
        "relation regclass, net inet, code uuid, price money, few sales.positive, words tsvector, dropped int, "
        "double numeric GENERATED ALWAYS AS (day - date '2000-01-01') STORED)",
        "ALTER TABLE sales.kinds DROP dropped",
        "INSERT INTO sales.kinds SELECT 1 / 3::float8 + i, i / 7::float4, timestamptz '2026-01-31 23:59:59.123456+00' "
        "+ i * interval '1 hour', i * interval '1 day 2 seconds', date '2026-01-31' + i, sha256(i::text::bytea), "
        "ARRAY['a', NULL, 'q\"uo''ted', i::text], jsonb_build_object('n', i, 'é', NULL), 'happy', int4range(i, i + 5), "
        "hstore('k', i::text), ROW(i, 'whole')::sales.regions, 'sales.regions', '10.0.0.1', md5(i::text)::uuid, "
        "i * 1.5::money, i, to_tsvector('simple', 'one two ' || i) FROM generate_series(1, 300) i",
        "CREATE TABLE empty (id int CHECK (id > 0))",
        "CREATE TABLE columnless ()",
        "INSERT INTO columnless DEFAULT VALUES",
        'CREATE TABLE "odd ""%s\'\\ name" ("a %I b" text, "line\nbreak" text)',
        'INSERT INTO "odd ""%s\'\\ name" SELECT \'ação 数据 \' || i, NULL FROM generate_series(1, 5) i',
        "CREATE TABLE large (body text)",
        "INSERT INTO large SELECT string_agg(md5(i::text), '') FROM generate_series(1, 100000) i",
        "INSERT INTO large VALUES ('small')",
        "SELECT lo_from_bytea(0, 'a large object')",
        "CREATE MATERIALIZED VIEW sales.totals AS SELECT region, sum(amount) FROM sales.sold GROUP BY 1",
        "CREATE UNIQUE INDEX ON sales.totals (region)",
        "CREATE SEQUENCE counter",
        "SELECT nextval('counter') FROM generate_series(1, 7)",
        "CREATE SEQUENCE unused",
        "CREATE SEQUENCE downwards INCREMENT -1",
        "SELECT nextval('downwards')",
        "CREATE SEQUENCE again MAXVALUE 3 CYCLE",
        "SELECT nextval('again')",
        "ALTER TABLE empty ADD CONSTRAINT unproven CHECK (id < 10) NOT VALID",
    )
    return database


def copied(postgres: PostgresServer, folder: Path, name: str) -> str:
    """A database into which somebody without our code has restored the backup in this folder."""
    environment = {"PATH": f"{postgres_bin()}:{os.defpath}", "COPY": postgres.dsn(name)}
    load = 'cat data.dump.zst* | zstd -dc | pg_restore --single-transaction --exit-on-error --dbname="$COPY"'
    subprocess.run(["bash", "-ec", f"set -o pipefail; {load}"], cwd=folder, env=environment, check=True)
    return name
