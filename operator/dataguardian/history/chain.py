"""The chain of the audit log: each row holds the hash of the row before, so that none can be changed unseen.

The form that is hashed is told in docs/audit.md for people with other tools, and never changes: another one would be
another FORM.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

FORM = b"dataguardian audit 1\n"
FIELDS = (
    "previous", "seq", "id", "at", "who", "action", "namespace", "object_kind", "object_name", "outcome", "detail",
    "execution_id", "request_id",
)  # fmt: skip


@dataclass(frozen=True)
class Head:
    """The last row of the log so far, or of a part of it."""

    seq: int
    hash: str  # SHA-256, 64 hexadecimal digits

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"


def as_head(text: str) -> Head:
    """The head that was written like this. Raises ValueError."""
    if not re.fullmatch(r"[0-9]{1,18}:[0-9a-f]{64}", text):
        raise ValueError("a head is SEQ:HASH, a number and 64 hexadecimal digits")
    seq, _, hash_ = text.partition(":")
    return Head(int(seq), hash_)


START = Head(0, "0" * 64)  # what is before the first row


@dataclass(frozen=True)
class Link:
    """A row as it is stored: its FIELDS as Postgres' own texts, None for NULL, and its hash."""

    fields: Sequence[str | None]
    hash: str

    @property
    def head(self) -> Head:
        """The row as the head of the log up to it."""
        return Head(int(self._field("seq")), self.hash)

    @property
    def id(self) -> str:
        """The row's id."""
        return self._field("id")

    def fault(self, before: Head) -> str | None:
        """Why this is not the row that was added after ``before``; None when it is."""
        seq = self.head.seq
        if seq != before.seq + 1:
            return f"gap: after seq {before.seq} comes seq {seq}"
        if self._field("previous") != before.hash:
            return f"link: its previous is not the hash of seq {before.seq}"
        if self.hash != digest(self.fields):
            return "content: its hash is not that of its fields"
        return None

    def _field(self, name: str) -> str:
        return self.fields[FIELDS.index(name)] or ""


def canonical(fields: Sequence[str | None]) -> bytes:
    """The bytes of a row that are hashed: no two rows have the same. ``fields`` are those of FIELDS, as texts."""
    return FORM + b"".join(_line(name, text) for name, text in zip(FIELDS, fields, strict=True))


def digest(fields: Sequence[str | None]) -> str:
    """The hash of a row."""
    return hashlib.sha256(canonical(fields)).hexdigest()


def _line(name: str, text: str | None) -> bytes:
    if text is None:
        return f"{name} -\n".encode()
    content = text.encode()
    return f"{name} {len(content)}:".encode() + content + b"\n"
