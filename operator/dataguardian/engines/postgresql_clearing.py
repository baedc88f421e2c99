"""Dropping all that a dump of a PostgreSQL database would hold, so that the dump of another one can take its place.

What belongs to an extension stays, but for the rows that a dump would have of its tables; so does what a dump does not
hold: the database itself with its owner, grants, settings and comment.
"""

from __future__ import annotations

from collections.abc import Sequence

from .postgresql_literals import json_literal
from .postgresql_queries import NO_LIMITS

SUBSCRIPTIONS = """\
SELECT pg_catalog.to_json(subname) FROM pg_catalog.pg_subscription
 WHERE subdbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
 ORDER BY subname;
"""

# A schema of a user's. It goes with all that is in it, unless an extension or a part of one is in it.
_SCHEMA = """\
schema AS (
  SELECT n.*, nspname <> 'public' AND NOT EXISTS (
           SELECT FROM pg_catalog.pg_depend AS d
            WHERE refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND refobjid = n.oid
              AND (classid = 'pg_catalog.pg_extension'::pg_catalog.regclass OR EXISTS (
                SELECT FROM pg_catalog.pg_depend AS e
                 WHERE e.classid = d.classid AND e.objid = d.objid AND e.deptype = 'e'))) AS goes
    FROM pg_catalog.pg_namespace AS n
   WHERE nspname <> 'information_schema' AND nspname !~ '^pg_')"""

# Event triggers first: they would see the other drops. What is a part of something else goes with it.
_DROP = f"""\
WITH {_SCHEMA}, object (step, catalog, oid, namespace) AS (
  SELECT 1, 'pg_event_trigger', oid, 0::pg_catalog.oid FROM pg_catalog.pg_event_trigger
  UNION ALL SELECT 2, 'pg_publication', oid, 0 FROM pg_catalog.pg_publication
  UNION ALL SELECT 3, 'pg_foreign_server', oid, 0 FROM pg_catalog.pg_foreign_server
  UNION ALL SELECT 4, 'pg_foreign_data_wrapper', oid, 0 FROM pg_catalog.pg_foreign_data_wrapper
  UNION ALL SELECT 5, 'pg_namespace', oid, 0 FROM schema WHERE goes
  UNION ALL SELECT 6, 'pg_class', oid, relnamespace FROM pg_catalog.pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f')
  UNION ALL SELECT 7, 'pg_class', oid, relnamespace FROM pg_catalog.pg_class WHERE relkind = 'S'
  UNION ALL SELECT 8, 'pg_proc', oid, pronamespace FROM pg_catalog.pg_proc
  UNION ALL SELECT 8, 'pg_type', oid, typnamespace FROM pg_catalog.pg_type
  UNION ALL SELECT 8, 'pg_operator', oid, oprnamespace FROM pg_catalog.pg_operator
  UNION ALL SELECT 8, 'pg_opfamily', oid, opfnamespace FROM pg_catalog.pg_opfamily
  UNION ALL SELECT 8, 'pg_opclass', oid, opcnamespace FROM pg_catalog.pg_opclass
  UNION ALL SELECT 8, 'pg_collation', oid, collnamespace FROM pg_catalog.pg_collation
  UNION ALL SELECT 8, 'pg_conversion', oid, connamespace FROM pg_catalog.pg_conversion
  UNION ALL SELECT 8, 'pg_ts_config', oid, cfgnamespace FROM pg_catalog.pg_ts_config
  UNION ALL SELECT 8, 'pg_ts_dict', oid, dictnamespace FROM pg_catalog.pg_ts_dict
  UNION ALL SELECT 8, 'pg_ts_parser', oid, prsnamespace FROM pg_catalog.pg_ts_parser
  UNION ALL SELECT 8, 'pg_ts_template', oid, tmplnamespace FROM pg_catalog.pg_ts_template
  UNION ALL SELECT 9, 'pg_cast', oid, 0 FROM pg_catalog.pg_cast
  UNION ALL SELECT 9, 'pg_transform', oid, 0 FROM pg_catalog.pg_transform
  UNION ALL SELECT 9, 'pg_language', oid, 0 FROM pg_catalog.pg_language
  UNION ALL SELECT 9, 'pg_am', oid, 0 FROM pg_catalog.pg_am),
dropped AS (
  SELECT step, object.oid, ('pg_catalog.' || catalog)::pg_catalog.regclass AS classid
    FROM object LEFT JOIN schema ON schema.oid = namespace
   WHERE object.oid >= 16384 AND (namespace = 0 OR NOT goes))
SELECT pg_catalog.format('DROP %s IF EXISTS %s CASCADE',
         CASE WHEN type IN ('function', 'procedure', 'aggregate') THEN 'ROUTINE'
              ELSE pg_catalog.upper(pg_catalog.replace(type, '-', ' ')) END, identity)
  FROM dropped CROSS JOIN LATERAL pg_catalog.pg_identify_object(classid, oid, 0)
 WHERE NOT EXISTS (
   SELECT FROM pg_catalog.pg_depend AS d
    WHERE d.classid = dropped.classid AND d.objid = dropped.oid AND d.objsubid = 0 AND d.deptype IN ('e', 'i'))
 ORDER BY step, oid
\\gexec
SELECT pg_catalog.count(pg_catalog.lo_unlink(oid)) AS ignored FROM pg_catalog.pg_largeobject_metadata \\gset
"""

