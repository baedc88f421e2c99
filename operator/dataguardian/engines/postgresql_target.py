"""The statements about a PostgreSQL target; each answer is one line of JSON."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ..domain.manifest import Manifest
from ..domain.preflight import TargetState
from .postgresql_literals import json_literal
from .postgresql_queries import NO_LIMITS, VERSION
from .target import Missing, Replaced

FIRST = 10
APPLICATIONS = 16

# Of everything that a dump would hold: what belongs to an extension comes back with the extension.
RELATIONS = """\
relation AS (
  SELECT pg_catalog.format('%I.%I', nspname, relname) AS name, nspname, relname, relkind, reltuples
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
   WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND nspname <> 'information_schema' AND nspname !~ '^pg_'
     AND NOT EXISTS (
       SELECT FROM pg_catalog.pg_depend
        WHERE classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND objid = c.oid AND deptype = 'e'))"""

_TARGET = f"""\
{NO_LIMITS}
WITH {RELATIONS}
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
        return _REPLACED.format(relations=RELATIONS, names=json_literal(names), first=FIRST, applications=APPLICATIONS)

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
