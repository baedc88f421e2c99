"""The statements that describe a PostgreSQL database; each answer is one line of JSON."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ..domain.manifest import Table

# A server's limits are for its users; a run has its own deadline. Only settings that this major knows.
NO_LIMITS = """\
SELECT count(pg_catalog.set_config(name, '0', false)) AS ignored FROM pg_catalog.pg_settings
 WHERE name IN ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout',
                'idle_session_timeout', 'transaction_timeout') \\gset
SET search_path = '';
SET standard_conforming_strings = on;
"""

_VERSION = """\
'version', pg_catalog.split_part(pg_catalog.current_setting('server_version'), ' ', 1),
       'major', pg_catalog.current_setting('server_version_num')::int / 10000"""

SNAPSHOT = f"""\
SET row_security = off;
BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;
SELECT pg_catalog.json_build_array('source', pg_catalog.json_build_object(
       {_VERSION},
       'snapshot', pg_catalog.pg_export_snapshot()));
\\set ON_ERROR_STOP 0
\\set ON_ERROR_ROLLBACK on
SELECT pg_catalog.json_build_array('identity', system_identifier::text) FROM pg_catalog.pg_control_system();
"""

# Of everything that a dump would hold: what belongs to an extension comes back with the extension.
TARGET = f"""\
{NO_LIMITS}
WITH relation AS (
  SELECT pg_catalog.format('%I.%I', nspname, relname) AS name
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
   WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND nspname <> 'information_schema' AND nspname !~ '^pg_'
     AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend
                      WHERE classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND objid = c.oid AND deptype = 'e'))
SELECT pg_catalog.json_build_object(
       {_VERSION},
       'relations', (SELECT count(*) FROM relation),
       'examples', (SELECT coalesce(pg_catalog.json_agg(name), '[]')
                      FROM (SELECT name FROM relation ORDER BY name LIMIT 3) AS first));
"""


def counts_by_name(tables: Sequence[Table]) -> str:
    """Exact rows of those of these tables that exist: writes a statement for each, its names quoted by the server."""
    names = msgspec.json.encode([[table.schema, table.name] for table in tables]).decode().replace("'", "''")
    return f"""\
SELECT pg_catalog.format('SELECT pg_catalog.json_build_array(%L, %L, count(*)) FROM ONLY %I.%I',
                         nspname, relname, nspname, relname)
  FROM pg_catalog.json_array_elements('{names}') AS wanted
  JOIN pg_catalog.pg_namespace AS n ON nspname = wanted->>0
  JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND relname = wanted->>1 AND relkind IN ('r', 'p')
\\gexec
"""