# The rows that users have put into tables of extensions. The last table first, as it may refer to those before it.
_DELETE = """\
SELECT pg_catalog.format('DELETE FROM ONLY %s %s', c.oid::pg_catalog.regclass, condition)
  FROM pg_catalog.pg_extension AS e
 CROSS JOIN ROWS FROM (pg_catalog.unnest(extconfig), pg_catalog.unnest(extcondition))
       WITH ORDINALITY AS config (relation, condition, number)
  JOIN pg_catalog.pg_class AS c ON c.oid = relation AND relkind = 'r'
   AND pg_catalog.has_table_privilege(c.oid, 'DELETE')
 ORDER BY e.oid DESC, number DESC
\\gexec
"""

_WHO = "CASE grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(grantee)) END"

# Default privileges are taken back to those that the server begins with, which it then forgets.
_DEFAULTS = f"""\
WITH word (objects, name, everybody) AS (
  VALUES ('r'::"char", 'TABLES', NULL), ('S', 'SEQUENCES', NULL), ('f', 'FUNCTIONS', 'EXECUTE'),
         ('T', 'TYPES', 'USAGE'), ('n', 'SCHEMAS', NULL), ('L', 'LARGE OBJECTS', NULL)),
standing AS (
  SELECT a.oid, name, everybody, defaclacl, defaclnamespace = 0 AS everywhere, pg_catalog.quote_ident(rolname) AS role,
         pg_catalog.format('ALTER DEFAULT PRIVILEGES FOR ROLE %I', rolname)
         || CASE WHEN nspname IS NULL THEN '' ELSE pg_catalog.format(' IN SCHEMA %I', nspname) END AS change
    FROM pg_catalog.pg_default_acl AS a JOIN word ON objects = defaclobjtype
    JOIN pg_catalog.pg_roles AS r ON r.oid = defaclrole
    LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = defaclnamespace),
step AS (
  SELECT DISTINCT 1 AS number, oid,
         pg_catalog.format('%s REVOKE ALL ON %s FROM %s CASCADE', change, name, {_WHO}) AS run
    FROM standing CROSS JOIN LATERAL pg_catalog.aclexplode(defaclacl)
  UNION ALL SELECT 2, oid, pg_catalog.format('%s GRANT ALL ON %s TO %s', change, name, role)
    FROM standing WHERE everywhere
  UNION ALL SELECT 3, oid, pg_catalog.format('%s GRANT %s ON %s TO PUBLIC', change, everybody, name)
    FROM standing WHERE everywhere AND everybody IS NOT NULL)
SELECT run FROM step ORDER BY oid, number, run
\\gexec
"""

