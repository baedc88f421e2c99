"""Masking while PostgreSQL loads: triggers see each row before it is stored, so that neither the table nor the
write-ahead log, nor who decodes it, ever has a source value.

What people wrote and the key come as one row of a temporary table. The statements are the same for every load.
"""

# The client's report of the one row would be taken for that of a table of the dump. From here on errors come with
# their codes and the names of tables.
BRING = """\
\\set VERBOSITY verbose
\\set dg_masking_quiet :QUIET
\\set QUIET on
CREATE TEMPORARY TABLE dg_masking (rules pg_catalog.json, inner_key pg_catalog.bytea, outer_key pg_catalog.bytea)
  ON COMMIT DROP;
COPY pg_temp.dg_masking FROM stdin;
{row}
\\.
\\set QUIET :dg_masking_quiet
"""

# The keys become settings of the transaction: a function reads them faster than a table. Errors stay out of the
# server's own log, where the role may have that: they would bring values of rows into it. The triggers fire always: by
# a setting of the role or the database, the load may be a replica's session, in which others do not.
# A rule is tried on a row of nulls before any row comes: parsed, and evaluated where it does not depend on a row. In a
# trigger expressions come first, as they are of the row as it was; what else is made is of one column each.
MAKE = """\
DO $masking$
DECLARE
  masked record;
  expression pg_catalog.text;
  selected pg_catalog.text[];
  targets pg_catalog.text[];
  assignments pg_catalog.text;
  each record;
BEGIN
  PERFORM pg_catalog.set_config('dg_masking.inner_key', inner_key::pg_catalog.text, true),
          pg_catalog.set_config('dg_masking.outer_key', outer_key::pg_catalog.text, true)
     FROM pg_temp.dg_masking;
  FOR each IN
    SELECT * FROM (VALUES ('log_min_messages', 'log'), ('log_error_verbosity', 'terse'), ('lc_messages', 'C'),
                          ('session_replication_role', 'origin')) AS setting (name, value)
  LOOP
    BEGIN
      PERFORM pg_catalog.set_config(each.name, each.value, true);
    EXCEPTION WHEN insufficient_privilege THEN
      NULL;
    END;
  END LOOP;
  FOR masked IN
    SELECT number, pg_catalog.format('%I.%I', given->>'schema', given->>'table') AS name, given->'columns' AS columns
      FROM pg_temp.dg_masking, pg_catalog.json_array_elements(rules->'masked') WITH ORDINALITY AS list (given, number)
  LOOP
    selected := '{}';
    targets := '{}';
    assignments := '';
    FOR each IN
      SELECT given->>'column' AS name, given->>'expression' AS pattern, given->>'value' AS value,
             given->>'digits' AS digits, (given->>'of_row')::pg_catalog.bool AS of_row,
             (given->>'constant')::pg_catalog.bool::pg_catalog.int4 AS constant,
             (SELECT pg_catalog.format_type(atttypid, atttypmod) FROM pg_catalog.pg_attribute
               WHERE attrelid = masked.name::pg_catalog.regclass AND attname = given->>'column') AS type
        FROM pg_catalog.json_array_elements(masked.columns) AS list (given)
    LOOP
      expression := pg_catalog.format(
        'CAST(' || each.pattern || ' AS %4$s)', each.name, each.value, each.digits, each.type);
      BEGIN
        EXECUTE pg_catalog.format('SELECT %s FROM (SELECT (NULL::%s).*) AS row_ LIMIT %s',
                                  expression, masked.name, each.constant);
      EXCEPTION WHEN OTHERS THEN
        RAISE EXCEPTION 'masking rule of %.%: %', masked.name, each.name, SQLERRM USING ERRCODE = SQLSTATE;
      END;
      IF each.of_row THEN
        selected := selected || expression;
        targets := targets || pg_catalog.format('NEW.%I', each.name);
      ELSE
        assignments := assignments || pg_catalog.format(E'NEW.%I := %s;\\n', each.name, expression);
      END IF;
    END LOOP;
    IF selected <> '{}' THEN
      assignments := pg_catalog.format(
        E'SELECT %s INTO %s FROM (SELECT NEW.*) AS row_;\\n%s', pg_catalog.array_to_string(selected, ', '),
        pg_catalog.array_to_string(targets, ', '), assignments);
    END IF;
    EXECUTE pg_catalog.format(
      'CREATE FUNCTION pg_temp.dg_masking_%s() RETURNS trigger LANGUAGE plpgsql AS %L', masked.number,
      pg_catalog.format(E'#variable_conflict use_column\\nDECLARE row_ ALIAS FOR NEW;\\nBEGIN\\n%sRETURN NEW;\\nEND',
                        assignments));
    EXECUTE pg_catalog.format(
      'CREATE TRIGGER dg_masking BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION pg_temp.dg_masking_%s()',
      masked.name, masked.number);
    EXECUTE pg_catalog.format('ALTER TABLE %s ENABLE ALWAYS TRIGGER dg_masking', masked.name);
  END LOOP;
END $masking$;
"""

