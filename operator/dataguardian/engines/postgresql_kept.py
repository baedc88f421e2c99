"""What a PostgreSQL target has inside and a Swap keeps: extensions that the source lacks, and default privileges."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from .postgresql_literals import json_literal
from .postgresql_queries import NO_LIMITS
from .swap import Brought, Kept

_BROUGHT = """\
SELECT pg_catalog.json_build_object(
       'schemas', (SELECT coalesce(pg_catalog.json_agg(nspname), '[]') FROM pg_catalog.pg_namespace),
       'extensions', (SELECT coalesce(pg_catalog.json_agg(extname), '[]') FROM pg_catalog.pg_extension));
"""

_GRANTS = """\
(SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
                'grantee', CASE WHEN grantee <> 0 THEN pg_catalog.pg_get_userbyid(grantee) END,
                'privilege', privilege_type, 'grantable', is_grantable)), '[]')
            FROM pg_catalog.aclexplode({acl}))"""
_KEPT = f"""\
{NO_LIMITS}
SELECT pg_catalog.json_build_object(
       'extensions', (
         SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
                  'name', extname, 'schema', nspname, 'version', extversion,
                  'grants', {_GRANTS.format(acl="nspacl")}) ORDER BY e.oid), '[]')
           FROM pg_catalog.pg_extension AS e JOIN pg_catalog.pg_namespace AS n ON n.oid = extnamespace
          WHERE extname NOT IN (SELECT value FROM pg_catalog.json_array_elements_text({{extensions}}))),
       'default_privileges', (
         SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
                  'role', pg_catalog.pg_get_userbyid(defaclrole), 'schema', nspname, 'kind', defaclobjtype,
                  'grants', {_GRANTS.format(acl="defaclacl")})), '[]')
           FROM pg_catalog.pg_default_acl LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = defaclnamespace));
"""

# To whom a privilege is granted, and whether they may grant it.
_GRANTEE = "coalesce(pg_catalog.quote_ident(given->>'grantee'), 'PUBLIC')"
_OPTION = "CASE WHEN (given->>'grantable')::boolean THEN ' WITH GRANT OPTION' ELSE '' END"

# An extension that another one needs is older, and so comes first.
_INSTALL = f"""\
SELECT statement
  FROM (SELECT number, kept->>'name' AS name, kept->>'schema' AS schema, kept->>'version' AS version,
               kept->'grants' AS grants,
               EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = kept->>'schema') AS placed
          FROM pg_catalog.json_array_elements({{extensions}}) WITH ORDINALITY AS listed (kept, number)) AS extension
 CROSS JOIN LATERAL (
         SELECT 1, pg_catalog.format('CREATE SCHEMA IF NOT EXISTS %I', schema) WHERE NOT placed
         UNION ALL
         SELECT 2, pg_catalog.format('GRANT %s ON SCHEMA %I TO %s%s', given->>'privilege', schema,
                                     {_GRANTEE}, {_OPTION})
           FROM pg_catalog.json_array_elements(grants) AS given WHERE NOT placed
         UNION ALL
         SELECT 3, pg_catalog.format('CREATE EXTENSION IF NOT EXISTS %I SCHEMA %I', name, schema)
                   || (SELECT coalesce(pg_catalog.max(pg_catalog.format(' VERSION %L', version)), '')
                         FROM pg_catalog.pg_available_extension_versions AS v
                        WHERE v.name = extension.name AND v.version = extension.version)
                   || ' CASCADE'
         UNION ALL
         SELECT 4, pg_catalog.format('SELECT pg_catalog.to_json(%L::text)', name)) AS step (place, statement)
 WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = name)
   AND (placed OR schema NOT IN (SELECT value FROM pg_catalog.json_array_elements_text({{awaited}})))
 ORDER BY number, place
\\gexec
"""

# What is granted now, by a rule or without one, is revoked first. Schemas that the source does not have are left out.
_DEFAULTS = """\
WITH rule AS (
  SELECT number, words, kept->'grants' AS grants,
         pg_catalog.format('ALTER DEFAULT PRIVILEGES FOR ROLE %I', rolname)
           || coalesce(' IN SCHEMA ' || pg_catalog.quote_ident(nspname), '') AS head,
         coalesce((SELECT defaclacl FROM pg_catalog.pg_default_acl
                    WHERE defaclrole = r.oid AND defaclnamespace = coalesce(n.oid, 0)
                      AND defaclobjtype::text = kept->>'kind'),
                  CASE WHEN nspname IS NULL THEN pg_catalog.acldefault(own::"char", r.oid) END) AS present
    FROM pg_catalog.json_array_elements({defaults}) WITH ORDINALITY AS listed (kept, number)
    JOIN (VALUES ('r', 'r', 'TABLES'), ('S', 's', 'SEQUENCES'), ('f', 'f', 'FUNCTIONS'), ('T', 'T', 'TYPES'),
                 ('n', 'n', 'SCHEMAS'), ('L', 'L', 'LARGE OBJECTS')) AS known (kind, own, words)
      ON kind = kept->>'kind'
    JOIN pg_catalog.pg_roles AS r ON rolname = kept->>'role'
    LEFT JOIN pg_catalog.pg_namespace AS n ON nspname = kept->>'schema'
   WHERE kept->>'schema' IS NULL OR nspname IS NOT NULL)
SELECT statement
  FROM (SELECT DISTINCT number, 1 AS place,
               pg_catalog.format('%s REVOKE ALL ON %s FROM %s', head, words,
                 CASE WHEN grantee = 0 THEN 'PUBLIC'
                      ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(grantee)) END) AS statement
          FROM rule, pg_catalog.aclexplode(present)
        UNION ALL
        SELECT number, 2, pg_catalog.format('%s GRANT %s ON %s TO %s%s', head, given->>'privilege', words,
                 {grantee}, {option})
          FROM rule, pg_catalog.json_array_elements(grants) AS given) AS step
 ORDER BY number, place
\\gexec
"""


class PostgreSQLKept:
    """The part of a Swap that is inside the databases; see ``SwapEngine``."""

    def describe_brought(self) -> str:
        return _BROUGHT

    def brought(self, lines: Sequence[str]) -> Brought:
        return msgspec.json.decode(lines[-1], type=Brought)

    def describe_kept(self, extensions: Sequence[str]) -> str:
        return _KEPT.format(extensions=json_literal(extensions))

    def kept(self, lines: Sequence[str]) -> Kept:
        return msgspec.json.decode(lines[0], type=Kept)

    def install_extensions(self, kept: Kept, *, awaited: Sequence[str] = ()) -> str:
        return _INSTALL.format(extensions=json_literal(kept.extensions), awaited=json_literal(awaited))

    def grant_defaults(self, kept: Kept) -> str:
        return _DEFAULTS.format(defaults=json_literal(kept.default_privileges), grantee=_GRANTEE, option=_OPTION)
