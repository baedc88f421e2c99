"""The statements of a Swap about PostgreSQL's databases, from a session of a third one."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ..domain.naming import MASKED_MARK
from ..domain.swap import SwapTarget
from .postgresql_kept import PostgreSQLKept
from .postgresql_literals import literal
from .postgresql_queries import NO_LIMITS, load_outcome
from .swap import InTheWay

EXCHANGE_MS = 2000  # nobody can enter the target meanwhile
LOST_SECONDS = 5  # nor when whoever switches is lost before its commit

_TARGET = f"""\
{NO_LIMITS}
SELECT pg_catalog.json_build_object(
       'oid', d.oid::bigint,
       'database', datname,
       'role', current_user,
       'owner', pg_catalog.pg_get_userbyid(datdba),
       'owner_is_superuser', (SELECT rolsuper FROM pg_catalog.pg_roles AS r WHERE r.oid = datdba),
       'owned', pg_catalog.pg_has_role(datdba, 'USAGE'),
       'may_create_databases', (SELECT rolcreatedb OR rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user),
       'slots', (SELECT coalesce(pg_catalog.json_agg(slot_name), '[]')
                   FROM pg_catalog.pg_replication_slots WHERE database = datname),
       'subscriptions', (SELECT coalesce(pg_catalog.json_agg(subname), '[]')
                           FROM pg_catalog.pg_subscription WHERE subdbid = d.oid),
       'prepared', (SELECT coalesce(pg_catalog.json_agg(gid), '[]')
                      FROM pg_catalog.pg_prepared_xacts WHERE database = datname))
  FROM pg_catalog.pg_database AS d WHERE datname = {{database}};
"""

# Settings that are lists of names are kept as such, and taken as lists of texts.
_LISTS = (
    "'local_preload_libraries', 'search_path', 'session_preload_libraries', 'shared_preload_libraries', "
    "'temp_tablespaces', 'unix_socket_directories'"
)
_CARRY_OVER = f"""\
SELECT pg_catalog.format('ALTER DATABASE %I OWNER TO %I', new.datname, pg_catalog.pg_get_userbyid(old.datdba))
  FROM pg_catalog.pg_database AS old
  JOIN pg_catalog.pg_database AS new ON new.datname = {{name}} AND new.datdba <> old.datdba
 WHERE old.oid = {{oid}}
\\gexec
SELECT pg_catalog.format('REVOKE ALL ON DATABASE %I FROM PUBLIC, %I', {{name}}, pg_catalog.pg_get_userbyid(datdba))
  FROM pg_catalog.pg_database WHERE oid = {{oid}}
\\gexec
SELECT pg_catalog.format('GRANT %s ON DATABASE %I TO %s%s', privilege_type, {{name}},
         CASE WHEN grantee = 0 THEN 'PUBLIC'
              ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(grantee)) END,
         CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
  FROM pg_catalog.pg_database,
       pg_catalog.aclexplode(coalesce(datacl, pg_catalog.acldefault('d', datdba)))
 WHERE oid = {{oid}}
\\gexec
SELECT pg_catalog.format('ALTER %s SET %I TO %s',
         CASE WHEN setrole = 0 THEN pg_catalog.format('DATABASE %I', {{name}})
              ELSE pg_catalog.format('ROLE %I IN DATABASE %I', pg_catalog.pg_get_userbyid(setrole), {{name}}) END,
         setting,
         CASE WHEN setting NOT IN ({_LISTS}) THEN pg_catalog.quote_literal(value)
              ELSE coalesce((SELECT pg_catalog.string_agg(pg_catalog.quote_literal(
                                      coalesce(part[2], pg_catalog.replace(part[1], '""', '"'))), ', ' ORDER BY number)
                               FROM pg_catalog.regexp_matches(value, '"((?:[^"]|"")*)"|([^\\s,"]+)', 'g')
                                    WITH ORDINALITY AS match (part, number)), '''''') END)
  FROM pg_catalog.pg_db_role_setting
 CROSS JOIN pg_catalog.unnest(setconfig) AS line
 CROSS JOIN LATERAL pg_catalog.substr(line, 1, pg_catalog.strpos(line, '=') - 1) AS setting
 CROSS JOIN LATERAL pg_catalog.substr(line, pg_catalog.strpos(line, '=') + 1) AS value
 WHERE setdatabase = {{oid}}
\\gexec
SELECT pg_catalog.format('COMMENT ON DATABASE %I IS %L', {{name}}, (
         SELECT pg_catalog.string_agg(line, E'\\n' ORDER BY d.oid <> {{oid}}, number)
           FROM pg_catalog.pg_database AS d
          CROSS JOIN LATERAL pg_catalog.regexp_split_to_table(
                  pg_catalog.shobj_description(d.oid, 'pg_database'), E'\\n') WITH ORDINALITY AS part (line, number)
          WHERE d.oid = {{oid}} AND line NOT LIKE '{MASKED_MARK} %'
             OR datname = {{name}} AND line LIKE '{MASKED_MARK} %'))
\\gexec
SELECT pg_catalog.format('ALTER DATABASE %I ALLOW_CONNECTIONS %s CONNECTION LIMIT %s IS_TEMPLATE %s', {{name}},
                         datallowconn::text, datconnlimit, datistemplate::text)
  FROM pg_catalog.pg_database WHERE oid = {{oid}}
