"""The statements that describe what a PostgreSQL database holds: when it is dumped, and after a dump was restored.

Both sides see a row as the same text, whatever the defaults of server, database and role are, and hash that text.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..domain.manifest import Fingerprint
from .postgresql_literals import json_literal, literal
from .postgresql_queries import NO_LIMITS
from .source import Contents

SAMPLED_ROWS = 16  # of a table
SAMPLES = 16 * 1024  # of a database with very many tables, so that its manifest stays small
SAMPLED_BYTES = 32 * 8192  # of a table are looked at to choose these rows
ROW_BYTES = 1024 * 1024  # a larger row is not sampled: the server would need several times its size

_TEXTS = """\
SELECT count(pg_catalog.set_config(name, value, false)) AS ignored
  FROM (VALUES ('DateStyle', 'ISO'), ('IntervalStyle', 'postgres'), ('TimeZone', 'UTC'), ('bytea_output', 'hex'),
               ('extra_float_digits', '3'), ('lc_monetary', 'C'), ('quote_all_identifiers', 'off'),
               ('row_security', 'off')) AS text (name, value) \\gset
"""

# The columns in the order of their names: a child table has them in another order after a restore. Those that are
# generated follow from the others.
_COLUMNS = """
  CROSS JOIN LATERAL (
       SELECT pg_catalog.string_agg(pg_catalog.format('t.%I', attname), ', ' ORDER BY attname) AS columns,
              pg_catalog.string_agg(pg_catalog.format('coalesce(pg_catalog.pg_column_size(t.%I), 0)', attname), ' + ')
              AS bytes
         FROM pg_catalog.pg_attribute
        WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = '') AS a"""

# Of a row ``t``; to be formatted with the columns and the encoding that the text is hashed in. Not md5, which a
# server in FIPS mode refuses.
_HASH = """pg_catalog.left(pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(\
ROW({columns})::pg_catalog.text, {encoding})), ''hex''), 16)"""

_VALID_INDEX = "indisvalid AND indisready AND indislive"
# Not the one for NOT NULL, which has a row from 18 on only, and not the parts of a reference to a partitioned table,
# one for each partition of that.
_CONSTRAINT = """contype IN ('c', 'f', 'p', 'u', 'x') AND NOT EXISTS (
       SELECT FROM pg_catalog.pg_constraint AS whole WHERE whole.oid = k.conparentid AND whole.conrelid = k.conrelid)"""
_PARTS = f"""\
(SELECT count(*) FROM pg_catalog.pg_index WHERE indrelid = c.oid AND {_VALID_INDEX}),
       (SELECT count(*) FROM pg_catalog.pg_constraint AS k WHERE conrelid = c.oid AND convalidated AND {_CONSTRAINT})"""
_FLAWED = f"""\
(SELECT coalesce(pg_catalog.json_agg(name ORDER BY name), '[]') FROM (
       SELECT i.relname AS name FROM pg_catalog.pg_index JOIN pg_catalog.pg_class AS i ON i.oid = indexrelid
        WHERE indrelid = c.oid AND NOT ({_VALID_INDEX})
       UNION ALL
       SELECT conname FROM pg_catalog.pg_constraint AS k
        WHERE conrelid = c.oid AND NOT convalidated AND {_CONSTRAINT}) AS flawed)"""

# The extension that brings the relation, or NULL.
_EXTENSION = """\
(SELECT extname FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_extension AS e ON e.oid = refobjid
        WHERE classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND objid = c.oid AND deptype = 'e')"""

_RELATIONS = "pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
_OURS = "nspname <> 'information_schema' AND nspname !~ '^pg_'"
_SEQUENCES = f"""\
{_RELATIONS} JOIN pg_catalog.pg_sequence AS s ON s.seqrelid = c.oid
       CROSS JOIN LATERAL (SELECT pg_catalog.has_sequence_privilege(c.oid, 'SELECT, USAGE') AS readable) AS p"""
_VALUE = "CASE WHEN readable AND seqincrement > 0 AND NOT seqcycle THEN pg_catalog.pg_sequence_last_value(c.oid) END"


# A value needs a lock that is kept until the transaction ends, so this is asked outside of the dump's: else an ALTER
# SEQUENCE would wait for the dump, and all who use the sequence behind it. Nor is anybody waited for.
SEQUENCE_VALUES = f"""\
\\set ON_ERROR_STOP 0
SET lock_timeout = '10ms';
SELECT pg_catalog.json_build_array('sequence_values',
       coalesce(pg_catalog.json_object_agg(oid, value) FILTER (WHERE value IS NOT NULL), '{{}}'))
  FROM (SELECT c.oid, {_VALUE} AS value FROM {_SEQUENCES} WHERE {_OURS}) AS found;
