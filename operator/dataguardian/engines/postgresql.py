"""PostgreSQL through ``psql``, ``pg_dump`` and ``pg_restore``."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import msgspec

from ..domain.manifest import Fingerprint, Table
from ..domain.plan import BackupPlan
from ..domain.verification import Restored
from ..errors import ConfigInvalid, DataGuardianError, EngineFailed
from . import postgresql_answers, postgresql_contents, postgresql_errors, postgresql_queries
from .command import Command, Login
from .postgresql_databases import PostgreSQLDatabases
from .postgresql_load import TRANSACTION_TIMEOUT, PostgreSQLLoading, psql, quoted
from .postgresql_masking import PostgreSQLMasking
from .postgresql_swap import PostgreSQLSwap
from .postgresql_sync import PostgreSQLSync
from .postgresql_target import PostgreSQLTarget
from .source import Contents, Source

CONNECT_SECONDS = 10
# A dump waits no longer for a lock: behind its own wait, every other session of that table would wait too.
LOCK_SECONDS = 60
# Lines of a table of contents. One of a partitioned table has no data, and one of an extension no definition.
_TABLE = re.compile(r"^\d+; (?:1259 (?=\d+ TABLE )|0 (?=\d+ TABLE DATA ))(\d+)", re.MULTILINE)
_SEQUENCE = re.compile(r"^\d+; 1259 (\d+) SEQUENCE ", re.MULTILINE)
_EXTENSION = re.compile(r"^\d+; 3079 (\d+) EXTENSION ", re.MULTILINE)
_DUMPED_BY = re.compile(r"^; +Dumped by pg_dump version: (\S+)", re.MULTILINE)

_FILTERS = ("--schema=", "--table=", "--exclude-table=")


class PostgreSQL(PostgreSQLTarget, PostgreSQLDatabases, PostgreSQLSwap, PostgreSQLSync, PostgreSQLMasking):
    """PostgreSQL, all majors that have a client below ``programs``, in Debian's layout."""

    def __init__(self, programs: Path = Path("/usr/lib/postgresql")) -> None:
        self._programs = programs

    def password_file(self, password: str) -> str:
        escaped = password.replace("\\", "\\\\").replace(":", "\\:")
        return f"*:*:*:*:{escaped}\n"

    def client(self, server_major: int, *, at_least: int = 0, dumps: bool = True) -> int:
        installed = self._installed()
        for major in installed:
            if major >= max(server_major, at_least):
                if dumps:
                    _loads_into(major, server_major)
                return major
        if not dumps and installed and installed[-1] >= at_least:
            return installed[-1]
        needed = f"PostgreSQL {max(server_major, at_least)}" if dumps else f"What client {at_least} has dumped"
        raise ConfigInvalid(
            f"{needed} needs a client of its major or a newer one; "
            f"this image has {', '.join(map(str, installed)) or 'none'}.",
            remedy="Use an image of DataGuardian that has the newer client.",
        )

    def session(self, login: Login) -> Command:
        newest = self._program(self.client(max(self._installed(), default=0)), "psql")  # psql serves older servers too
        return psql(newest, _environment(login))

    def describe_source(self) -> str:
        return postgresql_queries.NO_LIMITS + postgresql_contents.SEQUENCE_VALUES + postgresql_queries.SNAPSHOT

    def source(self, lines: Sequence[str]) -> Source:
        return postgresql_answers.source(lines)

    def describe_dumped(self, contents: Contents) -> str:
        return postgresql_contents.dumped(contents)

    def describe_sequences(self) -> str:
        return f"ROLLBACK;\n{postgresql_contents.SEQUENCE_VALUES}"

    def fingerprint(self, source: Source, contents: Contents, lines: Sequence[str]) -> tuple[Fingerprint, list[str]]:
        return postgresql_answers.fingerprint(source, contents, lines)

    def describe_contents(self, expected: Fingerprint) -> str:
        return postgresql_contents.restored(expected)

    def found(self, lines: Sequence[str]) -> Restored:
        return postgresql_answers.restored(lines)

    def count_rows_by_name(self, tables: Sequence[Table]) -> str:
        return postgresql_queries.counts_by_name(tables)

    def counted(self, lines: Sequence[str]) -> list[Table]:
        return [
            Table(schema=schema, name=name, rows=rows)
            for schema, name, rows in (msgspec.json.decode(line, type=tuple[str, str, int]) for line in lines)
        ]

    def dump_arguments(self, plan: BackupPlan | None) -> list[str]:
        whole = ["--format=custom", "--compress=0", f"--lock-wait-timeout={LOCK_SECONDS}s"]
        if plan is None:
            return whole
        return [
            *whole,
            "--strict-names",  # each pattern must match something, or a typo would leave its table out for ever
            *(f"--schema={pattern}" for pattern in plan.schemas),
            *(f"--table={pattern}" for pattern in plan.include_tables),
            *(f"--exclude-table={pattern}" for pattern in plan.exclude_tables),
        ]

    def is_filtered(self, dump_arguments: Sequence[str]) -> bool:
        return any(argument.startswith(_FILTERS) for argument in dump_arguments)

    def dump(self, login: Login, major: int, snapshot: str, plan: BackupPlan | None) -> Command:
        argv = (self._program(major, "pg_dump"), "--no-password", *self.dump_arguments(plan), f"--snapshot={snapshot}")
        return Command(argv, _environment(login))

    def dump_schema(self, login: Login, major: int, snapshot: str, plan: BackupPlan) -> Command:
        argv = (
            self._program(major, "pg_dump"),
            "--no-password",
            *self.dump_arguments(plan),
            f"--snapshot={snapshot}",
            "--schema-only",
        )
        return Command(argv, _environment(login))

    def list_contents(self, major: int) -> Command:
        return Command((self._program(major, "pg_restore"), "--list"), _locale())

    def contents(self, listing: str) -> Contents:
        dumped_by = _DUMPED_BY.search(listing)
        return Contents(
            tables=_ids(listing, _TABLE),
            sequences=_ids(listing, _SEQUENCE),
            extensions=_ids(listing, _EXTENSION),
            tool_version=dumped_by[1] if dumped_by else "",
        )

    def loading(
        self,
        login: Login,
        client: int,
        server: int,
        *,
        lock_timeout_seconds: int,
        application: str,
        apart: bool = False,
    ) -> PostgreSQLLoading:
        return PostgreSQLLoading(
            self._programs / str(client) / "bin",
            _environment(login),
            login.endpoint,
            majors=(client, server),
            lock_timeout_seconds=lock_timeout_seconds,
            application=application,
            apart=apart,
        )

    def load_by_hand(self, database: str) -> str:
        # As a bare name, a database called "host=elsewhere" would be read as where to connect to.
        name = f"--dbname=dbname={quoted(database)}"
        return shlex.join(["pg_restore", "--single-transaction", "--exit-on-error", "--clean", "--if-exists", name])

    def failure(self, said: str, login: Login, otherwise: type[EngineFailed] | None) -> DataGuardianError:
        return postgresql_errors.failure(said, login, otherwise)

    def _installed(self) -> list[int]:
        return sorted(int(path.parent.parent.name) for path in self._programs.glob("[0-9]*/bin/pg_dump"))

    def _program(self, major: int, name: str) -> str:
        return str(self._programs / str(major) / "bin" / name)


