"""The statements about databases that a run makes on a PostgreSQL server; each answer is one line of JSON."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ..domain.naming import (
    KEPT_MARK,
    PREVIOUS,
    PREVIOUS_MARK,
    SYNC,
    SYNC_MARK,
    VERIFICATION,
    VERIFICATION_MARK,
    database_beside,
)
from .databases import MarkedPrevious, PreviousOfRun
from .postgresql_literals import literal
from .postgresql_queries import NO_LIMITS

LEFT_SECONDS = 60  # a database of a run that nobody has entered for so long belongs to none

_DIGITS = "'YYYYMMDDHH24MISS'"
_NOW = "pg_catalog.timezone('UTC', pg_catalog.clock_timestamp())"
_LOCK = "pg_catalog.hashtext('dataguardian-databases')"
# The first second from now on that no other database of the same name has. Who looks for one next in the session's
# database waits until it is made.
_MOMENT = f"""\
SELECT pg_catalog.count(pg_catalog.pg_advisory_lock({_LOCK})) AS ignored \\gset
SELECT pg_catalog.to_json(digits)
  FROM pg_catalog.generate_series(0, 3600) AS later
 CROSS JOIN LATERAL pg_catalog.to_char({_NOW} + later * interval '1 second', {_DIGITS}) AS digits
 WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = {{prefix}} || digits)
 ORDER BY later LIMIT 1;
"""

# A locale of a database fits to its encoding; C fits to each. Majors differ in the columns they have. Whoever names
# the tablespace that template0 has needs a right that is not needed otherwise.
_CREATE = f"""\
SELECT pg_catalog.format('CREATE DATABASE %I TEMPLATE template0 ALLOW_CONNECTIONS false ENCODING %L ', {{name}}, wanted)
       || CASE WHEN wanted = own THEN pg_catalog.format('LC_COLLATE %L LC_CTYPE %L', datcollate, datctype)
               ELSE 'LC_COLLATE ''C'' LC_CTYPE ''C''' END
       || CASE WHEN provider IS NULL THEN ''
               WHEN provider = 'c' OR wanted <> own THEN ' LOCALE_PROVIDER libc'
               ELSE pg_catalog.format(' LOCALE_PROVIDER %s_LOCALE %L',
                      CASE provider WHEN 'i' THEN 'icu ICU' ELSE 'builtin BUILTIN' END, locale) END
       || CASE WHEN rules IS NULL OR wanted <> own THEN '' ELSE pg_catalog.format(' ICU_RULES %L', rules) END
       || CASE WHEN NOT {{same_place}} OR dattablespace = usual THEN ''
               ELSE (SELECT pg_catalog.format(' TABLESPACE %I', spcname)
                       FROM pg_catalog.pg_tablespace AS t WHERE t.oid = dattablespace) END
  FROM (SELECT datcollate, datctype, dattablespace, pg_catalog.pg_encoding_to_char(encoding) AS own,
               coalesce(nullif({{encoding}}, ''), pg_catalog.pg_encoding_to_char(encoding)) AS wanted,
               pg_catalog.to_jsonb(d)->>'datlocprovider' AS provider,
               coalesce(pg_catalog.to_jsonb(d)->>'datlocale', pg_catalog.to_jsonb(d)->>'daticulocale') AS locale,
               pg_catalog.to_jsonb(d)->>'daticurules' AS rules,
               (SELECT dattablespace FROM pg_catalog.pg_database WHERE datname = 'template0') AS usual
          FROM pg_catalog.pg_database AS d WHERE datname = {{like}}) AS d
\\gexec
SELECT pg_catalog.format(statement, {{name}}, {{mark}})
  FROM (VALUES (1, 'COMMENT ON DATABASE %I IS %L'),
               (2, 'REVOKE ALL ON DATABASE %I FROM PUBLIC'),
               (3, 'ALTER DATABASE %I ALLOW_CONNECTIONS true')) AS step (number, statement)
 ORDER BY number
\\gexec
SELECT pg_catalog.count(pg_catalog.pg_advisory_unlock({_LOCK})) AS ignored \\gset
"""

_MARK = """\
SELECT pg_catalog.format('COMMENT ON DATABASE %I IS %L', {name}, {mark})
\\gexec
"""

# Before 13 there is no FORCE; the session of the run, the only one it knows of, has ended by then.
_DROP = """\
SELECT pg_catalog.format(statement, datname)
  FROM pg_catalog.pg_database
 CROSS JOIN (VALUES (1, 'DROP DATABASE %I' || CASE WHEN pg_catalog.current_setting('server_version_num')::int >= 130000
                                                   THEN ' WITH (FORCE)' ELSE '' END),
                    (2, 'SELECT pg_catalog.to_json(%L::text)')) AS step (number, statement)
 WHERE datname = {name}
   AND pg_catalog.split_part(pg_catalog.shobj_description(oid, 'pg_database'), E'\\n', 1) = {mark}
 ORDER BY number
