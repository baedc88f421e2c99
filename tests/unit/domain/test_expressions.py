"""One SQL expression and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguardian.domain.expressions import check_expression

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
QUOTED = st.one_of(
    TEXTS.map(lambda text: "'" + text.replace("'", "''") + "'"),
    TEXTS.map(lambda text: '"' + text.replace('"', '""') + '"'),
    TEXTS.map(lambda text: "E'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"),
    TEXTS.map(lambda text: f"$q${text.replace('$', '')}$q$"),
)
PIECES = st.one_of(QUOTED, st.sampled_from(["mail", "lower(mail)", "a$1", "1.5", "ARRAY[1]", "(SELECT 1)", "né"]))
EXPRESSIONS = st.lists(PIECES, min_size=1, max_size=5).map(" || ".join)
ALIENS = [";", "--", "/*", "\\", "'", '"', "$$", "$q$", "(", ")", "\0", "\\gexec", "; DROP TABLE x", "E'\\'"]


@given(EXPRESSIONS)
def test_whatever_stands_in_quotes_is_an_expression(expression: str) -> None:
    assert check_expression(expression) is None


@given(EXPRESSIONS, st.sampled_from(ALIENS), EXPRESSIONS)
def test_what_ends_or_opens_something_outside_of_quotes_is_refused(before: str, alien: str, after: str) -> None:
    assert check_expression(f"{before} {alien} ") is not None or check_expression(f"{before} {alien} {after}")


@given(TEXTS)
def test_what_passes_has_no_semicolon_and_no_backslash_when_its_quotes_are_empty(text: str) -> None:
    if check_expression(text) is None and not set(text) & set("'\"$"):
        assert not set(text) & set(";\\\0")
        assert "--" not in text
        assert "/*" not in text


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("1); DROP TABLE people; SELECT (1", "does not open"),
        ("lower(mail", "does not close"),
        ("mail; DELETE FROM x", "semicolon"),
        ("mail -- all of it", "comment"),
        ("mail /* all of it */", "comment"),
        ("mail+--x", "comment"),
        ("'it''s", "quote"),
        ("$q$ $Q$", "quote"),
        ("E'\\'", "quote"),
        ("E'a'\n'\\'' ; DROP TABLE x; --'", "semicolon"),  # the second part is an escape string as well
        ("E'a'\n\xa0'b\\' ; DROP TABLE x; --'", "semicolon"),  # and this is none: there is a name between
        ("→$$ ; DROP TABLE x; $$", "semicolon"),  # a name
        ("mail \\! id", "backslash"),
        ("'\\' || '\\'\\", "backslash"),
        ("'a\0b'", "NUL"),
    ],
)
def test_an_injection_is_refused_with_the_reason(expression: str, said: str) -> None:
    assert said in (check_expression(expression) or "")


@pytest.mark.parametrize(
    "expression",
    ["E'a'\n  '\\''", "nameE'\\'", "a$b$c", "'\\'", "U&'\\0041'", "(data->>'a')::int - -1", "$$;--\\$$", '"a;""b"'],
)
def test_what_only_looks_like_one_is_not(expression: str) -> None:
    assert check_expression(expression) is None
