"""How a run ended: what the runner leaves as its termination message, 4 KiB at most (the kubelet's limit)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from ..errors import DataGuardianError
from .manifest import Manifest

LIMIT_BYTES = 4096
TEXT_LIMIT = 1000  # bytes of one text as JSON: below a status' limit for it, and two of them below LIMIT_BYTES
REASON_LIMIT = 160  # of why one of several copies is not stored
BRIEF_LIMIT = 300  # of a text when there are many copies to tell of
KEPT = "The dump is whole and waits for a retry."  # the reason of a copy that is no backup
FEW = 3  # of a list when there is too much to tell


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a run failed."""

    code: str
    step: str
    message: str
    remedy: str


class StoredCopy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A backup in one location."""

    location: str
    key: str = ""  # of the manifest, below the location's prefix; a message leaves out that of the copy before
    stored: bool
    reason: str | None = None


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What a verification found: the restored database beside the manifest's fingerprint."""

    passed: bool
    tables: int  # that were compared
    rows: int  # in the restored tables
    sequences: int
    sampled_rows: int  # whose hashes were looked for
    difference_count: int = 0
    differences: list[str] = []  # sentences for people, the first ones
    database: str | None = None  # the temporary database, when it was kept
    proof_key: str | None = None  # of the dated proof beside the backup, below the location's prefix


class Connections(msgspec.Struct, frozen=True, kw_only=True):
    """Sessions in a database, by application."""

    application: str
    sessions: int


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What a restore would do. Sizes in bytes; ``target_rows`` is the server's estimate."""

    backup_tables: int
    backup_rows: int
    backup_bytes: int  # of the dump
    backup_time: str  # of the data, RFC 3339
    target_identity: str = ""
    target_version: str
    target_tables: int
    target_rows: int
    target_bytes: int
    dropped_count: int = 0  # relations of the target that would be replaced
    dropped: list[str] = []  # the first names of them
    connections: list[Connections] = []
    expected_seconds: int | None = None
    obstacles: list[str] = []  # why the restore would be refused: code and message


