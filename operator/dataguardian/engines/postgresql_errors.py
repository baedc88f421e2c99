"""What PostgreSQL's programs mean by what they print."""

from __future__ import annotations

import re
from collections.abc import Callable

from ..errors import (
    DatabaseUnavailable,
    DataGuardianError,
    EngineFailed,
    LoadFailed,
    MaskingFailed,
    NotFound,
    PermissionRefused,
    SpecInvalid,
)
from .command import Login
from .postgresql_masking_errors import masking_failure, target_locked

LINES_LIMIT = 3
LINE_LIMIT = 300  # characters
DETAIL_LIMIT = 160  # of a line that explains an error; a longer one is left out

_Make = Callable[[str, Login], DataGuardianError]


def _wrong_login(said: str, login: Login) -> DataGuardianError:
    return PermissionRefused(
        f"The server refuses the login to datasource {login.endpoint.datasource!r}: {said}",
        remedy="Correct username and password in the Secret of the Datasource, or the server's pg_hba.conf.",
    )


def _missing_right(said: str, login: Login) -> DataGuardianError:
    return PermissionRefused(
        f"The user of datasource {login.endpoint.datasource!r} lacks a right: {said}",
        remedy="Grant it the right that is named; for backups membership in pg_read_all_data is enough.",
    )


def _no_database(said: str, login: Login) -> DataGuardianError:
    return NotFound(
        f"Database {login.endpoint.database!r} of datasource {login.endpoint.datasource!r} does not exist.",
        remedy="Create it, or correct spec.database.",
    )


def _wrong_tls(said: str, login: Login) -> DataGuardianError:
    return SpecInvalid(
        f"No secure connection to datasource {login.endpoint.datasource!r} comes about: {said}",
        remedy="Correct spec.tls, or the certificate of the server.",
    )


def _unavailable(said: str, login: Login) -> DataGuardianError:
    return DatabaseUnavailable(
        f"The server of datasource {login.endpoint.datasource!r} does not serve: {said}",
        remedy="Check that it runs, spec.host and spec.port, and that the runner's pod can reach it.",
    )


def _locked(said: str, login: Login) -> DataGuardianError:
    return DatabaseUnavailable(
        f"A table of datasource {login.endpoint.datasource!r} stayed locked by another session: {said}",
        remedy="End the session that holds the lock, or run when no migration runs.",
    )


def _target_locked(said: str, login: Login) -> DataGuardianError:
    return target_locked(login, f": {said}")


# In this order; the first that matches tells what happened.
_LOGIN: tuple[tuple[str, _Make], ...] = (
    (r"password authentication failed|no password supplied|no pg_hba.conf entry|FATAL: +role .* does not exist"
     r"|authentication failed|is not permitted to log in|permission denied for database", _wrong_login),
    (r"FATAL: +database .* does not exist", _no_database),
    (r"SSL SYSCALL error|unexpected eof|Connection reset", _unavailable),
    (r"SSL|certificate", _wrong_tls),
    (r"could not translate host name|connection to server .* failed|timeout expired|FATAL: ", _unavailable),
)  # fmt: skip
_WORK: tuple[tuple[str, _Make], ...] = (
    (r"permission denied|must be (owner|superuser|a superuser|(a )?member of)|must be able to SET ROLE"
     r"|query would be affected by row-level security", _missing_right),
    (r"canceling statement due to lock timeout", _locked),
)  # fmt: skip
_LOAD: tuple[tuple[str, _Make], ...] = ((r"canceling statement due to lock timeout|deadlock detected", _target_locked),)
# A login that fails, not a connection that is lost afterwards.
_NO_LOGIN = r"connection to server (at|on) "
_PROGRAM = r"^(psql|pg_dump|pg_restore)(:<stdin>:\d+)?: ((error|detail|hint): )?"


def failure(said: str, login: Login, otherwise: type[EngineFailed] | None) -> DataGuardianError:
    """The error behind what a program printed; see ``Engine.failure``."""
    if otherwise is MaskingFailed:
        return masking_failure(said, login)
    short = essence(said)
    # A program that was at work already has logged in: a lost connection is then no failed login.
    rules = _WORK if otherwise and not re.search(_NO_LOGIN, said) else (*_LOGIN, *_WORK)
    if otherwise is LoadFailed:
        rules = (*_LOAD, *rules)
    for pattern, make in rules:
        if re.search(pattern, said):
            return make(short, login)
    if otherwise is None:
        return _unavailable(short or "the client ended without a word", login)
    return otherwise(
        f"The tool of datasource {login.endpoint.datasource!r} failed: {short or 'it was killed'}",
        remedy="See the run's log; correct what the message names, then run again.",
    )


def essence(said: str) -> str:
    """The lines that tell what went wrong, without program names and statements, at most three."""
    lines = [line.strip() for line in said.splitlines()]
    telling = [line for line in lines if _tells(line)]
    kept = (telling or [line for line in lines if line])[:LINES_LIMIT]
    return " ".join(re.sub(_PROGRAM, "", line)[:LINE_LIMIT] for line in kept)


def _tells(line: str) -> bool:
    explains = re.match(r"(DETAIL|HINT): |pg_\w+: (detail|hint): ", line) and len(line) <= DETAIL_LIMIT
    return bool(explains or re.search(r"error:|ERROR:|FATAL:|connection to server|failed", line))
