-- One line a table: its name, its rows, and a hash of all of them that does not depend on their order on disk.
SELECT format('SELECT %L, count(*), md5(string_agg(md5(t::text), '''' ORDER BY md5(t::text))) FROM %I.%I t',
    relname, nspname, relname)
  FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
  WHERE relkind = 'r' AND nspname = 'public'
  ORDER BY relname
\gexec
SELECT 'sequence ' || sequencename, 1, md5(coalesce(last_value, start_value)::text)
  FROM pg_sequences WHERE schemaname = 'public' ORDER BY sequencename;
