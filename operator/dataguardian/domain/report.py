"""How a run ended: what the runner leaves as its termination message, 4 KiB at most (the kubelet's limit)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ..errors import DataGuardianError

LIMIT_BYTES = 4096
TEXT_LIMIT = 1000  # bytes of one text as JSON: below a status' limit for it, and two of them below LIMIT_BYTES


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a run failed."""

    code: str
    step: str
    message: str
    remedy: str


class StoredCopy(msgspec.Struct, frozen=True, kw_only=True):
    """A backup in one location."""

    location: str
    key: str  # of the manifest, below the location's prefix
    stored: bool
    reason: str | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The result of a run; times in UTC, sizes in bytes, latency in milliseconds."""

    completed: bool
    failure: Failure | None = None
    warnings: list[str] = []
    dump_bytes: int | None = None
    stored_bytes: int | None = None
    checksum: str | None = None
    engine_version: str | None = None
    copies: list[StoredCopy] = []
    tables: int | None = None
    rows: int | None = None
    latency_ms: int | None = None
    backups: int | None = None  # that an index or a cleanup found stored
    expired: int | None = None  # that no rule keeps and that are still stored somewhere
    unread: list[str] = []  # locations that a cleanup could not look at, so that it has to come again
    next_expiry: str | None = None  # when the next backup becomes too old, RFC 3339
    copied_from: str | None = None  # where a retried upload came from: a location, or "staging"


def failed(error: DataGuardianError, step: str, warnings: Sequence[str] = ()) -> Report:
    """The report of a run that ended with this error in this step."""
    return Report(
        completed=False,
        failure=Failure(code=error.code, step=step, message=_cut(error.what), remedy=_cut(error.remedy)),
        warnings=list(warnings),
    )


def encode(report: Report) -> bytes:
    """The report as JSON within the limit; warnings go when it is too long."""
    encoded = msgspec.json.encode(report)
    if len(encoded) <= LIMIT_BYTES:
        return encoded
    return msgspec.json.encode(msgspec.structs.replace(report, warnings=[]))


def _cut(text: str) -> str:
    """The beginning of a text, as long as its JSON stays below the limit for one."""
    while len(msgspec.json.encode(text)) > TEXT_LIMIT:
        text = text[: max(len(text) * 9 // 10, 0)]
    return text


def decode(message: str) -> Report | None:
    """The report in a termination message; None when there is none (the runner was killed)."""
    try:
        return msgspec.json.decode(message, type=Report)
    except msgspec.DecodeError:
        return None
