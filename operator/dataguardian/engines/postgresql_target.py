"""The statements about a PostgreSQL target and its temporary databases; each answer is one line of JSON."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ..domain.manifest import Manifest
from ..domain.naming import KEPT_MARK, VERIFICATION, VERIFICATION_MARK, verification_database
from ..domain.preflight import TargetState
from .postgresql_literals import json_literal, literal
from .postgresql_queries import NO_LIMITS, VERSION
from .target import Missing, Replaced

LEFT_SECONDS = 60  # a temporary database that nobody has entered for so long belongs to no run
FIRST = 10
APPLICATIONS = 16

# Of everything that a dump would hold: what belongs to an extension comes back with the extension.
_RELATIONS = """\
relation AS (
  SELECT pg_catalog.format('%I.%I', nspname, relname) AS name, nspname, relname, relkind, reltuples
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
   WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND nspname <> 'information_schema' AND nspname !~ '^pg_'
     AND NOT EXISTS (
       SELECT FROM pg_catalog.pg_depend
        WHERE classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND objid = c.oid AND deptype = 'e'))"""

_TARGET = f"""\
{NO_LIMITS}
SET tcp_keepalives_idle = 60;
WITH {_RELATIONS}
SELECT pg_catalog.json_build_object(
       {VERSION},
       'database', pg_catalog.current_database(),
       'role', current_user,
       'started', pg_catalog.pg_postmaster_start_time()::text,
       'may_create_databases', (SELECT rolcreatedb OR rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user),
       'relations', (SELECT pg_catalog.count(*) FROM relation),
       'examples', (SELECT coalesce(pg_catalog.json_agg(name), '[]')
                      FROM (SELECT name FROM relation ORDER BY name LIMIT 3) AS first));
SELECT pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE') AS is_told \\gset
\\if :is_told
SELECT pg_catalog.to_json(system_identifier::text) FROM pg_catalog.pg_control_system();
\\endif
"""

_MISSING = """\
SELECT pg_catalog.json_build_object(
       'roles', (SELECT coalesce(pg_catalog.json_agg(name ORDER BY name), '[]')
                   FROM pg_catalog.json_array_elements_text({roles}) AS given (name)
                  WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = name)),
       'extensions', (SELECT coalesce(pg_catalog.json_agg(name ORDER BY name), '[]')
                        FROM pg_catalog.json_array_elements_text({extensions}) AS given (name)
                       WHERE name NOT IN (SELECT e.name FROM pg_catalog.pg_available_extensions AS e)));
"""

_USED = """\
SELECT coalesce(pg_catalog.sum(
         CASE WHEN pg_catalog.has_database_privilege(oid, 'CONNECT')
                OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')
              THEN pg_catalog.pg_database_size(oid) END), 0)
  FROM pg_catalog.pg_database;
"""

_REPLACED = """\
WITH {relations}, replaced AS (
  SELECT name
    FROM pg_catalog.json_array_elements({names}) AS wanted
    JOIN relation ON nspname = wanted->>0 AND relname = wanted->>1)
SELECT pg_catalog.json_build_object(
       'tables', (SELECT pg_catalog.count(*) FROM relation WHERE relkind = 'r'),
       'rows', (SELECT coalesce(pg_catalog.sum(reltuples), 0)::bigint FROM relation
                 WHERE relkind = 'r' AND reltuples > 0),
       'size', pg_catalog.pg_database_size(pg_catalog.current_database()),
       'dropped_count', (SELECT pg_catalog.count(*) FROM replaced),
       'dropped', (SELECT coalesce(pg_catalog.json_agg(name), '[]')
                     FROM (SELECT name FROM replaced ORDER BY name LIMIT {first}) AS first),
       'connections', (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
                                'application', application_name, 'sessions', sessions)), '[]')
                         FROM (SELECT application_name, pg_catalog.count(*) AS sessions
                                 FROM pg_catalog.pg_stat_activity
                                WHERE datname = pg_catalog.current_database() AND usesysid IS NOT NULL
                                  AND application_name !~ '^dataguardian(-|$)'
                                GROUP BY application_name ORDER BY sessions DESC, application_name
                                LIMIT {applications}) AS application));
