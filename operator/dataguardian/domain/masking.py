"""What speaks against masking rules before a byte moves: rules and the source's columns → refusals."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from ..errors import ColumnsUnclassified, DataGuardianError, MaskingInvalid
from .expressions import check_expression
from .plan import MaskingPlan, MaskingRule

if TYPE_CHECKING:  # the runner, which has no use for it, would load pydantic
    from ..resources.masking import MaskedColumn, Masking

NAMED = 10  # columns that are named one by one
RULES = "spec.masking.rules"
# What a hash can be made into; of a column's own type, or the one below its domain.
Family = Literal["text", "citext", "uuid", "integer", "numeric", "bytea", "other"]
Relation = Literal["table", "partitioned table", "view", "materialized view", "foreign table"]
# The types that can be made from a hash in these ways; the other ways need no hash, and take each type.
FAMILIES: Mapping[str, tuple[Family, ...]] = {
    "hash": ("text", "citext", "uuid", "integer", "numeric", "bytea"),
    "email": ("text", "citext"),
    "name": ("text", "citext"),
    "digits": ("text", "citext"),
}


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A column of the source."""

    schema: str
    table: str
    column: str
    type: str  # as the server writes it
    family: Family
    digits: int | None = None  # before the point, of a numeric type that limits them
    needs_decision: bool  # whether its type can hold anything, and no more than numbers, times and the like
    nullable: bool
    generated: bool
    relation: Relation
    ancestors: list[tuple[str, str]] = []  # schema and name of all tables that it is a partition or a child of

    @property
    def name(self) -> str:
        """For people."""
        return _name(self.schema, self.table, self.column)


class Masked(msgspec.Struct, frozen=True, kw_only=True):
    """A column of a table that gets rows, and the rule for it."""

    column: Column
    rule: MaskingRule


def digest(masking: Masking) -> str:
    """``sha256:…`` of what is masked and what is allowed, whatever the order; not of the key."""
    rules = sorted((*_path(rule), rule.how, rule.value, rule.expression) for rule in masking.rules)
    allowed = sorted(_path(column) for column in masking.allow)
    whole = msgspec.json.encode([rules, masking.require_all, allowed, masking.allow_large_objects])
    return f"sha256:{hashlib.sha256(whole).hexdigest()}"


def applied(rules: Iterable[MaskingRule], columns: Iterable[Column]) -> list[Masked]:
    """What each rule means for the tables that get rows: its own, its partitions and its children."""
    found = {(rule.schema, rule.table, rule.column): rule for rule in rules}
    return [
        Masked(column=column, rule=found[path])
        for column in columns
        if column.relation == "table"
        for path in _paths(column)
        if path in found
    ]


def needs_key(rules: Iterable[MaskingRule]) -> bool:
    """Whether anything is made from a hash."""
    return any(rule.how in FAMILIES for rule in rules)


def refusals(plan: MaskingPlan, columns: Sequence[Column], large_objects: int) -> list[DataGuardianError]:
    """Every reason why the source must not be copied with these rules."""
    known = {(column.schema, column.table, column.column): column for column in columns}
    wrong = [
        error
        for number, rule in enumerate(plan.rules)
        if (error := _wrong(number, rule, known.get((rule.schema, rule.table, rule.column))))
    ]
    masked = applied(plan.rules, columns)
    return [*wrong, *_unfit_below(masked), *_masked_twice(masked), *_undecided(plan, columns, large_objects)]


def _wrong(number: int, rule: MaskingRule, column: Column | None) -> MaskingInvalid | None:
    name = _name(rule.schema, rule.table, rule.column)
    if column is None:
        return _invalid(f"The source has no column {name}, which {RULES}[{number}] names.", number)
    if column.relation not in ("table", "partitioned table"):
        return _invalid(f"{name} is a column of a {column.relation}, which has no rows that are copied.", number)
    reason = _unfit(rule, column)
    return _invalid(f"{name} cannot be masked by how {rule.how}: {reason}.", number) if reason else None


def _unfit(rule: MaskingRule, column: Column) -> str | None:
    """Why the rule does not go with the column."""
    families = FAMILIES.get(rule.how)
    if column.generated:
        return "it is generated from other columns; mask these"
    if families is not None and column.family not in families:
        return f"its type is {column.type}"
    if rule.how == "null" and not column.nullable:
        return "it must not be null"
    objection = check_expression(rule.expression or "") if rule.how == "sql" else None
    return objection and f"its expression is refused, {objection}"


def _unfit_below(masked: Sequence[Masked]) -> Iterator[MaskingInvalid]:
    """Partitions and children whose column differs from the one that the rule names."""
    for each in masked:
        own = (each.column.schema, each.column.table) == (each.rule.schema, each.rule.table)
        reason = None if own else _unfit(each.rule, each.column)
        if reason:
            yield MaskingInvalid(
                f"{each.column.name} cannot be masked by how {each.rule.how}: {reason}.",
                remedy=f"Correct the rule for {_rule_name(each.rule)} in {RULES}.",
            )


def _masked_twice(masked: Sequence[Masked]) -> Iterator[MaskingInvalid]:
    rules: dict[str, list[str]] = {}
    for each in masked:
        rules.setdefault(each.column.name, []).append(_rule_name(each.rule))
    for name, found in rules.items():
        if len(found) > 1:
            yield MaskingInvalid(
                f"{name} is masked by more than one rule: those for {' and '.join(found)}.",
                remedy=f"Leave one of them in {RULES}; that of a table covers its partitions and children.",
            )


def _undecided(plan: MaskingPlan, columns: Iterable[Column], large_objects: int) -> Iterator[ColumnsUnclassified]:
    if not plan.require_all:
        return
    decided = {*plan.allow, *((rule.schema, rule.table, rule.column) for rule in plan.rules)}
    # Named once by the table at the top, and not by each of its partitions.
    open_ones = {
        _paths(column)[-1]: None
        for column in columns
        if column.relation == "table" and column.needs_decision and not column.generated
        if decided.isdisjoint(_paths(column))
    }
    if open_ones:
        names = [_name(*path) for path in open_ones]
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        yield ColumnsUnclassified(
            f"Nobody has decided on {len(names)} columns of the source: {', '.join(names[:NAMED])}{more}.",
            remedy=f"Give each a rule in {RULES}, or name it in spec.masking.allow.",
        )
    if large_objects and not plan.allow_large_objects:
        yield ColumnsUnclassified(
            f"The source has {large_objects} large objects, which no rule masks.",
            remedy="Remove them, or set spec.masking.allowLargeObjects.",
        )


def _paths(column: Column) -> list[tuple[str, str, str]]:
    """The names by which a rule may mean this column, its own first, that of the table at the top last."""
    tables = [(column.schema, column.table), *column.ancestors]
    return [(schema, table, column.column) for schema, table in tables]


def _path(column: MaskedColumn) -> tuple[str, str, str]:
    return (column.table_schema, column.table, column.column)


def _rule_name(rule: MaskingRule) -> str:
    return _name(rule.schema, rule.table, rule.column)


def _name(*path: str) -> str:
    return ".".join(path)


def _invalid(what: str, number: int) -> MaskingInvalid:
    return MaskingInvalid(what, remedy=f"Correct {RULES}[{number}].")
