"""A run that tries another one again, and what it tells."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from dataguardian.domain import manifest as manifests
from dataguardian.domain.manifest import Manifest
from dataguardian.domain.plan import BackupPlan

from .runs import FOLDER, Ended
from .services import free_port

FILES = ["data.dump.zst", "manifest.json", "schema.dump"]
PENDING = ["data.dump.zst", "pending.json", "schema.dump"]
RETRY = "1b1b1b1b-0000-4000-8000-000000000000"
OWN_FOLDER = "shop/nightly-0a1b2c3d/20261124T030000Z-1b1b1b1b"


def away(plan: BackupPlan) -> BackupPlan:
    """The same plan when its database does not answer: whoever completes it has dumped nothing."""
    return replace(plan, source=replace(plan.source, port=free_port()))


def retried(plan: BackupPlan, **changes: Any) -> BackupPlan:
    """The plan of another execution that tries the run of this plan again."""
    own = {"execution_id": RETRY, "execution_name": "again", "folder": OWN_FOLDER, "retry_folders": [FOLDER]}
    return replace(plan, **{**own, **changes})


def manifest_of(files: dict[str, bytes]) -> Manifest:
    """The manifest among the files."""
    return manifests.decode(files["manifest.json"])


def from_(ended: Ended) -> str:
    """What the log says of where the retry begins."""
    (line,) = [line for line in ended.lines if line["action"] == "retry_from"]
    return str(line["message"])
