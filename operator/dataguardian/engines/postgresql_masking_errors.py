"""What an error of a masked load means, told without a value of any row.

A message of PostgreSQL may hold a value where it is about one, and its detail holds the whole row.
"""

from __future__ import annotations

import re

from ..domain.masking import RULES
from ..errors import DataGuardianError, MaskingFailed, MaskingInvalid
from .command import Login

_STATE = re.compile(r"(?:ERROR|FATAL|PANIC): +([0-9A-Z]{5}): ")
_MESSAGE = re.compile(r"ERROR: +(?:[0-9A-Z]{5}: )?(.*)")
_RULE = re.compile(r"ERROR: .*?masking rule of (.*)")
_TABLE = re.compile(r"^TABLE NAME: +(.+)|(?:^|CONTEXT: +)COPY (.+?), line \d", re.MULTILINE)
_MASKING = re.compile(r"function pg_temp(_\d+)?\.dg_masking")
# Programs that tell no code, and what has none of its own. These messages name constraints, and no values.
_CONSTRAINT = re.compile(
    r"ERROR: +(?:[0-9A-Z]{5}: )?(could not create (unique index|exclusion constraint)|moving row to another partition"
    r"|[^:]* violates [a-z-]+( key)? constraint|.* (is violated by some row|contains null values)$)",
    re.MULTILINE,
)
# Classes of codes that are about values or rules, and those that are about the server, whatever it was doing.
_VALUES = ("22", "P0")
_SERVER = ("08", "25", "40", "53", "55", "57", "58", "XX")


def masking_failure(said: str, login: Login) -> DataGuardianError | None:
    """The error behind what a program printed during a masked load; None when neither a rule nor a row caused it."""
    found = _STATE.search(said)
    state = found[1] if found else ""
    if rule := _RULE.search(said):
        return _refused_rule(rule[1], login)
    if state.startswith("23") or _CONSTRAINT.search(said):
        return _broken_constraint(said, login)
    if state.startswith(_SERVER):
        return None
    in_rule = _MASKING.search(said)
    if in_rule and state.startswith("42"):
        return _refused_rule(_message(said), login)
    return _failed_row(said, state, login) if in_rule or state.startswith(_VALUES) else None


def _refused_rule(message: str, login: Login) -> DataGuardianError:
    return MaskingInvalid(
        f"The server of datasource {login.endpoint.datasource!r} refuses a masking rule: {message}.",
        remedy=f"Correct it in {RULES}; what an expression names needs its schema, but for what is in pg_catalog.",
    )


def _broken_constraint(said: str, login: Login) -> DataGuardianError:
    return MaskingFailed(
        f"Masked rows break a constraint{_of_table(said)} in datasource {login.endpoint.datasource!r}: "
        f"{_message(said)}.",
        remedy=f"Mask the columns of the constraint in another way in {RULES}.",
    )


def _failed_row(said: str, state: str, login: Login) -> DataGuardianError:
    code = f" (SQLSTATE {state})" if state else ""
    return MaskingFailed(
        f"A row{_of_table(said)} could not be masked or loaded in datasource {login.endpoint.datasource!r}{code}; "
        "the server's message may hold a value of it, and is left out.",
        remedy=f"Let each expression in {RULES} take every value of its column, or mask the column in another way.",
    )


def _of_table(said: str) -> str:
    found = _TABLE.search(said)
    return f" of table {found[1] or found[2]}" if found else ""


def _message(said: str) -> str:
    found = _MESSAGE.search(said)
    return found[1] if found else ""