"""

_CREATE_ROLES = """\
SELECT pg_catalog.format('CREATE ROLE %I NOLOGIN', name)
  FROM pg_catalog.json_array_elements_text({names}) AS given (name)
 WHERE name !~ '^pg_' AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = name)
\\gexec
"""

# Owners of tables need rights in the schemas, too.
_CREATE_SCHEMAS = """\
SELECT pg_catalog.format(statement, name)
  FROM pg_catalog.json_array_elements_text({names}) AS given (name)
 CROSS JOIN (VALUES (1, 'CREATE SCHEMA %I'), (2, 'GRANT ALL ON SCHEMA %I TO PUBLIC')) AS step (number, statement)
 WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = name)
 ORDER BY name, number
\\gexec
"""

_DIGITS = "'YYYYMMDDHH24MISS'"
_LOCK = "pg_catalog.hashtext('dataguardian-verification')"
# The first second from now on that no other temporary database of the same name has. Who looks for one next in this
# database waits until it is made.
_MOMENT = """\
SELECT pg_catalog.count(pg_catalog.pg_advisory_lock({lock})) AS ignored \\gset
SELECT pg_catalog.to_json(digits)
  FROM pg_catalog.generate_series(0, 3600) AS later
 CROSS JOIN LATERAL pg_catalog.to_char(
         pg_catalog.timezone('UTC', pg_catalog.clock_timestamp()) + later * interval '1 second', {digits}) AS digits
 WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = {prefix} || digits)
 ORDER BY later LIMIT 1;
"""

# A locale of the session's database fits to its encoding; C fits to each. Majors differ in the columns they have.
_CREATE = """\
SELECT pg_catalog.format('CREATE DATABASE %I TEMPLATE template0 ALLOW_CONNECTIONS false ENCODING %L ', {name}, wanted)
       || CASE WHEN wanted = own THEN pg_catalog.format('LC_COLLATE %L LC_CTYPE %L', datcollate, datctype)
               ELSE 'LC_COLLATE ''C'' LC_CTYPE ''C''' END
       || CASE WHEN provider IS NULL THEN ''
               WHEN provider = 'c' OR wanted <> own THEN ' LOCALE_PROVIDER libc'
               ELSE pg_catalog.format(' LOCALE_PROVIDER %s_LOCALE %L',
                      CASE provider WHEN 'i' THEN 'icu ICU' ELSE 'builtin BUILTIN' END, locale) END
  FROM (SELECT datcollate, datctype, pg_catalog.pg_encoding_to_char(encoding) AS own,
               coalesce(nullif({encoding}, ''), pg_catalog.pg_encoding_to_char(encoding)) AS wanted,
               pg_catalog.to_jsonb(d)->>'datlocprovider' AS provider,
               coalesce(pg_catalog.to_jsonb(d)->>'datlocale', pg_catalog.to_jsonb(d)->>'daticulocale') AS locale
          FROM pg_catalog.pg_database AS d WHERE datname = pg_catalog.current_database()) AS d
\\gexec
SELECT pg_catalog.format(statement, {name}, {mark})
  FROM (VALUES (1, 'COMMENT ON DATABASE %I IS %L'),
               (2, 'REVOKE ALL ON DATABASE %I FROM PUBLIC'),
               (3, 'ALTER DATABASE %I ALLOW_CONNECTIONS true')) AS step (number, statement)
 ORDER BY number
\\gexec
SELECT pg_catalog.count(pg_catalog.pg_advisory_unlock({lock})) AS ignored \\gset
"""

_MARK = """\
SELECT pg_catalog.format('COMMENT ON DATABASE %I IS %L', {name}, {mark})
\\gexec
"""

# Before 13 there is no FORCE; the session of the run, the only one it knows of, has ended by then.
_DROP = """\
SELECT pg_catalog.format(statement, datname)
  FROM pg_catalog.pg_database
 CROSS JOIN (VALUES (1, 'DROP DATABASE %I' || CASE WHEN pg_catalog.current_setting('server_version_num')::int >= 130000
                                                   THEN ' WITH (FORCE)' ELSE '' END),
                    (2, 'SELECT pg_catalog.to_json(%L::text)')) AS step (number, statement)
 WHERE datname = {name} AND pg_catalog.shobj_description(oid, 'pg_database') = {mark}
 ORDER BY number
