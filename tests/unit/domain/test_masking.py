"""What speaks against masking rules, from the source's columns alone."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguardian.domain.masking import Column, applied, digest, refusals
from dataguardian.domain.plan import MaskingPlan, MaskingRule
from dataguardian.resources.masking import MaskedColumn, Masking
from dataguardian.resources.masking import MaskingRule as WrittenRule

MAIL = Column(
    schema="public",
    table="people",
    column="mail",
    type="text",
    family="text",
    needs_decision=True,
    nullable=True,
    generated=False,
    relation="table",
)


def column(name: str = "people.mail", **changes: Any) -> Column:
    """The column with these differences."""
    table, _, own = name.partition(".")
    return msgspec.structs.replace(MAIL, table=table, column=own, **changes)


def rule(name: str = "people.mail", how: Any = "hash", **given: str) -> MaskingRule:
    """A rule for a column."""
    table, _, own = name.partition(".")
    return MaskingRule(schema="public", table=table, column=own, how=how, **given)


def told(*rules: MaskingRule, columns: list[Column], large_objects: int = 0, **plan: Any) -> list[str]:
    """The codes and texts of all refusals."""
    found = refusals(MaskingPlan(digest="", rules=list(rules), **plan), columns, large_objects)
    return [f"{refusal.code}: {refusal}" for refusal in found]


PART = column("people_2024.mail", ancestors=[("public", "people")])


def test_nothing_speaks_against_a_rule_that_fits() -> None:
    assert told(rule(), columns=[MAIL]) == []


@pytest.mark.parametrize(
    ("masked", "found", "said"),
    [
        (rule("people.male"), MAIL, "no column public.people.male, which spec.masking.rules[0] names"),
        (rule(), column(relation="view"), "a view, which has no rows"),
        (rule(), column(relation="materialized view"), "a materialized view"),
        (rule(), column(relation="foreign table"), "a foreign table"),
        (rule(), column(generated=True), "generated from other columns"),
        (rule(how="null"), column(nullable=False), "must not be null"),
        (rule(), column(type="jsonb", family="other"), "its type is jsonb"),
        (rule(how="email"), column(type="integer", family="integer"), "its type is integer"),
        (rule(how="digits"), column(type="uuid", family="uuid"), "its type is uuid"),
        (rule(how="sql", expression="mail; --"), MAIL, "semicolon"),
    ],
)
def test_a_rule_that_does_not_go_with_its_column_is_named(masked: MaskingRule, found: Column, said: str) -> None:
    (refusal,) = told(masked, columns=[found])

    assert refusal.startswith("masking-invalid")
    assert said in refusal
    assert "spec.masking.rules[0]" in refusal


@pytest.mark.parametrize("how", ["null", "fixed", "shuffle"])
def test_a_column_of_any_type_can_lose_its_values(how: str) -> None:
    given = {"value": "x"} if how == "fixed" else {}
    assert told(rule(how=how, **given), columns=[column(type="jsonb", family="other")]) == []


def test_a_rule_means_partitions_and_children_and_must_fit_them_too() -> None:
    whole = column(relation="partitioned table")
    assert [each.column.table for each in applied([rule()], [whole, PART, column("others.mail")])] == ["people_2024"]
    assert told(rule(how="null"), columns=[whole, PART]) == []
    (refusal,) = told(rule(how="null"), columns=[whole, msgspec.structs.replace(PART, nullable=False)])
    assert "public.people_2024.mail" in refusal


def test_a_column_that_two_rules_mean_is_refused() -> None:
    (refusal,) = told(rule(), rule("people_2024.mail", "null"), columns=[MAIL, PART])

    assert "public.people_2024.mail and public.people.mail" in refusal


def test_with_require_all_each_column_that_can_hold_anything_needs_a_rule_or_a_place_on_the_list() -> None:
    columns = [
        MAIL,
        PART,
        column("people.name"),
        column("people.age", needs_decision=False),
        column("people.upper", generated=True),
        column("seen.mail", relation="view"),
        *(column(f"notes.note_{number}") for number in range(12)),
    ]

    assert told(rule(), columns=columns) == []
    (refusal,) = told(rule(), columns=columns, require_all=True, allow=[("public", "notes", "note_0")])
    assert refusal.startswith("columns-unclassified: Nobody has decided on 12 columns")
    assert "public.people.name, public.notes.note_1, " in refusal
    assert "note_9 and 2 more" in refusal
    assert "mail" not in refusal


def test_an_undecided_column_is_named_by_the_table_at_the_top_and_allowed_there() -> None:
    columns = [column(relation="partitioned table"), PART, column("p3.mail", ancestors=[("public", "people")])]

    (refusal,) = told(columns=columns, require_all=True)
    assert "1 columns of the source: public.people.mail." in refusal
    assert told(columns=columns, require_all=True, allow=[("public", "people", "mail")]) == []


def test_large_objects_are_refused_with_require_all_unless_they_are_allowed() -> None:
    assert told(columns=[], large_objects=3) == []
    assert "3 large objects" in told(columns=[], large_objects=3, require_all=True)[0]
    assert told(columns=[], large_objects=3, require_all=True, allow_large_objects=True) == []


NAMES = st.text("ab", min_size=1, max_size=3)
RULES = st.lists(
    st.builds(WrittenRule, table=NAMES, column=NAMES, how=st.sampled_from(["null", "hash"])),
    unique_by=lambda rule: (rule.table, rule.column),
)
ALLOWED = st.lists(st.builds(MaskedColumn, table=NAMES, column=NAMES), unique=True)


@given(RULES, ALLOWED, st.randoms(use_true_random=False))
def test_the_digest_depends_on_what_is_masked_and_not_on_its_order(
    rules: list[WrittenRule], allowed: list[MaskedColumn], chance: random.Random
) -> None:
    shuffled = chance.sample(rules, len(rules)), chance.sample(allowed, len(allowed))
    masking = Masking(rules=rules, allow=allowed)

    assert digest(masking) == digest(Masking(rules=shuffled[0], allow=shuffled[1]))
    assert digest(masking) != digest(Masking(rules=rules, allow=allowed, require_all=True))
    assert digest(masking) != digest(Masking(rules=[*rules, WrittenRule(table="c", column="c")], allow=allowed))
    assert len(digest(masking)) == 71
