"""Entries and lines to test the catalogue's rules with."""

from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from dataguardian.domain.catalogue import Entry, KnownCopy
from dataguardian.domain.told import ManifestFound
from dataguardian.resources.backup import Verdict

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
CHECKSUM = "sha256:" + "a" * 64
CopyState = Literal["Stored", "Failed", "Missing", "Removed"]


def id_of(number: int) -> str:
    return str(UUID(int=number))


def key_of(number: int) -> str:
    return f"shop/nightly-00000000/{number}/manifest.json"


def found(number: int = 1, location: str = "primary", **fields: Any) -> ManifestFound:
    told: dict[str, Any] = {
        "location": location,
        "key": key_of(number),
        "execution_id": id_of(number),
        "execution_name": f"nightly-{number}",
        "namespace": "shop",
        "backup_job": "nightly",
        "backup_job_uid": id_of(4),
        "datasource": "orders",
        "engine": "postgresql",
        "engine_version": "17.2",
        "database": "orders",
        "checksum": CHECKSUM,
        "dump_bytes": 2048,
        "stored_bytes": 1024,
        "started_at": "2026-11-01T02:00:00.000Z",
        "completed_at": "2026-11-01T02:01:30.000Z",
        "whole": True,
    }
    return ManifestFound(**{**told, **fields})


def entry(
    number: int = 1,
    *,
    copies: dict[str, CopyState] | None = None,
    phase: str = "Completed",
    kept_by: tuple[str, ...] = (),
    age: timedelta = timedelta(hours=1),
    verification: Verdict | None = None,
    verified: datetime | None = None,
    datasource: str | None = "orders",
) -> Entry:
    states = {"primary": "Stored"} if copies is None else copies
    return Entry(
        namespace="shop",
        name=f"nightly-{number}",
        uid=id_of(number),
        execution_id=id_of(number),
        job="nightly",
        datasource=datasource,
        phase=phase,
        ended=NOW - age,
        dumped=NOW - age,
        copies=tuple(KnownCopy(location, key_of(number), state) for location, state in states.items()),  # type: ignore[arg-type]
        kept_by=kept_by,
        verification=verification,
        judged=verified,
        verified=verified,
        seen=NOW,
    )
