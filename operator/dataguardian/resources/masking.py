"""What a sync does to columns of the target, so that nobody reads there what the source holds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.config import JsonDict

from .common import Model, ObjectName, SecretKey, rule, validated

How = Literal["null", "fixed", "hash", "email", "name", "digits", "shuffle", "sql"]
KEYED: tuple[How, ...] = ("hash", "email", "name", "digits")
# PostgreSQL's identifiers end at 63 bytes.
Identifier = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[^\x00-\x1f\x7f]+$")]
BY_COLUMN: JsonDict = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["schema", "table", "column"]}


class MaskedColumn(Model):
    """A column of the source, by name."""

    table_schema: Identifier = Field(default="public", alias="schema", description="Schema of the table.")
    table: Identifier = Field(description="Table; its partitions and children are meant, too.")
    column: Identifier = Field(description="Column.")


class MaskingRule(MaskedColumn):
    """How one column is masked."""

    model_config = validated(
        rule("has(self.value) == (self.how == 'fixed')", "value and how fixed belong together"),
        rule("has(self.expression) == (self.how == 'sql')", "expression and how sql belong together"),
    )

    how: How = Field(
        default="null",
        description="null; fixed (the text in value); hash (a keyed HMAC: the same value gives the same hash, so that "
        "joins still match); email, name, digits (made from that hash: an address of example.invalid, a person's "
        "name, other digits in the same places); shuffle (the column's values among its rows); sql (an expression).",
    )
    value: Annotated[str, Field(max_length=1024)] | None = Field(
        default=None, description="What each row gets, with how fixed: a text that the column's type reads."
    )
    expression: Annotated[str, Field(min_length=1, max_length=1024)] | None = Field(
        default=None, description="One SQL expression over the columns of the row, with how sql."
    )


class MaskingKey(Model):
    """The key of the hashes."""

    name: ObjectName = Field(description="Name of the Secret, in the same namespace.")
    key: SecretKey = Field(default="key", description="Key inside the Secret.")


class Masking(Model):
    """Which columns are masked, and whether each column must be decided on."""

    model_config = validated(
        rule(
            f"has(self.keySecretRef) || !self.rules.exists(r, r.how in {list(KEYED)})",
            f"keySecretRef is needed by the rules with how {', '.join(KEYED)}",
        ),
        rule("self.requireAll || self.rules.size() > 0", "masking needs rules, or requireAll"),
    )

    rules: Annotated[list[MaskingRule], Field(max_length=500, json_schema_extra=BY_COLUMN)] = Field(
        default=[], description="Columns that are masked."
    )
    require_all: bool = Field(
        default=False,
        description="Refuse the sync when a text, json or binary column of the source has neither a rule nor stands on "
        "the allow list: a new column cannot leak by being new.",
    )
    allow: Annotated[list[MaskedColumn], Field(max_length=1000, json_schema_extra=BY_COLUMN)] = Field(
        default=[], description="Columns that are copied as they are, with requireAll."
    )
    allow_large_objects: bool = Field(
        default=False, description="Whether the source may have large objects, which are copied as they are."
    )
    key_secret_ref: MaskingKey | None = Field(
        default=None, description="Secret with the key of the hashes, of 16 bytes at least."
    )