# Rows are moved by their places: each column's values get a random order of their own, over partitions and children.
# A trigger that somebody's event trigger has dropped or changed may not have fired: then nothing is committed.
SHUFFLE = """\
DO $masking$
DECLARE
  masked record;
BEGIN
  FOR masked IN
    SELECT pg_catalog.format('%I.%I', given->>'schema', given->>'table') AS name
      FROM pg_temp.dg_masking, pg_catalog.json_array_elements(rules->'masked') AS list (given)
  LOOP
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = masked.name::pg_catalog.regclass
                      AND tgname = 'dg_masking' AND tgenabled = 'A') THEN
      RAISE EXCEPTION 'the rows of % were not masked', masked.name;
    END IF;
    EXECUTE pg_catalog.format('DROP TRIGGER dg_masking ON %s', masked.name);
  END LOOP;
  FOR masked IN
    SELECT pg_catalog.format('%I.%I', given->>'schema', given->>'table') AS name, given->'columns' AS columns
      FROM pg_temp.dg_masking, pg_catalog.json_array_elements(rules->'shuffled') AS list (given)
  LOOP
    EXECUTE (
      SELECT pg_catalog.format(
               'WITH place AS (SELECT tableoid AS relation, ctid AS place, pg_catalog.row_number() OVER () AS number '
               'FROM %1$s)%2$s UPDATE %1$s AS row_ SET %3$s FROM place%4$s '
               'WHERE row_.tableoid = place.relation AND row_.ctid = place.place',
               masked.name,
               pg_catalog.string_agg(pg_catalog.format(
                 ', value_%2$s AS (SELECT %3$I AS value, pg_catalog.row_number() OVER (ORDER BY pg_catalog.random()) '
                 'AS number FROM %1$s)', masked.name, number, name), ''),
               pg_catalog.string_agg(pg_catalog.format('%2$I = value_%1$s.value', number, name), ', '),
               pg_catalog.string_agg(pg_catalog.format(' JOIN value_%1$s USING (number)', number), ''))
        FROM pg_catalog.json_array_elements_text(masked.columns) WITH ORDINALITY AS list (name, number));
  END LOOP;
END $masking$;
"""

REMOVE = """\
DO $masking$
DECLARE
  made record;
BEGIN
  FOR made IN
    SELECT oid::pg_catalog.regprocedure AS signature FROM pg_catalog.pg_proc
     WHERE pronamespace = pg_catalog.pg_my_temp_schema() AND proname ~ '^dg_masking'
  LOOP
    EXECUTE pg_catalog.format('DROP FUNCTION %s', made.signature);
  END LOOP;
END $masking$;
DROP TABLE pg_temp.dg_masking;
SET LOCAL dg_masking.inner_key = '';
SET LOCAL dg_masking.outer_key = '';
"""

# Nothing is written where nothing would change. Only the owner may write the comment: who is to take out a mark and is
# not leaves it.
MARK_MASKED = """\
SELECT pg_catalog.format('COMMENT ON DATABASE %I IS %L', datname, nullif(pg_catalog.concat_ws(E'\\n',
         nullif(pg_catalog.btrim(pg_catalog.regexp_replace(
           coalesce(pg_catalog.shobj_description(oid, 'pg_database'), ''), {old}, '', 'g'), E'\\n'), ''),
         {new}), ''))
  FROM pg_catalog.pg_database WHERE datname = {database}
   AND ({new} IS NOT NULL
        OR pg_catalog.shobj_description(oid, 'pg_database') ~ {old} AND pg_catalog.pg_has_role(datdba, 'USAGE'))
\\gexec
"""
