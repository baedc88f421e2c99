"""The phrase that confirms a restore: what counts as having written it."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dataguardian.domain.phrases import is_phrase
from dataguardian.resources.restore import RESTORE_PHRASE, VERIFY_PHRASE

ACCENTS = [chr(code) for code in range(0x300, 0x370) if unicodedata.combining(chr(code))]
SPACES = st.text(alphabet=" \t\n\u00a0", max_size=3)
PHRASES = st.sampled_from([RESTORE_PHRASE, VERIFY_PHRASE])


@st.composite
def spellings(draw: st.DrawFn) -> tuple[str, str]:
    """A phrase, and how somebody may write it."""
    phrase = draw(PHRASES)
    written = draw(SPACES)
    for letter in phrase:
        if letter == " ":
            written += " " + draw(SPACES)
        else:
            accents = draw(st.lists(st.sampled_from(ACCENTS), max_size=2))
            written += draw(st.sampled_from([letter, letter.lower()])) + "".join(accents)
    return phrase, draw(st.sampled_from([unicodedata.normalize(form, written) for form in ("NFC", "NFD")]))


@given(spellings())
def test_accents_case_and_extra_spaces_do_not_matter(spelling: tuple[str, str]) -> None:
    phrase, written = spelling

    assert is_phrase(written + " ", phrase)


@given(PHRASES, st.data())
def test_another_letter_in_any_place_is_another_phrase(phrase: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(phrase) - 1))
    letter = data.draw(st.characters(exclude_categories=["Mn", "Cs"]))
    plain = unicodedata.normalize("NFD", letter)[0].lower()
    assume(plain != phrase[place].lower() and not (plain.isspace() and phrase[place] == " "))

    assert not is_phrase(phrase[:place] + letter + phrase[place + 1 :], phrase)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "RESTAURA",
        "RESTAURARR",
        "RES TAURAR",
        VERIFY_PHRASE,
        "ＲＥＳＴＡＵＲＡＲ",  # noqa: RUF001 - full-width letters are the case
        "RESTАURAR",  # noqa: RUF001 - and this A is Cyrillic
        "REſTAURAR",  # noqa: RUF001 - a long s
        "𝐑𝐄𝐒𝐓𝐀𝐔𝐑𝐀𝐑",  # noqa: RUF001 - mathematical letters
        "RESTAURAR\u200b",
        "R\u0000ESTAURAR",
    ],
)
def test_what_only_looks_like_the_phrase_is_none(written: str) -> None:
    assert not is_phrase(written, RESTORE_PHRASE)


@pytest.mark.parametrize(
    ("written", "phrase"),
    [(" restáurar ", RESTORE_PHRASE), ("Verificar  restöre", VERIFY_PHRASE), ("RESTAURAR", RESTORE_PHRASE)],
)
def test_a_person_need_not_be_exact(written: str, phrase: str) -> None:
    assert is_phrase(written, phrase)