\\gexec
"""

# Without a mark nobody could ever enter it, so there is nothing in it: its run ended between two statements.
_LEFTOVERS = f"""\
SELECT pg_catalog.to_json(datname)
  FROM (SELECT *, pg_catalog.shobj_description(oid, 'pg_database') AS mark FROM pg_catalog.pg_database) AS d
 WHERE datname ~ '^{VERIFICATION}_.*_[0-9]{{14}}$'
   AND pg_catalog.right(datname, 14) < pg_catalog.to_char(
         pg_catalog.timezone('UTC', pg_catalog.clock_timestamp()) - interval '{LEFT_SECONDS} seconds', {_DIGITS})
   AND (mark LIKE '{VERIFICATION_MARK} %' AND mark NOT LIKE '%{KEPT_MARK}' OR mark IS NULL AND NOT datallowconn)
   AND pg_catalog.pg_has_role(datdba, 'USAGE')
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity AS a WHERE a.datid = d.oid)
 ORDER BY datname;
"""

_DROP_LEFTOVER = """\
\\set ON_ERROR_STOP 0
SELECT pg_catalog.format('DROP DATABASE IF EXISTS %I', {name})
\\gexec
\\set ON_ERROR_STOP 1
SELECT pg_catalog.to_json({name}::text) WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = {name});
"""


class PostgreSQLTarget:
    """The part of the engine that is about targets; see ``TargetEngine``."""

    def describe_target(self) -> str:
        return _TARGET

    def target(self, lines: Sequence[str]) -> TargetState:
        identity = msgspec.json.decode(lines[1], type=str) if len(lines) > 1 else ""
        return msgspec.structs.replace(msgspec.json.decode(lines[0], type=TargetState), identity=identity)

    def find_missing(self, roles: Sequence[str], extensions: Sequence[str]) -> str:
        return _MISSING.format(roles=json_literal(roles), extensions=json_literal(extensions))

    def missing(self, lines: Sequence[str]) -> Missing:
        return msgspec.json.decode(lines[0], type=Missing)

    def measure_databases(self) -> str:
        return _USED

    def used_bytes(self, lines: Sequence[str]) -> int:
        return int(lines[0])

    def describe_replaced(self, names: Sequence[tuple[str, str]]) -> str:
        return _REPLACED.format(relations=_RELATIONS, names=json_literal(names), first=FIRST, applications=APPLICATIONS)

    def replaced(self, lines: Sequence[str]) -> Replaced:
        return msgspec.json.decode(lines[0], type=Replaced)

    def create_roles(self, names: Sequence[str]) -> str:
        return _CREATE_ROLES.format(names=json_literal(names))

    def create_schemas(self, manifest: Manifest) -> str:
        # A dump of chosen tables has no schema, any other one has all that it needs.
        if not any(argument.startswith("--table=") for argument in manifest.dump_arguments):
            return ""
        tables, sequences = manifest.fingerprint.tables, manifest.fingerprint.sequences
        names = {table.schema for table in tables} | {sequence.schema for sequence in sequences}
        return _CREATE_SCHEMAS.format(names=json_literal(sorted(names)))

    def name_temporary(self, database: str) -> str:
        return _MOMENT.format(prefix=literal(verification_database(database, "")), digits=_DIGITS, lock=_LOCK)

    def temporary_name(self, lines: Sequence[str], database: str) -> str:
        return verification_database(database, msgspec.json.decode(lines[0], type=str))

    def create_temporary(self, name: str, mark: str, encoding: str) -> str:
        return _CREATE.format(name=literal(name), mark=literal(mark), encoding=literal(encoding), lock=_LOCK)

    def mark_temporary(self, name: str, mark: str) -> str:
        return _MARK.format(name=literal(name), mark=literal(mark))

    def drop_temporary(self, name: str, mark: str) -> str:
        return _DROP.format(name=literal(name), mark=literal(mark))

    def find_leftovers(self) -> str:
        return _LEFTOVERS

    def names(self, lines: Sequence[str]) -> list[str]:
        return [msgspec.json.decode(line, type=str) for line in lines]

    def drop_leftover(self, name: str) -> str:
        return _DROP_LEFTOVER.format(name=literal(name))