# Schemas that have stayed get what a new one has, so that the dump's grants say all; public what initdb gives it. One
# that the role does not own stays as it is: the dump could not change it either.
_SCHEMAS = f"""\
SELECT 'CREATE SCHEMA public' WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'public')
\\gexec
WITH {_SCHEMA}, first AS (
  SELECT rolname, oid AS role, pg_catalog.current_setting('server_version_num')::int >= 150000 AS closed
    FROM pg_catalog.pg_roles
   WHERE CASE WHEN pg_catalog.current_setting('server_version_num')::int >= 150000
              THEN rolname = 'pg_database_owner' ELSE oid = 10 END),
staying AS (
  SELECT schema.oid, nspname, nspacl, nspowner, is_public, closed, is_given,
         pg_catalog.quote_ident(CASE WHEN is_given THEN rolname ELSE pg_catalog.pg_get_userbyid(nspowner) END) AS owner
    FROM schema CROSS JOIN first
   CROSS JOIN LATERAL (SELECT nspname = 'public' AS is_public,
                              nspname = 'public' AND pg_catalog.pg_has_role(role, 'MEMBER') AS is_given) AS own
   WHERE NOT goes AND pg_catalog.pg_has_role(nspowner, 'USAGE') AND NOT EXISTS (
     SELECT FROM pg_catalog.pg_depend
      WHERE classid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND objid = schema.oid AND deptype = 'e')),
step AS (
  SELECT DISTINCT 1 AS number, oid,
         pg_catalog.format('REVOKE ALL ON SCHEMA %I FROM %s CASCADE', nspname, {_WHO}) AS run
    FROM staying CROSS JOIN LATERAL pg_catalog.aclexplode(nspacl)
  UNION ALL SELECT 2, oid, pg_catalog.format('ALTER SCHEMA %I OWNER TO %s', nspname, owner) FROM staying WHERE is_given
  UNION ALL SELECT 3, oid, pg_catalog.format('GRANT ALL ON SCHEMA %I TO %s', nspname, owner) FROM staying
  UNION ALL SELECT 4, oid, pg_catalog.format('GRANT %s ON SCHEMA %I TO PUBLIC',
                                             CASE WHEN closed THEN 'USAGE' ELSE 'ALL' END, nspname)
    FROM staying WHERE is_public
  UNION ALL SELECT 5, oid, pg_catalog.format('COMMENT ON SCHEMA %I IS %L', nspname,
                                             CASE WHEN is_public THEN 'standard public schema' END)
    FROM staying)
SELECT run FROM step ORDER BY oid, number, run
\\gexec
"""


_MOVE = """\
SET client_encoding = 'UTF8';
SELECT pg_catalog.format('ALTER EXTENSION %I SET SCHEMA %I', extname, wanted->>1)
  FROM pg_catalog.json_array_elements({wanted}) AS given (wanted)
  JOIN pg_catalog.pg_extension ON extname = wanted->>0
  JOIN pg_catalog.pg_namespace AS n ON n.oid = extnamespace AND nspname <> wanted->>1
\\gexec
"""


def clear(lock_timeout_ms: int) -> str:
    """Statements for a transaction that is open; each waits for others' locks no longer than this."""
    limits = f"{NO_LIMITS}SET lock_timeout = {lock_timeout_ms};\nSET client_min_messages = warning;\n"
    return limits + _DROP + _DELETE + _DEFAULTS + _SCHEMAS


def move_extensions(wanted: Sequence[tuple[str, str]]) -> str:
    """Statements for the same transaction that move extensions that are there, by their names, to these schemas."""
    return _MOVE.format(wanted=json_literal(wanted))
