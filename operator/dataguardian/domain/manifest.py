"""The manifest of a backup, version 1: written last beside the stored bytes, and the truth about them.

It has all that a restore by hand needs, without DataGuardian and without a cluster.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

import msgspec

from ..errors import BackupCorrupt, ManifestUnknown
from .naming import major_of

VERSION = 1
FILE_NAME = "manifest.json"
# The manifest of a dump that is whole but not a backup: of a failed run that stored too few copies, or of a staged
# dump. A retry copies it to where it is missing, and writes FILE_NAME. A folder without FILE_NAME is no backup.
PENDING_FILE_NAME = "pending.json"
SCHEMA_FILE_NAME = "schema.dump"

# The suffix of the stored dump, and the program that reads it back.
CODEC_SUFFIX: Mapping[str, str] = {"zstd": ".zst", "gzip": ".gz", "none": ""}
CODEC_COMMAND: Mapping[str, str] = {"zstd": "zstd -dc", "gzip": "gzip -dc", "none": "cat"}

# In JSON. No name has it; to psql it is the end of a line, so that what follows it would be read otherwise.
_NUL = re.compile(rb"(?<!\\)(\\\\)*\\u0000")
_SAMPLE = re.compile(rb'\[(\s+"[0-9a-f]{16}",?)+\s+\]')


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """One stored object of the dump; segments are read one after the other."""

    name: str
    bytes: int
    sha256: str


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """One table of the source and its rows in the dump's snapshot; a partitioned table has none of its own."""

    schema: str
    name: str
    rows: int
    indexes: int = 0  # valid ones
    constraints: int = 0  # validated ones: checks, keys, references, exclusions
    sample: list[str] = []  # the hashes of some of its rows; see ``Engine``
    extension: str = ""  # that brings the table, and rows of it


class Sequence(msgspec.Struct, frozen=True, kw_only=True):
    """One sequence of the source; its value may have moved on while the dump was made."""

    schema: str
    name: str
    value: int | None = None  # the last one given out; None when none was, or when values come again or go down


class Fingerprint(msgspec.Struct, frozen=True, kw_only=True):
    """What the source held, seen by the dump's own snapshot."""

    tables: list[Table] = []
    sequences: list[Sequence] = []
    extensions: dict[str, str] = {}  # that the dump brings: name → version
    roles: list[str] = []  # that own something or have been granted something
    encoding: str = ""  # e.g. UTF8; empty when it is not known
    database_bytes: int = 0  # on the server's disk; 0 when it is not known


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """One backup. Sizes in bytes, times RFC 3339 in UTC."""

    version: int = VERSION
    execution_id: str
    execution_name: str
    retried_execution_id: str = ""  # the failed run whose folder this is, when a retry completed its backup
    namespace: str
    backup_job: str
    backup_job_uid: str
    datasource: str = ""
    engine: str
    engine_version: str
    database: str
    server_identity: str  # e.g. PostgreSQL's system identifier; empty when the role may not read it
    dump_arguments: list[str]  # without host, user and database
    codec: str
    level: int
    segments: list[Segment]
    checksum: str  # "sha256:…" of all segments, in order
    dump_bytes: int
    stored_bytes: int
    schema_sidecar: Segment | None = None
    started_at: str
    completed_at: str
    tools: dict[str, str]  # program → version
    fingerprint: Fingerprint
    restore_commands: list[str]


def files(manifest: Manifest) -> list[Segment]:
    """The stored objects beside the manifest, all of them."""
    return [*manifest.segments, *([manifest.schema_sidecar] if manifest.schema_sidecar else [])]


def folder_owner(manifest: Manifest) -> str:
    """Id of the execution that the folder of the backup is named after."""
    return manifest.retried_execution_id or manifest.execution_id


def dumped_by(manifest: Manifest) -> int:
    """The major of the program that wrote the dump; 0 when it is not known."""
    return major_of(manifest.tools.get("pg_dump", ""))


def same_dump(one: Manifest, other: Manifest) -> bool:
    """Whether both describe the same stored bytes, whichever run they name."""
    return (one.backup_job_uid, files(one)) == (other.backup_job_uid, files(other))


def data_name(codec: str) -> str:
    """The stored dump's file name, that of its first segment."""
    return f"data.dump{CODEC_SUFFIX[codec]}"


def segment_name(codec: str, index: int) -> str:
    """The name of the segment: ``data.dump.zst`` for the first, then ``data.dump.zst.00001`` and so on.

    Whether a second one follows is not known when the first one is named, and most dumps have none.
    """
    return f"{data_name(codec)}.{index:05d}" if index else data_name(codec)


def restore_commands(codec: str, segments: list[Segment], load: str) -> list[str]:
    """What to type in the folder of the stored files to check and restore them by hand; ``load`` reads the dump."""
    files = " ".join(segment.name for segment in segments)
    sums = "\n".join(f"{segment.sha256}  {segment.name}" for segment in segments)
    return [f"echo {shlex.quote(sums)} | sha256sum -c", f"cat {files} | {CODEC_COMMAND[codec]} | {load}"]


def encode(manifest: Manifest) -> bytes:
    """The manifest as indented JSON, for people too; the hashes of a table's sample take one line."""
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    return _SAMPLE.sub(lambda sample: b" ".join(sample[0].split()), text) + b"\n"


def decode(content: bytes) -> Manifest:
    """The manifest. Raises BackupCorrupt when it cannot be read, ManifestUnknown for another version."""
    try:
        version = msgspec.json.decode(content, type=_Versioned).version
        if version != VERSION:
            raise ManifestUnknown(
                f"The manifest has version {version}; this release reads version {VERSION}.",
                remedy="Restore with the release of DataGuardian that wrote it, or a newer one.",
            )
        manifest = msgspec.json.decode(content, type=Manifest)
    except msgspec.DecodeError as error:
        raise _unreadable(str(error)) from error
    if _NUL.search(content):
        raise _unreadable("one of its texts has a NUL")
    return manifest


def _unreadable(why: str) -> BackupCorrupt:
    return BackupCorrupt(
        f"The manifest cannot be read: {why}.", remedy="Restore another backup, or another copy of this one."
    )


class _Versioned(msgspec.Struct):
    version: int
