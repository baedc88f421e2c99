"""A database with one of nearly everything that a dump can hold, in an order that makes it hard to restore."""

from __future__ import annotations

import os
import re
import subprocess
from typing import LiteralString

import psycopg

from .services import PostgresServer, postgres_bin

_OBJECTS: tuple[LiteralString, ...] = (
    "CREATE SCHEMA shop",
    "COMMENT ON SCHEMA shop IS E'a comment\\nof two lines; -- \\\\ and \"quotes\"'",
    "CREATE EXTENSION hstore SCHEMA shop",
    "CREATE EXTENSION btree_gist",
    "CREATE DOMAIN shop.cents AS bigint CHECK (VALUE >= 0)",
    "CREATE TYPE shop.state AS ENUM ('new', 'paid')",
    "CREATE TYPE shop.point3 AS (x int, y int, z int)",
    "CREATE COLLATION shop.plain (provider = libc, locale = 'C')",
    "CREATE FUNCTION shop.slug(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT lower($1)$$",
    "REVOKE ALL ON FUNCTION shop.slug FROM PUBLIC",
    "CREATE PROCEDURE shop.nothing() LANGUAGE plpgsql AS $$BEGIN\nCOMMIT;\nEND$$",
    "CREATE AGGREGATE shop.total(bigint) (sfunc = int8pl, stype = bigint, initcond = '0')",
    "CREATE OPERATOR shop.=== (leftarg = text, rightarg = text, function = texteq)",
    "CREATE SEQUENCE shop.numbers START 100 INCREMENT 5",
    "SELECT setval('shop.numbers', 505)",
    "CREATE TABLE shop.customers (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text COLLATE shop.plain NOT"
    " NULL, slug text GENERATED ALWAYS AS (shop.slug(name)) STORED, best int, tags shop.hstore, at shop.point3)",
    "CREATE TABLE shop.orders (id int PRIMARY KEY DEFAULT nextval('shop.numbers'), customer int REFERENCES"
    " shop.customers ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED, amount shop.cents, state shop.state DEFAULT"
    " 'new', during tstzrange, parent int REFERENCES shop.orders, EXCLUDE USING gist (id WITH =, during WITH &&))",
    "ALTER TABLE shop.customers ADD FOREIGN KEY (best) REFERENCES shop.orders",
    "INSERT INTO shop.customers (name, tags, at) SELECT 'Customer ' || i, shop.hstore('n', i::text),"
    " ROW(i, 2, 3)::shop.point3"
    " FROM generate_series(1, 300) i",
    "INSERT INTO shop.orders (customer, amount, during) SELECT i % 300 + 1, i, tstzrange('2024-01-01', '2024-02-01')"
    " FROM generate_series(1, 3000) i",
    "UPDATE shop.customers SET best = (SELECT min(id) FROM shop.orders WHERE customer = customers.id)",
    "UPDATE shop.orders SET parent = id WHERE id % 2 = 0",
    "INSERT INTO shop.customers (name) VALUES (E'\\\\.'), (E'tab\\tline\\nbreak\\\\N'), ('')",
    "CREATE INDEX slugs ON shop.customers (shop.slug(name) DESC NULLS LAST) INCLUDE (best) WHERE best IS NOT NULL",
    "COMMENT ON INDEX shop.slugs IS 'an index'",
    "ALTER TABLE shop.customers CLUSTER ON customers_pkey",
    "ALTER TABLE shop.orders ADD CONSTRAINT later CHECK (amount < 1000000) NOT VALID",
    "COMMENT ON CONSTRAINT later ON shop.orders IS 'a constraint'",
    "CREATE STATISTICS shop.related (dependencies) ON customer, state FROM shop.orders",
    "ALTER TABLE shop.orders ALTER amount SET STATISTICS 500",
    "CREATE TABLE shop.events (at date, id int, body jsonb, PRIMARY KEY (at, id)) PARTITION BY RANGE (at)",
    "CREATE TABLE shop.events_old PARTITION OF shop.events FOR VALUES FROM (MINVALUE) TO ('2024-01-01')",
    "CREATE TABLE shop.events_new PARTITION OF shop.events DEFAULT PARTITION BY HASH (id)",
    "CREATE TABLE shop.events_new_0 PARTITION OF shop.events_new FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
    "CREATE INDEX ON shop.events USING gin (body)",
    "INSERT INTO shop.events SELECT date '2023-06-01' + i, i, jsonb_build_object('n', i)"
    " FROM generate_series(1, 900) i",
    "CREATE TABLE shop.base (a int)",
    "CREATE TABLE shop.derived (b int) INHERITS (shop.base)",
    "INSERT INTO shop.derived VALUES (1, 2)",
    "CREATE UNLOGGED TABLE shop.cache (k text UNIQUE)",
    "INSERT INTO shop.cache VALUES ('x')",
    "CREATE VIEW shop.by_key AS SELECT id, name, count(*) FROM shop.customers GROUP BY id",  # needs the primary key
    "CREATE VIEW shop.first AS SELECT 1 AS a",
    "CREATE VIEW shop.second AS SELECT a FROM shop.first",
    "CREATE OR REPLACE VIEW shop.first AS SELECT 1 AS a WHERE EXISTS (SELECT FROM shop.second)",  # each needs the other
    "CREATE MATERIALIZED VIEW shop.totals AS SELECT customer, sum(amount) AS total FROM shop.orders GROUP BY customer",
    "CREATE UNIQUE INDEX ON shop.totals (customer)",
    "CREATE MATERIALIZED VIEW shop.aa_of_totals AS SELECT count(*) FROM shop.totals",
    "CREATE MATERIALIZED VIEW shop.never AS SELECT 1 AS a WITH NO DATA",
    "CREATE FUNCTION shop.refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'no'; END$$",
    "CREATE TRIGGER refused BEFORE INSERT OR UPDATE ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.refuse()",
    "CREATE TRIGGER off BEFORE DELETE ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.refuse()",
    "ALTER TABLE shop.orders DISABLE TRIGGER off",
    "COMMENT ON TRIGGER refused ON shop.orders IS 'a trigger'",
    "CREATE RULE nothing AS ON INSERT TO shop.base DO INSTEAD NOTHING",
    "CREATE POLICY own ON shop.customers FOR SELECT TO {role} USING (name = current_user)",
    "ALTER TABLE shop.customers ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
    "COMMENT ON POLICY own ON shop.customers IS 'a policy'",
    "CREATE FUNCTION shop.watch() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN NULL; END$$",
    "CREATE EVENT TRIGGER {event} ON ddl_command_end EXECUTE FUNCTION shop.watch()",
    "CREATE PUBLICATION everything FOR TABLE shop.orders WHERE (id > 3)",
    "GRANT SELECT ON shop.customers, shop.by_key, shop.totals TO {role}",
    "GRANT UPDATE (name) ON shop.customers TO {role}",
    "GRANT USAGE ON SCHEMA shop TO {role}",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO {role}",
    "ALTER TABLE shop.base OWNER TO {role}",
    "REVOKE ALL ON shop.base FROM {role}",
    "SELECT lo_from_bytea(70000 + i, sha256(i::text::bytea)) FROM generate_series(1, 50) i",
    "SELECT lo_from_bytea(70100, convert_to(repeat('large ', 20000), 'UTF8'))",
    "COMMENT ON LARGE OBJECT 70001 IS 'a large object'",
    "GRANT SELECT ON LARGE OBJECT 70001 TO {role}",
    "ALTER LARGE OBJECT 70002 OWNER TO {role}",
)


def rich(postgres: PostgresServer) -> str:
    """The name of a new database."""
    database = postgres.database()
    role = psycopg.sql.Identifier(f"role_{database}")
    event = psycopg.sql.Identifier(f"event_{database}")
    with psycopg.connect(postgres.dsn(database), autocommit=True) as connection:
        connection.execute(psycopg.sql.SQL("CREATE ROLE {}").format(role))
        for statement in _OBJECTS:
            connection.execute(psycopg.sql.SQL(statement).format(role=role, event=event))
    return database


def dumped(postgres: PostgresServer, database: str) -> str:
    """All that is in a database, as statements: equal for databases that are equal."""
    env = {"PATH": os.defpath, "PGPASSWORD": postgres.password}
    command = [str(postgres_bin() / "pg_dump"), "--dbname", postgres.dsn(database)]
    said = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout
    return re.sub(r"^\\(un)?restrict .*\n", "", said, flags=re.MULTILINE)
