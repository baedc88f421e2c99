"""Masking rules, judged without a database."""

from __future__ import annotations

import hashlib

import msgspec

from ..resources.masking import MaskedColumn, Masking


def digest(masking: Masking) -> str:
    """``sha256:…`` of what is masked and what is allowed, whatever the order; not of the key."""
    rules = sorted((*_path(rule), rule.how, rule.value, rule.expression) for rule in masking.rules)
    allowed = sorted(_path(column) for column in masking.allow)
    whole = msgspec.json.encode([rules, masking.require_all, allowed, masking.allow_large_objects])
    return f"sha256:{hashlib.sha256(whole).hexdigest()}"


def _path(column: MaskedColumn) -> tuple[str, str, str]:
    return column.table_schema, column.table, column.column
