"""The columns of a PostgreSQL database, as masking sees them; each is one line of JSON."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ..domain.masking import Column
from ..errors import EngineFailed
from .masking import Columns

# From a type down to what its values are made of: through domains, arrays and ranges. A domain's own limits hold as
# long as nothing but domains was passed.
_TYPES = """\
type AS (
  SELECT DISTINCT atttypid AS column_type, atttypid AS at, true AS is_own, false AS is_strict, -1 AS modifier
    FROM pg_catalog.pg_attribute WHERE attrelid IN (SELECT oid FROM relation) AND attnum > 0 AND NOT attisdropped
  UNION ALL
  SELECT column_type, below.type, is_own AND typtype = 'd', is_strict OR is_own AND typtype = 'd' AND typnotnull,
         CASE WHEN is_own AND typtype = 'd' AND modifier < 0 THEN typtypmod ELSE modifier END
    FROM type JOIN pg_catalog.pg_type AS t ON t.oid = type.at
   CROSS JOIN LATERAL (
         SELECT typbasetype AS type WHERE typtype = 'd'
         UNION ALL
         SELECT oid FROM pg_catalog.pg_type AS element WHERE element.typarray = t.oid
         UNION ALL
         SELECT rngsubtype FROM pg_catalog.pg_range AS r
          WHERE rngtypid = t.oid OR pg_catalog.to_jsonb(r)->>'rngmultitypid' = t.oid::pg_catalog.text) AS below)"""

# Only pg_catalog's types are known by what they say of themselves: an extension's may say anything.
_FAMILY = """\
CASE WHEN NOT is_own THEN 'other'
            WHEN typname = 'citext' THEN 'citext'
            WHEN t.typnamespace <> 'pg_catalog'::pg_catalog.regnamespace THEN 'other'
            WHEN typname IN ('text', 'varchar', 'bpchar', 'name') THEN 'text'
            WHEN typname IN ('int2', 'int4', 'int8') THEN 'integer'
            WHEN typname IN ('uuid', 'numeric', 'bytea') THEN typname::pg_catalog.text
            ELSE 'other' END"""
_HARMLESS = """\
(typtype = 'e' OR t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace AND (
             typcategory IN ('B', 'N', 'D', 'T', 'I', 'G', 'V') OR typname IN ('uuid', 'macaddr', 'macaddr8')))"""

# To compile it would take longer than to run it. An extension's own tables come with the extension, but for the rows of
# those that it calls configuration. A numeric's modifier has its precision and, in the lower 11 bits, its scale.
COLUMNS = f"""\
SET jit = off;
WITH RECURSIVE relation AS (
  SELECT c.oid, nspname, relname, relkind
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
   WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND nspname <> 'information_schema' AND nspname !~ '^pg_'
     AND NOT EXISTS (
       SELECT FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_extension AS e ON e.oid = refobjid
        WHERE classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND objid = c.oid AND deptype = 'e'
          AND NOT c.oid = ANY (coalesce(extconfig, '{{}}')))),
ancestor AS (
  SELECT inhrelid AS oid, inhparent AS above, 1 AS distance FROM pg_catalog.pg_inherits
  UNION ALL
  SELECT a.oid, inhparent, distance + 1 FROM ancestor AS a JOIN pg_catalog.pg_inherits ON inhrelid = above),
inherited AS (
  SELECT d.oid, attname,
         pg_catalog.json_agg(pg_catalog.json_build_array(nspname, relname) ORDER BY distance, above) AS ancestors
    FROM (SELECT oid, above, min(distance) AS distance FROM ancestor GROUP BY oid, above) AS d
    JOIN relation ON relation.oid = above
    JOIN pg_catalog.pg_attribute ON attrelid = above AND attnum > 0 AND NOT attisdropped
   GROUP BY d.oid, attname),
{_TYPES},
base AS (
  SELECT column_type, is_strict, modifier, {_FAMILY} AS family, {_HARMLESS} AS is_harmless
    FROM type JOIN pg_catalog.pg_type AS t ON t.oid = at
   WHERE typtype NOT IN ('d', 'r', 'm') AND NOT EXISTS (SELECT FROM pg_catalog.pg_type WHERE typarray = t.oid))
SELECT pg_catalog.json_build_object(
       'schema', nspname, 'table', relname, 'column', a.attname,
       'type', pg_catalog.format_type(atttypid, atttypmod),
       'family', family,
       'digits', CASE WHEN family = 'numeric' AND limits > 0
                      THEN (limits - 4 >> 16) - (((limits - 4 & 2047) # 1024) - 1024) END,
       'needs_decision', NOT is_harmless,
       'nullable', NOT (attnotnull OR is_strict),
       'generated', pg_catalog.to_jsonb(a)->>'attgenerated' <> '',
       'relation', CASE relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view'
                                WHEN 'm' THEN 'materialized view' ELSE 'foreign table' END,
       'ancestors', coalesce(ancestors, '[]'))
  FROM relation
  JOIN pg_catalog.pg_attribute AS a ON attrelid = relation.oid AND attnum > 0 AND NOT attisdropped
  JOIN base ON column_type = atttypid
  LEFT JOIN inherited AS i ON i.oid = relation.oid AND i.attname = a.attname
 CROSS JOIN LATERAL (SELECT CASE WHEN atttypmod < 0 THEN modifier ELSE atttypmod END AS limits) AS l
 ORDER BY nspname, relname, attnum;
SELECT pg_catalog.count(*) FROM pg_catalog.pg_largeobject_metadata;
"""


def columns(lines: Sequence[str]) -> Columns:
    """The columns in the answer to ``COLUMNS``."""
    try:
        *described, large_objects = lines
        return Columns(
            columns=[msgspec.json.decode(line, type=Column) for line in described],
            large_objects=msgspec.json.decode(large_objects, type=int),
        )
    except (ValueError, msgspec.DecodeError) as error:
        raise EngineFailed(
            f"The server's description of its columns cannot be read: {error}.", remedy="Report it with the run's log."
        ) from error
