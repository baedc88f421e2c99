"""The phrase with which a person confirms: what counts as having written it."""

from __future__ import annotations

import unicodedata


def is_phrase(given: str, expected: str) -> bool:
    """Whether somebody wrote the expected phrase; accents, case and extra spaces do not matter.

    Letters that only look like the right ones do: a phrase is typed by a person who knows what it says.
    """
    return _plain(given) == _plain(expected)


def _plain(text: str) -> str:
    # Not NFKD, which makes plain letters of full-width and styled ones; nor casefold(), which makes an s of a long s.
    letters = (each for each in unicodedata.normalize("NFD", text) if not unicodedata.combining(each))
    return " ".join("".join(letters).lower().split())