def _loads_into(client: int, server_major: int) -> None:
    """Refuse a client whose dumps the server itself could not load again.

    From 17 on pg_restore begins with SET transaction_timeout (_doSetFixedOutputState in pg_backup_archiver.c), which
    older servers do not know; in one transaction that is the end of the restore.
    """
    if client >= TRANSACTION_TIMEOUT > server_major:
        raise ConfigInvalid(
            f"What client {client} dumps, PostgreSQL {server_major} cannot load; this image has no older client.",
            remedy="Use an image with the client of the server's major: build it with --build-arg PGDG=1.",
        )


def _ids(listing: str, line: re.Pattern[str]) -> list[int]:
    return sorted({int(oid) for oid in line.findall(listing)})


def _locale() -> dict[str, str]:
    # Messages are parsed, so they must be in English; LANG keeps names in UTF-8.
    return {"PATH": os.defpath, "LANG": "C.UTF-8", "LC_MESSAGES": "C"}


def _environment(login: Login) -> dict[str, str]:
    endpoint = login.endpoint
    authority = {"PGSSLROOTCERT": endpoint.ca_file} if endpoint.ca_file else {}
    return {
        **_locale(),
        **authority,
        "PGHOST": endpoint.host,
        "PGPORT": str(endpoint.port),
        "PGDATABASE": endpoint.database,
        "PGUSER": login.username,
        **({"PGPASSFILE": login.password_file} if login.password_file else {}),
        "PGSSLMODE": endpoint.tls_mode,
        "PGCONNECT_TIMEOUT": str(CONNECT_SECONDS),
        "PGAPPNAME": "dataguardian",
    }
