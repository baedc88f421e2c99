"""The statements that describe a PostgreSQL database; each answer is one line of JSON."""

from __future__ import annotations

from collections.abc import Sequence

from ..domain.manifest import Table
from .postgresql_literals import json_literal, literal

# A client that is lost with its node gives back its locks within a minute and a half, and not within hours.
_KEEPALIVES = """\
SET tcp_keepalives_idle = 60;
SET tcp_keepalives_interval = 10;
SET tcp_keepalives_count = 3;
"""

# A server's limits are for its users; a run has its own deadline. Only settings that this major knows.
NO_LIMITS = f"""\
SELECT count(pg_catalog.set_config(name, '0', false)) AS ignored FROM pg_catalog.pg_settings
 WHERE name IN ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout',
                'idle_session_timeout', 'transaction_timeout') \\gset
SET search_path = '';
SET standard_conforming_strings = on;
{_KEEPALIVES}"""

VERSION = """\
'version', pg_catalog.split_part(pg_catalog.current_setting('server_version'), ' ', 1),
       'major', pg_catalog.current_setting('server_version_num')::int / 10000"""

SNAPSHOT = f"""\
SET row_security = off;
BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;
SELECT pg_catalog.json_build_array('source', pg_catalog.json_build_object(
       {VERSION},
       'snapshot', pg_catalog.pg_export_snapshot()));
\\set ON_ERROR_STOP 0
\\set ON_ERROR_ROLLBACK on
SELECT pg_catalog.json_build_array('identity', system_identifier::text) FROM pg_catalog.pg_control_system();
"""


def counts_by_name(tables: Sequence[Table]) -> str:
    """Exact rows of those of these tables that exist: writes a statement for each, its names quoted by the server."""
    names = json_literal([[table.schema, table.name] for table in tables])
    return f"""\
SELECT pg_catalog.format('SELECT pg_catalog.json_build_array(%L, %L, count(*)) FROM ONLY %I.%I',
                         nspname, relname, nspname, relname)
  FROM pg_catalog.json_array_elements({names}) AS wanted
  JOIN pg_catalog.pg_namespace AS n ON nspname = wanted->>0
  JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND relname = wanted->>1 AND relkind IN ('r', 'p')
\\gexec
"""


# The server looks every other second whether the load's client is still there: else it would finish a long statement,
# such as an index, before it rolled back and gave back its locks. From 14 on, and not on every platform.
# With array_nulls off it would read each NULL in an array as a text; the script itself says nothing of that.
_BEGIN_LOAD = f"""\
SELECT count(pg_catalog.set_config(name, '2s', false)) AS ignored FROM pg_catalog.pg_settings
 WHERE name = 'client_connection_check_interval' AND pg_catalog.version() ~ 'linux' \\gset
SET array_nulls = on;
{_KEEPALIVES}BEGIN;
SELECT pg_catalog.txid_current();
"""

_LOADS = "application_name = {} AND datname = pg_catalog.current_database() AND pid <> pg_catalog.pg_backend_pid()"


def begin_load(application: str) -> str:
    """Open a load's transaction, once the sessions of an earlier try are ended that was lost; answers with its id."""
    return f"""\
SELECT count(pg_catalog.pg_terminate_backend(pid)) AS ignored FROM pg_catalog.pg_stat_activity
 WHERE {_LOADS.format(literal(application))}
   AND usename = session_user \\gset
{_BEGIN_LOAD}"""


def load_outcome(application: str, transaction: int) -> str:
    """What has become of a load's transaction, once no session of it is left.

    One that was not yet known when the server crashed is in the future again, and was not committed.
    """
    return f"""\
SELECT count(pg_catalog.pg_terminate_backend(pid)) AS ignored FROM pg_catalog.pg_stat_activity
 WHERE {_LOADS.format(literal(application))} \\gset
SELECT pg_catalog.to_json(CASE
         WHEN {transaction} >= pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot()) THEN 'aborted'
         ELSE coalesce(pg_catalog.txid_status({transaction}), 'unknown') END);
"""


def blockers(application: str) -> str:
    """Who holds or awaits the locks that the sessions of this application wait for, and which of their statements."""
    return f"""\
WITH waiting AS (
  SELECT pg_catalog.format('%s %s', pid, query_start) AS statement,
         pg_catalog.unnest(pg_catalog.pg_blocking_pids(pid)) AS blocking
    FROM pg_catalog.pg_stat_activity WHERE {_LOADS.format(literal(application))}),
found AS (
  SELECT statement, blocking AS pid, coalesce(application_name, '') AS application, coalesce(usename, '') AS "user",
         coalesce(pg_catalog.to_char(xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), '') AS since
    FROM waiting LEFT JOIN pg_catalog.pg_stat_activity AS session ON session.pid = blocking
   WHERE application_name IS DISTINCT FROM {literal(application)})
SELECT pg_catalog.json_build_object(
       'statements', (SELECT coalesce(pg_catalog.json_agg(DISTINCT statement), '[]') FROM found),
       'blockers', (SELECT coalesce(pg_catalog.json_agg(blocker ORDER BY nullif(since, ''), pid), '[]')
                      FROM (SELECT DISTINCT pid, application, "user", since FROM found) AS blocker));
"""
