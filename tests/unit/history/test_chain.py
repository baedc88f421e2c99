"""The form of the audit log that is hashed."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguardian.history.chain import FIELDS, START, Link, as_head, canonical, digest

TEXT = st.one_of(
    st.none(), st.text(st.characters(exclude_categories=["Cs"]), max_size=12), st.sampled_from(["-", "\n"])
)
FORMS = st.lists(TEXT, min_size=len(FIELDS), max_size=len(FIELDS))


@given(FORMS, FORMS)
def test_two_rows_never_have_the_same_bytes(one: list[str | None], other: list[str | None]) -> None:
    assert (canonical(one) == canonical(other)) == (one == other)


@given(FORMS)
def test_the_bytes_can_be_read_in_one_way_only(fields: list[str | None]) -> None:
    assert read(canonical(fields)) == fields


def read(form: bytes) -> list[str | None]:
    """What a reader makes of the bytes that goes from left to right."""
    _, _, rest = form.partition(b"\n")
    found: list[str | None] = []
    for name in FIELDS:
        assert rest.startswith(name.encode() + b" ")
        rest = rest[len(name) + 1 :]
        if rest.startswith(b"-\n"):
            found.append(None)
            rest = rest[2:]
            continue
        size, _, rest = rest.partition(b":")
        found.append(rest[: int(size)].decode())
        rest = rest[int(size) + 1 :]
    assert rest == b""
    return found


def test_the_form_is_the_documented_one() -> None:
    fields = [START.hash, "1", "i", "2026-11-24T02:10:00.000000Z", "Åsa", *["x"] * 5, "{}", None, "r\n"]

    form = canonical(fields)

    assert form.startswith(b"dataguardian audit 1\nprevious 64:" + b"0" * 64 + b"\nseq 1:1\nid 1:i\nat 27:2026-11-24T")
    assert b"\nwho 4:\xc3\x85sa\naction 1:x\n" in form
    assert form.endswith(b"\ndetail 2:{}\nexecution_id -\nrequest_id 2:r\n\n")
    assert digest(fields) == hashlib.sha256(form).hexdigest()


def test_a_row_that_follows_is_told_from_one_that_does_not() -> None:
    fields = [START.hash, "1", "i", "t", *["x"] * 6, "{}", None, None]
    link = Link(fields, digest(fields))

    assert link.fault(START) is None
    assert Link(fields, "0" * 64).fault(START) == "content: its hash is not that of its fields"
    assert link.fault(as_head("0:" + "1" * 64)) == "link: its previous is not the hash of seq 0"
    assert link.fault(as_head("4:" + "0" * 64)) == "gap: after seq 4 comes seq 1"


@pytest.mark.parametrize("text", ["", "1", "1:abc", "x:" + "0" * 64, "1:" + "G" * 64, "1:" + "0" * 64 + "\n"])
def test_what_is_no_head_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="SEQ:HASH"):
        as_head(text)
