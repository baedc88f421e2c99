"""Whether a text is one SQL expression and nothing else, as far as that can be seen without a server."""

from __future__ import annotations

import re

# What PostgreSQL reads as one piece, with standard_conforming_strings. After an escape string the parts that follow
# it on new lines are escape strings, too. All that is not ASCII may stand in names.
_ESCAPED = r"'(?:[^'\\]|\\.|'')*+'"
_TAG = r"\$(?:[A-Za-z_\x80-\U0010FFFF][A-Za-z0-9_\x80-\U0010FFFF]*+)?\$"
_PIECE = re.compile(
    rf"""
      [eE]{_ESCAPED}(?:[ \t\f\v]*[\n\r][ \t\f\v\n\r]*{_ESCAPED})*+
    | '(?:[^']|'')*+'
    | "(?:[^"]|"")*+"
    | (?P<quote>{_TAG}).*?(?P=quote)
    | (?P<unclosed>[eE]?'|"|{_TAG})
    | [A-Za-z_\x80-\U0010FFFF][A-Za-z0-9_$\x80-\U0010FFFF]*+
    | (?P<comment>--|/\*)
    | (?P<open>\()
    | (?P<close>\))
    | (?P<alien>[;\\])
    | .
    """,
    re.VERBOSE | re.DOTALL,
)
_ALIENS = {
    ";": "it has a semicolon",
    "\\": "it has a backslash outside of quotes",
}


def check_expression(text: str) -> str | None:
    """What speaks against running this text as one expression, between parentheses; None when nothing does.

    The server judges the rest: it parses the expression before any row comes.
    """
    if not text.strip():
        return "it is empty"
    if "\0" in text:
        return "it has a NUL character"
    depth = 0
    for piece in _PIECE.finditer(text):
        depth += {"open": 1, "close": -1}.get(piece.lastgroup or "", 0)
        if depth < 0:
            return "it closes a parenthesis that it does not open"
        if piece["comment"]:
            return "it has a comment"
        if piece["unclosed"]:
            return "it has a quote without an end"
        if piece["alien"]:
            return _ALIENS[piece["alien"]]
    return "it opens a parenthesis that it does not close" if depth else None