SET lock_timeout = 0;
\\set ON_ERROR_STOP 1
"""

# What belongs to an extension has its owner from whoever makes the extension, and so have implicit types. The bootstrap
# superuser has no entry in pg_shdepend, whatever it owns.
ROLES = """\
SELECT pg_catalog.json_build_array('roles', coalesce(pg_catalog.json_agg(rolname ORDER BY rolname), '[]'))
  FROM pg_catalog.pg_roles AS r
 WHERE rolname !~ '^pg_' AND (
       oid IN (SELECT refobjid FROM pg_catalog.pg_shdepend AS s
                WHERE refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass
                  AND dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
                  AND NOT (deptype = 'o' AND (classid = 'pg_catalog.pg_extension'::pg_catalog.regclass OR EXISTS (
                      SELECT FROM pg_catalog.pg_depend AS d
                       WHERE d.classid = s.classid AND d.objid = s.objid AND d.deptype = 'e'))))
    OR oid = 10 AND EXISTS (
       SELECT FROM (SELECT 'pg_catalog.pg_class'::pg_catalog.regclass AS classid, oid, relowner AS owner
                      FROM pg_catalog.pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c')
                    UNION ALL
                    SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass, oid, proowner FROM pg_catalog.pg_proc
                    UNION ALL
                    SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, oid, typowner FROM pg_catalog.pg_type
                    UNION ALL
                    SELECT 'pg_catalog.pg_namespace'::pg_catalog.regclass, oid, nspowner
                      FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_') AS made
        WHERE owner = 10 AND oid >= 16384 AND NOT EXISTS (
              SELECT FROM pg_catalog.pg_depend AS d
               WHERE d.classid = made.classid AND d.objid = made.oid AND d.deptype IN ('e', 'i'))));
"""


def dumped(contents: Contents) -> str:
    """Statements that describe what a dump with these contents holds, as the session's snapshot sees it.

    A statement that fails leaves its answer out.
    """
    sequences, extensions, tables = (
        f"ANY ('{{{','.join(map(str, oids))}}}'::pg_catalog.oid[])"
        for oids in (contents.sequences, contents.extensions, contents.tables)
    )
    rows = max(1, min(SAMPLED_ROWS, SAMPLES // max(1, len(contents.tables))))
    return f"""\
{_TEXTS}SET LOCAL lock_timeout = '10ms';
SELECT pg_catalog.json_build_array('dumped_sequences', coalesce(pg_catalog.json_agg(
       pg_catalog.json_build_array(c.oid::pg_catalog.int8, nspname, relname) ORDER BY nspname, relname), '[]'))
  FROM {_RELATIONS} WHERE c.oid = {sequences};
SELECT pg_catalog.json_build_array('extensions', coalesce(pg_catalog.json_object_agg(extname, extversion), '{{}}'))
  FROM pg_catalog.pg_extension WHERE oid = {extensions};
SELECT pg_catalog.json_build_array('encoding', pg_catalog.getdatabaseencoding());
SELECT pg_catalog.json_build_array('size', pg_catalog.pg_database_size(pg_catalog.current_database()));
{ROLES}{_dumped_tables(tables, rows)}"""


def _dumped_tables(tables: str, rows: int) -> str:
    """Answers about the tables; each is counted, and sampled if it is kept in the server's own way.

    The dump holds a lock on each of them, so a lock that cannot be had at once means that another session waits
    to alter the table: afterwards the snapshot would see it empty. Such a table is left out.
    """
    hashed = _HASH.format(columns="%4$s", encoding="pg_catalog.getdatabaseencoding()")
    counted = """\
SELECT pg_catalog.json_build_array(''dumped_rows'', %1$s, (SELECT count(*) FROM ONLY %2$I.%3$I), ({sample}))"""
    sample = f"""\
SELECT coalesce(pg_catalog.json_agg(DISTINCT hash), ''[]'') FROM (
       SELECT {hashed} AS hash FROM (
              SELECT t.* FROM ONLY %2$I.%3$I AS t TABLESAMPLE SYSTEM (least(100,
                     100.0 * {SAMPLED_BYTES} / greatest(pg_catalog.pg_relation_size(%1$s), 1))) REPEATABLE (0)
               ORDER BY pg_catalog.hashtext(t.ctid::pg_catalog.text) LIMIT {rows}) AS t
        WHERE %5$s <= {ROW_BYTES}) AS hashed"""
    return f"""\
SELECT pg_catalog.json_build_array('dumped_table', c.oid::pg_catalog.int8, nspname, relname,
       {_EXTENSION},
       {_PARTS})
  FROM {_RELATIONS} WHERE c.oid = {tables} AND relkind IN ('r', 'p') ORDER BY nspname, relname;
SELECT pg_catalog.format(
       CASE amname WHEN 'heap' THEN '{counted.format(sample=sample)}'
                   ELSE '{counted.format(sample="SELECT ''[]''::json")}' END,
       c.oid, nspname, relname, columns, coalesce(bytes, '0'))
  FROM {_RELATIONS} LEFT JOIN pg_catalog.pg_am AS m ON m.oid = relam {_COLUMNS}
 WHERE c.oid = {tables} AND relkind IN ('r', 'p') ORDER BY nspname, relname
\\gexec
"""


def restored(expected: Fingerprint) -> str:
    """Statements that describe a restored database as far as the fingerprint has something to compare.

    Only the reading of a table's rows may fail, which leaves them out of the answer.
    """
    names = [[table.schema, table.name, table.sample] for table in expected.tables]
    return f"""\
{NO_LIMITS}{_TEXTS}\\set ON_ERROR_STOP 1
SELECT pg_catalog.json_build_array('extensions', coalesce(pg_catalog.json_object_agg(extname, extversion), '{{}}'))
  FROM pg_catalog.pg_extension;
SELECT pg_catalog.json_build_array('found_sequence', nspname, relname, {_VALUE}, readable)
  FROM {_SEQUENCES} WHERE {_OURS};
SELECT pg_catalog.json_build_array('found_table', nspname, relname, {_PARTS}, {_FLAWED},
       {_EXTENSION})
  FROM {_RELATIONS} WHERE relkind IN ('r', 'p') AND {_OURS};
\\set ON_ERROR_STOP 0
{_restored_rows(names, expected.encoding)}SELECT pg_catalog.json_build_array('last_error', :'LAST_ERROR_MESSAGE');
\\set ON_ERROR_STOP 1
"""


def _restored_rows(names: Sequence[object], encoding: str) -> str:
    """Answers about the rows of the tables with these names: all of them are counted, and hashed if there is a sample.

    The texts are hashed in the encoding of the database that was dumped.
    """
    wanted, source = json_literal(names), literal(encoding)
    count = "SELECT pg_catalog.json_build_array(''found_rows'', %1$L, %2$L, count(*), ''[]''::json) FROM ONLY %1$I.%2$I"
    hashed = _HASH.format(columns="%3$s", encoding="%4$L")
    scan = f"""\
SELECT pg_catalog.json_build_array(''found_rows'', %1$L, %2$L, coalesce(sum(rows), 0),
       coalesce(pg_catalog.json_agg(hash) FILTER (WHERE hash IS NOT NULL), ''[]''))
  FROM (SELECT CASE WHEN hash = ANY (%5$L) THEN hash END AS hash, count(*) AS rows
          FROM (SELECT {hashed} AS hash FROM ONLY %1$I.%2$I AS t) AS hashed GROUP BY 1) AS counted"""
    return f"""\
SELECT CASE pg_catalog.json_array_length(wanted->2)
       WHEN 0 THEN pg_catalog.format('{count}', nspname, relname)
       ELSE pg_catalog.format('{scan}', nspname, relname, columns,
            coalesce(nullif({source}, ''), pg_catalog.getdatabaseencoding()),
            ARRAY(SELECT pg_catalog.json_array_elements_text(wanted->2))) END
  FROM pg_catalog.json_array_elements({wanted}) AS wanted
  JOIN pg_catalog.pg_namespace AS n ON nspname = wanted->>0
  JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND relname = wanted->>1 AND relkind IN ('r', 'p'){_COLUMNS}
\\gexec
"""
