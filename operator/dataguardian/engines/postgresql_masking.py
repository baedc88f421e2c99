"""What is run to mask, for these rules and this key; the statements themselves are in ``postgresql_triggers``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from ..domain.masking import Family, Masked
from ..domain.naming import MASKED_MARK
from ..domain.plan import MaskingRule
from . import postgresql_columns
from .masking import Columns
from .postgresql_literals import literal
from .postgresql_masks import FUNCTIONS, padded
from .postgresql_triggers import BRING, MAKE, MARK_MASKED, REMOVE, SHUFFLE

# To be formatted with the column, the value or expression, and the digits of a numeric column.
_EXPRESSIONS: Mapping[str, str] = {
    "null": "NULL",
    "fixed": "%2$L",
    "sql": "(%2$s)",
    "email": "pg_temp.dg_masking_email(row_.%1$I::pg_catalog.text)",
    "name": "pg_temp.dg_masking_name(row_.%1$I::pg_catalog.text)",
    "digits": "pg_temp.dg_masking_digits(row_.%1$I::pg_catalog.text)",
}
_HASHES: Mapping[Family, str] = {
    "text": "pg_temp.dg_masking_text(row_.%1$I::pg_catalog.text)",
    "citext": "pg_temp.dg_masking_text(row_.%1$I::pg_catalog.text)",
    "uuid": "pg_temp.dg_masking_uuid(row_.%1$I::pg_catalog.text)",
    "bytea": "pg_temp.dg_masking_bytea(row_.%1$I::pg_catalog.bytea)",
    "integer": 'pg_temp.dg_masking_numeric(row_.%1$I::pg_catalog."numeric", 19)',
    "numeric": 'pg_temp.dg_masking_numeric(row_.%1$I::pg_catalog."numeric", %3$s)',
}
_TEXT = "row_.%1$I::pg_catalog.text"
# What citext compares by: two values that are equal to it have one hash.
_FOLDED = f'pg_catalog.lower({_TEXT} COLLATE pg_catalog."default")'
_MOST_DIGITS = 1000

Item = TypeVar("Item")


class PostgreSQLMasking:
    """The part of the engine that masks."""

    def describe_columns(self) -> str:
        return postgresql_columns.COLUMNS

    def columns(self, lines: Sequence[str]) -> Columns:
        return postgresql_columns.columns(lines)

    def mask_before_rows(self, masked: Sequence[Masked], shuffled: Sequence[MaskingRule], key: bytes) -> bytes:
        rules = {
            "masked": [
                {"schema": schema, "table": table, "columns": [_expression(each) for each in found]}
                for (schema, table), found in _by_table([((m.column.schema, m.column.table), m) for m in masked])
            ],
            "shuffled": [
                {"schema": schema, "table": table, "columns": names}
                for (schema, table), names in _by_table([((r.schema, r.table), r.column) for r in shuffled])
            ],
        }
        # In ASCII, as the client's encoding is by now that of the dump; COPY reads a backslash as two.
        text = json.dumps(rules).replace("\\", "\\\\")
        row = "\t".join((text, *(f"\\\\x{block.hex()}" for block in padded(key))))
        return (BRING.format(row=row) + FUNCTIONS + MAKE).encode()

    def mask_after_rows(self) -> bytes:
        return (SHUFFLE + REMOVE).encode()

    def mark_masked(self, digest: str | None, *, database: str | None = None) -> str:
        name = literal(database) if database else "pg_catalog.current_database()"
        new = literal(f"{MASKED_MARK} {digest}") if digest else "NULL"
        return MARK_MASKED.format(old=literal(f"\n?{MASKED_MARK} sha256:[0-9a-f]*"), new=new, database=name)


def _expression(masked: Masked) -> dict[str, object]:
    """How a column's masked value is made; see ``postgresql_triggers.MAKE``."""
    column, rule = masked.column, masked.rule
    digits = _MOST_DIGITS if column.digits is None else max(column.digits, 0)
    expression = _HASHES[column.family] if rule.how == "hash" else _EXPRESSIONS[rule.how]
    if column.family == "citext" and rule.how != "digits":
        expression = expression.replace(_TEXT, _FOLDED)
    return {
        "column": column.column,
        "expression": expression,
        "value": rule.value if rule.how == "fixed" else rule.expression,
        "digits": digits,
        "of_row": rule.how == "sql",
        "constant": rule.how == "fixed",
    }


def _by_table(items: Iterable[tuple[tuple[str, str], Item]]) -> list[tuple[tuple[str, str], list[Item]]]:
    found: dict[tuple[str, str], list[Item]] = {}
    for table, item in items:
        found.setdefault(table, []).append(item)
    return list(found.items())
