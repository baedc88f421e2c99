"""The dated proof of a verification, stored beside the backup, so that a bucket alone tells when it was proven."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, TypedDict

import msgspec

from .report import Verification

VERSION = 1
FOLDER = "proofs"  # inside the folder of the backup
DIFFERENCES = 1000  # in one proof


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """One verification. Times RFC 3339 in UTC; the figures are those of ``report.Verification``."""

    version: int = VERSION
    execution_id: str  # of the verification
    execution_name: str
    backup_execution_id: str
    manifest_key: str  # below the location's prefix
    location: str  # whose copy was read
    target: Literal["Datasource", "Ephemeral"]  # where it was restored; see RestoreRequest's verificationTarget
    server_version: str
    started_at: str
    completed_at: str
    restore_seconds: int
    passed: bool
    tables: int
    rows: int
    sequences: int
    sampled_rows: int
    difference_count: int
    differences: list[str] = []  # the first ones, when there are very many
    tools: dict[str, str] = {}  # program → version


class Figures(TypedDict):
    """The fields of a proof that tell what was compared."""

    passed: bool
    tables: int
    rows: int
    sequences: int
    sampled_rows: int
    difference_count: int
    differences: list[str]


def figures(found: Verification, differences: list[str]) -> Figures:
    """The figures of a verification that found all these differences."""
    return Figures(
        passed=found.passed,
        tables=found.tables,
        rows=found.rows,
        sequences=found.sequences,
        sampled_rows=found.sampled_rows,
        difference_count=len(differences),
        differences=differences[:DIFFERENCES],
    )


def proof_key(folder: str, time: datetime, execution_id: str) -> str:
    """Where a proof is stored below its location's prefix; ``folder`` is the backup's, ``time`` the verification's."""
    return f"{folder}/{FOLDER}/{time.astimezone(UTC):%Y%m%dT%H%M%SZ}-{execution_id[:8]}.json"


def encode(proof: Proof) -> bytes:
    """The proof as indented JSON, for people too."""
    return msgspec.json.format(msgspec.json.encode(proof), indent=2) + b"\n"
