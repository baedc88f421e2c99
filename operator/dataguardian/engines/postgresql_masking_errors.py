"""What an error of a masked load means, told without a value of any row.

A message of PostgreSQL may hold a value, whatever it is about: functions raise what they like, with any code. So only
codes, names of tables and constraints, and what this module knows word by word are told; the one message that is told
as it is belongs to a rule that was refused before any row came. Words of the server are in any language.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from ..domain.masking import RULES
from ..errors import DataGuardianError, LoadFailed, MaskingFailed, MaskingInvalid, PermissionRefused, TargetLocked
from .command import Login

# By place: the severity is in the server's language. Codes of classes 00 to 02 are those of notices.
_CODED = re.compile(r"^(?:psql:<stdin>:\d+: )?[^\W\d]+: +(?!0[012])([0-9A-Z]{5}): (.*)", re.MULTILINE)
_RULE = "masking rule of "
_IN_RULE = re.compile(r"pg_temp(_\d+)?\.dg_masking")
_FIELD = re.compile(r"^(TABLE|CONSTRAINT) NAME: +(.+)", re.MULTILINE)
_COPIED = re.compile(r"(?:^|^\w+: +)COPY (\S+), [^\W\d]+ \d", re.MULTILINE)
# Of programs that tell no code: all that is told of these is what matches, which is names and words without values.
_PROGRAM = r"^(?:(?:psql|pg_restore)[^\n ]*: (?:error: )?)?"
_STATEMENT = _PROGRAM + "(?:could not execute query: )?ERROR: +"
_CONSTRAINT = re.compile(
    _STATEMENT + "("
    r'could not create (?:unique index|exclusion constraint) "[^"\n]*"'
    r'|insert or update on table "[^"\n]*" violates foreign key constraint "[^"\n]*"'
    r'|check constraint "[^"\n]*" of relation "[^"\n]*" is violated by some row'
    r'|column "[^"\n]*" of relation "[^"\n]*" contains null values)$',
    re.MULTILINE,
)
_LOCKED = re.compile(
    _STATEMENT + "(canceling statement due to lock timeout|deadlock detected)$",
    re.MULTILINE,
)
_REFUSED = re.compile(_STATEMENT + "(permission denied|must be owner) ", re.MULTILINE)
_LOST = re.compile(
    _PROGRAM + r"(connection to server was lost|server closed the connection unexpectedly"
    r"|it was killed by signal \d+|connection to server (?:at|on) .*)",
    re.MULTILINE,
)
# Classes of codes that are about the server, whatever it was doing.
_SERVER = {
    "08": "the connection was lost",
    "25": "the server ended the transaction",
    "40": "the server rolled the transaction back",
    "53": "the server lacks disk, memory or connections",
    "54": "a limit of the server is exceeded",
    "55": "something is in a state that does not allow it",
    "57": "it was cancelled, or the server shuts down",
    "58": "the server's system failed",
    "XX": "the server met an internal error",
}


class _Said(NamedTuple):
    """What is known of an error; no part of it has a value of a row, but for ``message``."""

    state: str  # SQLSTATE; empty when the program has told none
    message: str  # of the server
    words: str  # " (SQLSTATE …)", or what is known word by word
    place: str  # " of table …"
    constraint: str
    in_rule: bool


def masking_failure(said: str, login: Login) -> DataGuardianError:
    """The error behind what a program printed during a masked load."""
    found = _said(said)
    for fits, make in _KINDS:
        if fits(found, said):
            return make(found, login)
    return _failed_load(found, login)


def _said(said: str) -> _Said:
    coded, lost = _CODED.search(said), _LOST.search(said)
    fields = dict(_FIELD.findall(said))
    copied = _COPIED.search(said)
    table = fields.get("TABLE") or (copied[1] if copied else "")
    known = "" if coded else next((found[1] for rule in (_CONSTRAINT, _LOCKED) if (found := rule.search(said))), "")
    words = f"SQLSTATE {coded[1]}" if coded else known or (lost[1] if lost else "")
    return _Said(
        state=coded[1] if coded else "",
        message=coded[2] if coded else "",
        words=f" ({words})" if words else "",
        place=f" of table {table}" if table else "",
        constraint=f" {fields['CONSTRAINT']}" if "CONSTRAINT" in fields else "",
        in_rule=bool(_IN_RULE.search(said)),
    )


def _refused_rule(found: _Said, login: Login) -> DataGuardianError:
    return MaskingInvalid(
        f"The server of datasource {login.endpoint.datasource!r} refuses a masking rule: "
        f"{found.message.removeprefix(_RULE)}.",
        remedy=f"Correct it in {RULES}; what an expression names needs its schema, but for what is in pg_catalog.",
    )


def _broken_constraint(found: _Said, login: Login) -> DataGuardianError:
    return MaskingFailed(
        f"Masked rows break a constraint{found.constraint}{found.place} in datasource "
        f"{login.endpoint.datasource!r}{found.words}.",
        remedy=f"Mask the columns of the constraint in another way in {RULES}.",
    )


def _failed_row(found: _Said, login: Login) -> DataGuardianError:
    return MaskingFailed(
        f"A row{found.place} could not be masked or loaded in datasource {login.endpoint.datasource!r}{found.words}; "
        "the server's message may hold a value of it, and is left out.",
        remedy=f"Let each expression in {RULES} take every value of its column, or mask the column in another way.",
    )


def _locked(found: _Said, login: Login) -> DataGuardianError:
    return target_locked(login, f"{found.words}.")


def target_locked(login: Login, told: str) -> TargetLocked:
    """The error of a load, masked or not, that waited for others' locks; ``told`` is the end of its sentence."""
    return TargetLocked(
        f"What is replaced in datasource {login.endpoint.datasource!r} stayed locked by other sessions{told}",
        remedy="End these sessions, or set a longer spec.lockTimeoutSeconds; then run it again.",
    )


def _missing_right(found: _Said, login: Login) -> DataGuardianError:
    return PermissionRefused(
        f"The user of datasource {login.endpoint.datasource!r} lacks a right{found.words}.",
        remedy="Masking needs TEMPORARY on the database, and the load the rights to make all that the source has.",
    )


def _failed_load(found: _Said, login: Login) -> DataGuardianError:
    meaning = _SERVER.get(found.state[:2], "the message may hold a value of a row, and is left out")
    return LoadFailed(
        f"The masked load into datasource {login.endpoint.datasource!r} failed{found.words}: {meaning}.",
        remedy="Look up the code, and what the server was doing; correct that, then run again.",
    )


_Fits = Callable[[_Said, str], object]
_KINDS: tuple[tuple[_Fits, Callable[[_Said, Login], DataGuardianError]], ...] = (
    (lambda found, said: found.message.startswith(_RULE), _refused_rule),
    (lambda found, said: found.state.startswith("23") or (not found.state and _CONSTRAINT.search(said)),
     _broken_constraint),
    (lambda found, said: found.state in ("55P03", "40P01") or (not found.state and _LOCKED.search(said)), _locked),
    (lambda found, said: found.state[:2] in _SERVER, _failed_load),
    (lambda found, said: found.in_rule or found.state[:2] in ("22", "P0"), _failed_row),
    (lambda found, said: found.state == "42501" or (not found.state and _REFUSED.search(said)), _missing_right),
)  # fmt: skip
