"""Loading a dump into PostgreSQL: ``pg_restore`` writes a script, ``psql`` runs it.

The script is safe to run. ``pg_restore`` makes it from the dump's table of contents: names are quoted, comments
have no line breaks, rows stand in COPY's format between ``COPY … FROM stdin`` and ``\\.``, where psql looks for
nothing but that end and the format writes each backslash of a row as two. What the dump's definitions contain is SQL
for the server either way; and ``\\restrict`` before it, with a random key, makes psql refuse commands of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath

import msgspec

from ..domain.plan import Endpoint
from . import postgresql_clearing, postgresql_queries
from .command import Command
from .loading import Part, Waiting

TRANSACTION_TIMEOUT = 17  # the major that brought this setting
# The last of the settings that matter here; those after it are about names and functions.
_LAST_SETTING = b"SET client_encoding = "
_END = re.compile(
    rb"\nCOMMIT;\n+--\n-- PostgreSQL database dump complete\n--\n+(?P<unrestrict>(?:\\unrestrict \w+\n+)?)\Z"
)
_COPIED = re.compile("COPY [0-9]+")
# Of all that a script answers, the numbers of rows are kept until it ends; a large object has many others.
_COUNTED = b'\\set QUIET off\n\\o |grep -a "^COPY " | tail -n 100000\n'
_COUNTED_END = b"\\o\n\\set QUIET on\n"
# Between the settings and what is made: the drops, where line breaks and dashes may stand in quoted names.
_DROPS = re.compile(rb'\nSET row_security = \w+;\n(?P<drops>(?:"[^"]*"|[^"])*?\n)(?=SET |--\n)')
_SECTIONS: Mapping[Part, str] = {"tables": "pre-data", "rows": "data", "built": "post-data"}
_CLEAN = ("--clean", "--if-exists")
# Data, which the head of a dump does not have; and what goes with its table: of a partition it cannot be dropped by
# itself, which pg_restore would try, and one of its name may belong to a table that the backup does not know.
# An FK CONSTRAINT is dropped by itself, as it ties tables together.
_NOT_DROPPED = re.compile(
    rb"^\d+; (0 \d+ (TABLE DATA|BLOBS)|\d+ \d+ (CONSTRAINT|CHECK CONSTRAINT|INDEX|TRIGGER)) .*\n", re.MULTILINE
)
# What switches policies on. It comes after the rows in a dump; to do it twice is nothing.
_HIDDEN = re.compile(rb"^\d+; \d+ \d+ ROW SECURITY .*\n", re.MULTILINE)
_GRANTED = re.compile(rb"^\d+; \d+ \d+ ACL .*\n", re.MULTILINE)
# Where all is dropped that may go, a schema stays if an extension is in it, and the extension keeps its comment: to
# write one takes the extension's owner, who is often another role than the database's.
_KEPT = re.compile(rb"^\d+; \d+ \d+ SCHEMA .*\n", re.MULTILINE)
_STAYING = re.compile(rb"^\d+; \d+ \d+ (SCHEMA|COMMENT - EXTENSION) .*\n", re.MULTILINE)
_EXTENSION = re.compile(rb"^\d+; \d+ \d+ EXTENSION .*\n", re.MULTILINE)
_IDENTIFIER = r'("(?:[^"]|"")+"|\w+)'
_PLACED = re.compile(f"^CREATE EXTENSION IF NOT EXISTS {_IDENTIFIER} WITH SCHEMA {_IDENTIFIER};$", re.MULTILINE)
_CREATE_SCHEMA = re.compile(rb'(?P<other>--.*|"[^"]*")|^CREATE SCHEMA (?=[\w"])', re.MULTILINE)


class PostgreSQLLoading:
    """One load; ``programs`` is the folder of the client's programs, ``environment`` logs them in."""

    def __init__(
        self,
        programs: PurePath,
        environment: Mapping[str, str],
        endpoint: Endpoint,
        *,
        majors: tuple[int, int],  # of the client and of the server
        lock_timeout_seconds: int,
        application: str,
        apart: bool,
    ) -> None:
        client, self._server = majors
        self._programs, self._database, self._application = programs, endpoint.database, application
        self._environment = {**environment, "PGAPPNAME": application}
        # A database with a subscription cannot be dropped; and to drop that would drop the publisher's slot.
        self._left_out = ("--no-subscriptions",) if apart else ()
        self._lock_timeout_ms = 1000 * lock_timeout_seconds
        # Connections of pg_restore's own begin with a setting that older servers refuse; a script can leave it out.
        self.several_connections = not client >= TRANSACTION_TIMEOUT > self._server

    def session(self) -> Command:
        return psql(self._program("psql"), self._environment)

    def begin(self) -> str:
        return postgresql_queries.begin_load(self._application)

    def subscriptions(self) -> str:
        return postgresql_clearing.SUBSCRIPTIONS

    def names(self, lines: Sequence[str]) -> list[str]:
        return [msgspec.json.decode(line, type=str) for line in lines]

    def clear(self) -> str:
        return postgresql_clearing.clear(self._lock_timeout_ms)

    def script(
        self,
        parts: Sequence[Part] = (),
        *,
        head: str | None = None,
        listing: str | None = None,
        rights: bool = True,
        clean: bool = False,
    ) -> Command:
        return self._restore(
            "--single-transaction",
            "--file=-",
            *_sections(parts),
            *([f"--use-list={listing}"] if listing else []),
            *([] if rights else ["--no-privileges"]),
            *(_CLEAN if clean else ()),
            *([head] if head else []),
        )

    def opening(self, lines: bytes) -> bytes | None:
        *settings, last, rest = lines.split(b"\n")
        if rest or not last.startswith(_LAST_SETTING):
            return None
        changed: dict[bytes, list[bytes]] = {
            b"BEGIN;": [],  # it is open
            b"SET lock_timeout = 0;": [b"SET lock_timeout = %d;" % self._lock_timeout_ms],
        }
        if self._server < TRANSACTION_TIMEOUT:
            changed[b"SET transaction_timeout = 0;"] = []
        kept = [new for line in settings for new in changed.get(line, [line])]
        return _COUNTED + b"\n".join([*kept, last, b""])

    def closing(self, tail: bytes) -> bytes:
        end = _END.search(tail)
        if end is None:
            raise ValueError(tail[-200:])
        return tail[: end.start() + 1] + end["unrestrict"] + _COUNTED_END

    def whole(self, script: bytes, before: bytes = b"") -> bytes:
        rest = script.index(b"\n", script.index(_LAST_SETTING)) + 1
        opening = self.opening(script[:rest])
        if opening is None:
            raise ValueError(script[:rest])
        return opening + before + self.closing(script[rest:])

    def loaded(self, lines: Sequence[str]) -> list[int]:
        return [int(line.removeprefix("COPY ")) for line in lines if _COPIED.fullmatch(line)]

    def commit(self) -> str:
        return "COMMIT;\n"

    def outcome(self, transaction: str) -> str:
        return postgresql_queries.load_outcome(self._application, int(transaction))

    def committed(self, lines: Sequence[str]) -> bool | None:
        return {"committed": True, "aborted": False}.get(msgspec.json.decode(lines[-1], type=str))

    def blockers(self) -> str:
        return postgresql_queries.blockers(self._application)

    def blocking(self, lines: Sequence[str]) -> Waiting:
        return msgspec.json.decode(lines[-1], type=Waiting)

    def contents(self) -> Command:
        return self._restore("--list")

    def contents_of(self, head: str, parts: Sequence[Part]) -> Command:
        return self._restore("--list", *_sections(parts), head)

    def dropped(self, listing: bytes) -> bytes:
        return _NOT_DROPPED.sub(b"", listing)

    def dropping(self, head: str, listing: str) -> Command:
        return self._restore(*_CLEAN, f"--use-list={listing}", "--file=-", head)

    def drops(self, printed: bytes) -> bytes:
        found = _DROPS.search(printed)
        return found["drops"] if found else b""

    def hidden(self, listing: bytes) -> bytes:
        return b"".join(_HIDDEN.findall(listing))

    def granted(self, listing: bytes) -> bytes:
        return b"".join(_GRANTED.findall(listing))

    def kept(self, listing: bytes) -> bytes:
        return b"".join(_KEPT.findall(listing))

    def cleared(self, listing: bytes) -> bytes:
        return _STAYING.sub(b"", listing)

    def where_absent(self, script: bytes) -> bytes:
        return _CREATE_SCHEMA.sub(lambda found: found["other"] or b"CREATE SCHEMA IF NOT EXISTS ", script)

    def extensions(self, listing: bytes) -> bytes:
        return b"".join(_EXTENSION.findall(listing))

    def moving(self, script: bytes) -> str:
        found = _PLACED.findall(script.decode(errors="replace"))
        return postgresql_clearing.move_extensions([(_unquoted(name), _unquoted(schema)) for name, schema in found])

    def build(self, head: str, jobs: int) -> Command:
        # As a bare name, a database called "host=elsewhere" would be read as where to connect to.
        database = f"--dbname=dbname={quoted(self._database)}"
        return self._restore("--no-password", f"--jobs={jobs}", *_sections(["built"]), database, head)

    def _restore(self, *arguments: str) -> Command:
        argv = (self._program("pg_restore"), "--exit-on-error", *self._left_out, *arguments)
        return Command(argv, self._environment)

    def _program(self, name: str) -> str:
        return str(self._programs / name)


def _sections(parts: Sequence[Part]) -> list[str]:
    return [f"--section={_SECTIONS[part]}" for part in parts]


def _unquoted(identifier: str) -> str:
    return identifier[1:-1].replace('""', '"') if identifier.startswith('"') else identifier


def psql(program: str, environment: Mapping[str, str]) -> Command:
    """A session that stops at the first error, and answers with nothing but rows."""
    options = ("--no-psqlrc", "--no-password", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1")
    return Command((program, *options), {**environment, "PGCLIENTENCODING": "UTF8"})


def quoted(value: str) -> str:
    """A value of a libpq connection string."""
    if re.fullmatch("[A-Za-z0-9_]+", value):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