\\gexec
"""

_MARKED = """\
(SELECT *, pg_catalog.split_part(pg_catalog.shobj_description(oid, 'pg_database'), E'\\n', 1) AS mark
          FROM pg_catalog.pg_database) AS d"""

# Without a mark nobody could ever enter it, so there is nothing in it: its run ended between two statements.
_LEFTOVERS = f"""\
SELECT pg_catalog.to_json(datname)
  FROM {_MARKED}
 WHERE datname ~ '^({VERIFICATION}|{SYNC})_.*_[0-9]{{14}}$'
   AND pg_catalog.right(datname, 14) < pg_catalog.to_char({_NOW} - interval '{LEFT_SECONDS} seconds', {_DIGITS})
   AND (mark ~ '^({VERIFICATION_MARK}|{SYNC_MARK}) ' AND mark NOT LIKE '%{KEPT_MARK}'
        OR mark IS NULL AND NOT datallowconn)
   AND pg_catalog.pg_has_role(datdba, 'USAGE')
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity AS a WHERE a.datid = d.oid)
 ORDER BY datname;
"""

# The mark: a word, the id of the run, the time, and the rest is the name of the database.
_PREVIOUS = f"""\
(SELECT datname, datdba, pg_catalog.split_part(mark, ' ', 2) AS execution,
               pg_catalog.split_part(mark, ' ', 3) AS until, mark LIKE '{PREVIOUS_MARK} %' AS marked,
               pg_catalog.split_part(mark, ' ', 3) <= pg_catalog.to_char({_NOW}, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS over,
               pg_catalog.regexp_replace(mark, '^\\S+ \\S+ \\S+ ', '') AS was
          FROM pg_catalog.pg_database
         CROSS JOIN LATERAL coalesce(pg_catalog.shobj_description(oid, 'pg_database'), '') AS mark) AS d"""

_EXPIRED = f"""\
SELECT pg_catalog.to_json(datname)
  FROM {_PREVIOUS}
 WHERE datname ~ '^{PREVIOUS}_.*_[0-9]{{{{14}}}}$' AND marked AND over AND was = {{database}}
 ORDER BY datname;
"""
_OF_RUN = f"""\
SELECT pg_catalog.json_build_array(datname, until)
  FROM {_PREVIOUS}
 WHERE datname ~ '^{PREVIOUS}_.*_[0-9]{{{{14}}}}$' AND marked AND was = {{database}} AND execution = {{execution}}
   AND pg_catalog.pg_has_role(datdba, 'USAGE')
 ORDER BY datname DESC LIMIT 1;
"""

_FIND_PREVIOUS = f"""\
SELECT pg_catalog.json_build_object('database', CASE WHEN marked THEN was END, 'until', until, 'over', over)
  FROM {_PREVIOUS}
 WHERE datname = {{name}};
"""

# Whoever switches a new database has it locked: it is then no leftover, and nobody shall wait. Nor shall those who are
# in one wait for a drop that waits for them.
_DROP_LEFTOVER = """\
\\set ON_ERROR_STOP 0
SET lock_timeout = '1s';
SELECT pg_catalog.format('ALTER DATABASE %I IS_TEMPLATE false', datname)
  FROM pg_catalog.pg_database WHERE datname = {name} AND datistemplate
\\gexec
SELECT pg_catalog.format('DROP DATABASE IF EXISTS %I', {name})
 WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity WHERE datname = {name})
\\gexec
SET lock_timeout = 0;
\\set ON_ERROR_STOP 1
SELECT pg_catalog.to_json({name}::text) WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = {name});
"""


class PostgreSQLDatabases:
    """The part of the engine that is about databases which runs make; see ``DatabasesEngine``."""

    def name_database(self, prefix: str, database: str) -> str:
        return _MOMENT.format(prefix=literal(database_beside(prefix, database, "")))

    def digits(self, lines: Sequence[str]) -> str:
        return msgspec.json.decode(lines[0], type=str)

    def create_database(self, name: str, mark: str, *, like: str, encoding: str = "", same_place: bool = False) -> str:
        return _CREATE.format(
            name=literal(name),
            mark=literal(mark),
            like=literal(like),
            encoding=literal(encoding),
            same_place=str(same_place).lower(),
        )

    def mark_database(self, name: str, mark: str) -> str:
        return _MARK.format(name=literal(name), mark=literal(mark))

    def drop_database(self, name: str, mark: str) -> str:
        return NO_LIMITS + _DROP.format(name=literal(name), mark=literal(mark))

    def find_leftovers(self) -> str:
        return NO_LIMITS + _LEFTOVERS

    def find_expired(self, database: str) -> str:
        return NO_LIMITS + _EXPIRED.format(database=literal(database))

    def find_previous(self, name: str) -> str:
        return NO_LIMITS + _FIND_PREVIOUS.format(name=literal(name))

    def previous(self, lines: Sequence[str]) -> MarkedPrevious | None:
        return msgspec.json.decode(lines[0], type=MarkedPrevious) if lines else None

    def find_previous_of(self, execution_id: str, database: str) -> str:
        return NO_LIMITS + _OF_RUN.format(execution=literal(execution_id), database=literal(database))

    def previous_of(self, lines: Sequence[str]) -> PreviousOfRun | None:
        return msgspec.json.decode(lines[0], type=PreviousOfRun) if lines else None

    def names(self, lines: Sequence[str]) -> list[str]:
        return [msgspec.json.decode(line, type=str) for line in lines]

    def drop_leftover(self, name: str) -> str:
        return _DROP_LEFTOVER.format(name=literal(name))
