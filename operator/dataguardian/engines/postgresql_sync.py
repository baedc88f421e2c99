"""The statements about the two sides of a sync; each answer is one line of JSON."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ..domain.naming import MASKED_MARK
from ..domain.sync_guards import SyncSource, SyncTarget
from .postgresql_contents import ROLES
from .postgresql_lines import Roles, read
from .postgresql_literals import literal
from .postgresql_target import RELATIONS
from .source import Source

_TABLES = """\
'tables', (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(nspname, relname)), '[]')
                    FROM relation WHERE relkind IN ('r', 'p', 'f'))"""

# The lock is one of the server, in this database alone; replicas do not have it.
_SOURCE = """\
\\set ON_ERROR_STOP 1
SELECT count(pg_catalog.pg_advisory_xact_lock({key})) AS ignored \\gset
WITH {relations}
SELECT pg_catalog.json_build_object(
       'database', pg_catalog.current_database(),
       'in_recovery', pg_catalog.pg_is_in_recovery(),
       'bytes', pg_catalog.pg_database_size(pg_catalog.current_database()),
       'extensions', (SELECT coalesce(pg_catalog.json_agg(extname ORDER BY extname), '[]')
                        FROM pg_catalog.pg_extension),
       {tables});
{roles}\\set ON_ERROR_STOP 0
"""

# Who owns a schema may drop what is in it. The schema public is never dropped.
_FOREIGN = """\
SELECT DISTINCT pg_catalog.pg_get_userbyid(made.owner) AS name
  FROM (SELECT 'pg_catalog.pg_class'::pg_catalog.regclass AS classid, oid, relowner AS owner, relnamespace AS schema
          FROM pg_catalog.pg_class
        UNION ALL
        SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass, oid, proowner, pronamespace FROM pg_catalog.pg_proc
        UNION ALL
        SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, oid, typowner, typnamespace FROM pg_catalog.pg_type
        UNION ALL
        SELECT 'pg_catalog.pg_namespace'::pg_catalog.regclass, oid, nspowner, oid
          FROM pg_catalog.pg_namespace WHERE nspname <> 'public') AS made
  JOIN pg_catalog.pg_namespace AS n ON n.oid = made.schema
 WHERE nspname <> 'information_schema' AND nspname !~ '^pg_'
   AND NOT pg_catalog.pg_has_role(made.owner, 'USAGE') AND NOT pg_catalog.pg_has_role(nspowner, 'USAGE')
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                    WHERE d.classid = made.classid AND d.objid = made.oid AND d.deptype IN ('e', 'i'))"""

_TARGET = """\
WITH {relations}, owner AS ({foreign})
SELECT pg_catalog.json_build_object(
       'is_source', EXISTS (SELECT FROM pg_catalog.pg_locks
                             WHERE locktype = 'advisory' AND database = d.oid AND objsubid = 1
                               AND classid = {high} AND objid = {low}),
       'in_recovery', pg_catalog.pg_is_in_recovery(),
       'owns', pg_catalog.pg_has_role(datdba, 'USAGE'),
       'is_marked', coalesce(pg_catalog.shobj_description(d.oid, 'pg_database') ~ {mark}, false),
       'may_create', pg_catalog.has_database_privilege(d.oid, 'CREATE'),
       'foreign_owners', (SELECT coalesce(pg_catalog.json_agg(name ORDER BY name), '[]') FROM owner),
       'superusers', (SELECT coalesce(pg_catalog.json_agg(name ORDER BY name), '[]')
                        FROM owner JOIN pg_catalog.pg_roles ON rolname = name AND rolsuper),
       {tables})
  FROM pg_catalog.pg_database AS d WHERE datname = pg_catalog.current_database();
"""


class PostgreSQLSync:
    """The part of the engine that is about syncs; see ``SyncEngine``."""

    def describe_sync_source(self, key: int) -> str:
        return _SOURCE.format(key=key, relations=RELATIONS, tables=_TABLES, roles=ROLES)

    def sync_source(self, source: Source, lines: Sequence[str]) -> SyncSource:
        described, *rest = lines
        (roles,) = (answer.names for answer in read(rest) if isinstance(answer, Roles))
        known = {"version": source.version, "identity": source.identity, "roles": roles}
        return msgspec.convert({**msgspec.json.decode(described), **known}, SyncSource)

    def describe_sync_target(self, key: int) -> str:
        parts = {"relations": RELATIONS, "foreign": _FOREIGN, "tables": _TABLES}
        mark = literal(f"(^|\n){MASKED_MARK} ")
        return _TARGET.format(**parts, mark=mark, high=key >> 32, low=key & 0xFFFFFFFF)

    def sync_target(self, lines: Sequence[str]) -> SyncTarget:
        return msgspec.json.decode(lines[0], type=SyncTarget)