\\gexec
"""

_BEGIN = """\
SET application_name = {application};
BEGIN;
SELECT pg_catalog.txid_current();
"""

_RENAME = """\
SELECT pg_catalog.format('ALTER DATABASE %I RENAME TO %I', {name}, {to})
\\gexec
"""

_HOLD = """\
SELECT pg_catalog.count(*) FROM pg_catalog.pg_locks
 WHERE locktype = 'object' AND classid = 'pg_catalog.pg_database'::pg_catalog.regclass
   AND objid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = {name})
   AND mode = 'AccessExclusiveLock' AND granted;
"""

_CLOSE = """\
SELECT pg_catalog.format(statement, {previous}, {mark})
  FROM (VALUES (1, 'COMMENT ON DATABASE %I IS %L'), (2, 'ALTER DATABASE %I ALLOW_CONNECTIONS false'))
       AS step (number, statement)
 ORDER BY number
\\gexec
"""

# Programs of the server itself, which have no user, give way by themselves.
_CLIENTS = "datid = {oid} AND usesysid IS NOT NULL"
_MAY_END = """\
((SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)
        OR NOT coalesce((SELECT rolsuper FROM pg_catalog.pg_roles AS r WHERE r.oid = usesysid), false)
           AND (pg_catalog.pg_has_role(usesysid, 'USAGE') OR pg_catalog.pg_has_role('pg_signal_backend', 'USAGE')))"""

_SEEN = """\
coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
                'pid', pid, 'application', coalesce(application_name, ''), 'user', coalesce(usename, ''),
                'since', coalesce(pg_catalog.to_char(xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), ''))
                ORDER BY pid), '[]')"""

_IN_THE_WAY = f"""\
SELECT pg_catalog.json_build_object(
       'sessions', (SELECT {_SEEN} FROM pg_catalog.pg_stat_activity WHERE {_CLIENTS} AND NOT {_MAY_END}),
       'locks', (SELECT {_SEEN} FROM pg_catalog.pg_stat_activity
                  WHERE datid IS DISTINCT FROM {{oid}} AND pid <> pg_catalog.pg_backend_pid() AND pid IN (
                        SELECT pid FROM pg_catalog.pg_locks
                         WHERE locktype = 'object' AND classid = 'pg_catalog.pg_database'::pg_catalog.regclass
                           AND objid = {{oid}} AND granted)));
"""

_END = f"""\
SELECT pg_catalog.count(*), pg_catalog.count(CASE WHEN {_MAY_END} THEN pg_catalog.pg_terminate_backend(pid) END)
  FROM pg_catalog.pg_stat_activity WHERE {_CLIENTS} AND pid <> {{but}};
"""


class PostgreSQLSwap(PostgreSQLKept):
    """The part of the engine that is about a Swap; see ``SwapEngine``."""

    third_databases: Sequence[str] = ("postgres", "template1")

    def describe_swap(self, database: str) -> str:
        return _TARGET.format(database=literal(database))

    def swap_target(self, lines: Sequence[str]) -> SwapTarget | None:
        return msgspec.json.decode(lines[0], type=SwapTarget) if lines else None

    def carry_over(self, target: SwapTarget, name: str) -> str:
        return _CARRY_OVER.format(oid=target.oid, name=literal(name))

    def rehearsed(self, statements: str) -> str:
        return f"BEGIN;\n{statements}ROLLBACK;\n"

    def begin_switch(self, application: str) -> str:
        return NO_LIMITS + _BEGIN.format(application=literal(application))

    def rename(self, name: str, to: str) -> str:
        return _RENAME.format(name=literal(name), to=literal(to))

    def find_hold(self, name: str) -> str:
        return _HOLD.format(name=literal(name))

    def holds(self, lines: Sequence[str]) -> bool:
        return int(lines[0]) > 0

    def exchange(self, target: str, previous: str, new: str, mark: str) -> str:
        lost = f"SET LOCAL idle_in_transaction_session_timeout = '{LOST_SECONDS}s';\n"
        bounded = f"{lost}SET LOCAL statement_timeout = {EXCHANGE_MS};\n{self.rename(target, previous)}"
        close = _CLOSE.format(previous=literal(previous), mark=literal(mark))
        return f"{bounded}{self.rename(new, target)}SET LOCAL statement_timeout = 0;\n{close}"

    def find_in_the_way(self, target: SwapTarget) -> str:
        return _IN_THE_WAY.format(oid=target.oid)

    def in_the_way(self, lines: Sequence[str]) -> InTheWay:
        return msgspec.json.decode(lines[0], type=InTheWay)

    def find_session_number(self) -> str:
        return "SELECT pg_catalog.pg_backend_pid();\n"

    def session_number(self, lines: Sequence[str]) -> int:
        return int(lines[0])

    def end_sessions(self, target: SwapTarget, *, but: int = 0) -> str:
        return _END.format(oid=target.oid, but=but)

    def sessions(self, lines: Sequence[str]) -> int:
        return int(lines[0].partition("|")[0])

    def commit_switch(self) -> str:
        return "COMMIT;\n"

    def switch_outcome(self, application: str, transaction: str) -> str:
        return NO_LIMITS + load_outcome(application, int(transaction))

    def switched(self, lines: Sequence[str]) -> bool | None:
        return {"committed": True, "aborted": False}.get(msgspec.json.decode(lines[-1], type=str))