class Synced(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a sync did to its target, beside its figures."""

    removed: int = 0  # tables that were in the target and that the source does not have
    masking_digest: str | None = None
    masked_columns: int = 0
    switch_ms: int | None = None  # in which nobody could be in the target, at the end of a Swap
    previous: str | None = None  # the database that was the target before, as long as it is kept
    previous_until: str | None = None  # RFC 3339
    server_identity: str | None = None  # of the target's server; None when the role may not read it
    # Id of the backup that was stored from the same dump: from then on it exists, however the sync ends. ``copies``,
    # ``stored_bytes``, ``checksum`` and ``dump_time`` of the report are its.
    backup_execution_id: str | None = None


class PreviousFound(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of a database that was the target before a Swap, on the server that the runner has reached."""

    name: str
    state: Literal["dropped", "absent", "left"]
    reason: str | None = None  # why it is left
    server_identity: str | None = None  # None when the role may not read it


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The result of a run; times in UTC, sizes in bytes, latency in milliseconds."""

    completed: bool
    failure: Failure | None = None
    warnings: list[str] = []
    dump_bytes: int | None = None
    stored_bytes: int | None = None
    checksum: str | None = None
    engine_version: str | None = None
    dump_time: str | None = None  # when the dump began, RFC 3339: what retention goes by
    copies: list[StoredCopy] = []
    tables: int | None = None
    rows: int | None = None
    latency_ms: int | None = None
    backups: int | None = None  # that an index or a cleanup found stored
    unfinished: int | None = None  # folders without a manifest that an index found, and the bytes in them
    unfinished_bytes: int | None = None
    expired: int | None = None  # that no rule keeps and that are still stored somewhere
    unread: list[str] = []  # locations that a cleanup could not look at, so that it has to come again
    next_expiry: str | None = None  # when the next backup becomes too old, RFC 3339
    copied_from: str | None = None  # where a retried upload came from: a location, or "staging"
    read_from: str | None = None  # the location whose copy was restored
    restore_seconds: int | None = None  # from the start of the load to the end of the check
    verification: Verification | None = None
    preview: Preview | None = None
    synced: Synced | None = None
    previous: PreviousFound | None = None


NOTHING = Report(completed=False)


def completed(manifest: Manifest, warnings: Sequence[str]) -> Report:
    """The report of a run that made, copied or restored this backup: its figures."""
    return Report(
        completed=True,
        warnings=list(warnings),
        dump_bytes=manifest.dump_bytes,
        stored_bytes=manifest.stored_bytes,
        checksum=manifest.checksum,
        engine_version=manifest.engine_version,
    )


def failed(
    error: DataGuardianError,
    step: str,
    warnings: Sequence[str] = (),
    copies: Sequence[StoredCopy] = (),
    found: Report = NOTHING,
) -> Report:
    """The report of a run that ended with this error in this step; ``found`` is what it found all the same."""
    return msgspec.structs.replace(
        found,
        completed=False,
        failure=Failure(code=error.code, step=step, message=_cut(error.what), remedy=_cut(error.remedy)),
        warnings=list(warnings),
        copies=list(copies),
    )


def reason(error: DataGuardianError, limit: int = REASON_LIMIT) -> str:
    """An error in short: code and message."""
    return _cut(f"{error.code}: {error.what}", limit)


def brief(texts: Sequence[str], *, count: int, limit: int = REASON_LIMIT) -> list[str]:
    """The first of these texts, each cut to this many bytes of JSON."""
    return [_cut(text, limit) for text in texts[:count]]


def encode(report: Report) -> bytes:
    """The report as JSON within the limit; what is least needed goes first when it is too long.

    What has become of eight copies has room with the longest names that locations may have.
    """
    report = _with_one_key(report)
    encoded = msgspec.json.encode(report)
    for shorten in (
        _with_few_warnings,
        _without_warnings,
        _with_brief_failure,
        _with_few_findings,
        _without_reasons,
        _with_one_unread,
        _without_copies,
    ):
        if len(encoded) <= LIMIT_BYTES:
            break
        report = shorten(report)
        encoded = msgspec.json.encode(report)
    return encoded


def _with_one_key(report: Report) -> Report:
    """The key of a copy only where it is not that of the one before: they are all the same."""
    keys = ["", *(copy.key for copy in report.copies)]
    copies = [
        msgspec.structs.replace(copy, key="" if copy.key == before else copy.key)
        for copy, before in zip(report.copies, keys, strict=False)
    ]
    return msgspec.structs.replace(report, copies=copies)


def _with_few_warnings(report: Report) -> Report:
    return msgspec.structs.replace(report, warnings=brief(report.warnings, count=FEW, limit=BRIEF_LIMIT))


def _without_warnings(report: Report) -> Report:
    return msgspec.structs.replace(report, warnings=[])


def _with_brief_failure(report: Report) -> Report:
    failure = report.failure
    if failure is None:
        return report
    message, remedy = _cut(failure.message, BRIEF_LIMIT), _cut(failure.remedy, BRIEF_LIMIT)
    return msgspec.structs.replace(report, failure=msgspec.structs.replace(failure, message=message, remedy=remedy))


def _with_few_findings(report: Report) -> Report:
    """Of a preview and a verification their numbers, and the first of what they list."""
    preview, verification = report.preview, report.verification
    if preview is not None:
        preview = msgspec.structs.replace(
            preview,
            dropped=preview.dropped[:FEW],
            connections=preview.connections[:FEW],
            obstacles=brief(preview.obstacles, count=len(preview.obstacles)),
        )
    if verification is not None:
        verification = msgspec.structs.replace(verification, differences=brief(verification.differences, count=FEW))
    return msgspec.structs.replace(report, preview=preview, verification=verification)


def _without_reasons(report: Report) -> Report:
    copies = [msgspec.structs.replace(copy, reason=None) for copy in report.copies]
    return msgspec.structs.replace(report, copies=copies)


def _with_one_unread(report: Report) -> Report:
    """One location that was not looked at is enough to come again."""
    return msgspec.structs.replace(report, unread=report.unread[:1])


def _without_copies(report: Report) -> Report:
    return msgspec.structs.replace(report, copies=[])


def _cut(text: str, limit: int = TEXT_LIMIT) -> str:
    """The beginning of a text, as long as its JSON stays below the limit."""
    while len(msgspec.json.encode(text)) > limit:
        text = text[: max(len(text) * 9 // 10, 0)]
    return text


def decode(message: str) -> Report | None:
    """The report in a termination message; None when there is none (the runner was killed)."""
    try:
        report = msgspec.json.decode(message, type=Report)
    except msgspec.DecodeError:
        return None
    key, copies = "", []
    for copy in report.copies:
        key = copy.key or key
        copies.append(msgspec.structs.replace(copy, key=key))
    return msgspec.structs.replace(report, copies=copies)
