"""What ``continue`` gives back, and which tokens are refused."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguardian.api.paging import as_token, cut, moment_and_id, place_of
from dataguardian.errors import SpecInvalid

FILTERS = st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3)


@given(st.text(), st.integers(), FILTERS)
def test_a_token_gives_back_its_place(text: str, number: int, filters: dict[str, str]) -> None:
    assert place_of(as_token((text, number), filters), filters, shape=(str, int)) == [text, number]


def test_a_page_that_another_one_follows_gives_the_place_of_its_last_item() -> None:
    places = [(datetime(2026, 11, 24, 2, 0, 0, at, tzinfo=UTC), UUID(int=at)) for at in range(3)]

    page, token = cut(places, 2, {"job": "nightly"}, lambda each: each)

    assert page == places[:2]
    assert moment_and_id(token, {"job": "nightly"}) == places[1]


def test_the_last_page_gives_no_token() -> None:
    assert cut([1, 2], 2, {}, lambda each: (each,)) == ([1, 2], None)


@given(FILTERS, FILTERS)
def test_a_token_of_a_list_with_other_filters_is_refused(these: dict[str, str], those: dict[str, str]) -> None:
    token = as_token(("a",), these)
    if these == those:
        assert place_of(token, those, shape=(str,)) == ["a"]
    else:
        with pytest.raises(SpecInvalid, match="other filters"):
            place_of(token, those, shape=(str,))


@given(st.text())
def test_any_other_text_is_refused_and_breaks_nothing(text: str) -> None:
    with pytest.raises(SpecInvalid, match="continue"):
        place_of(text, {}, shape=(str, str))


def test_a_token_of_a_list_with_another_order_is_refused() -> None:
    with pytest.raises(SpecInvalid, match="no token of this list"):
        place_of(as_token(("a", 1), {}), {}, shape=(str, str))


def test_the_first_page_needs_no_token() -> None:
    assert place_of(None, {}, shape=(str,)) is None


@pytest.mark.parametrize(
    "place",
    [
        ("yesterday", "00000000-0000-0000-0000-000000000001"),
        ("2026-11-24T02:00:00+00:00", "nightly"),
        ("0001-01-01T00:00:00+14:00", "00000000-0000-0000-0000-000000000001"),
    ],
)
def test_a_token_whose_moment_or_id_is_none_is_refused(place: tuple[str, str]) -> None:
    with pytest.raises(SpecInvalid, match="no token of this list"):
        moment_and_id(as_token(place, {}), {})
