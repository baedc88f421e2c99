"""Finding a whole dump that an earlier run could not complete: staged, or in a location."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..domain.manifest import Manifest
from ..domain.plan import BackupPlan
from .copies import Copies
from .location import Copy


@dataclass(frozen=True)
class Kept:
    """A dump that is whole in ``source``, in this folder."""

    folder: str
    manifest: Manifest
    source: Copy


def find(copies: Copies, folders: Sequence[str], plan: BackupPlan) -> Kept | None:
    """The first whole dump in these folders, in the order of the copies; what is not whole is said and passed by."""
    for folder in folders:
        copies.look(folder)
        for copy in copies.good:
            if copy.left is not None and _wanted(copy.left, folder, plan):
                hold(copies, copy.left, plan)
                if copy.whole:
                    return Kept(folder, copy.left, copy)
    return None


def hold(copies: Copies, manifest: Manifest, plan: BackupPlan) -> None:
    """Find the copies that have this dump; what became a backup by this run was read back before it did."""
    copies.hold(manifest, lambda copy: "Size" if completed_before(copy, plan) else "ReadBack")


def completed_before(copy: Copy, plan: BackupPlan) -> bool:
    """Whether an earlier try of the same execution made this copy a backup."""
    return copy.published and copy.left is not None and copy.left.execution_id == plan.execution_id


def _wanted(manifest: Manifest, folder: str, plan: BackupPlan) -> bool:
    own = folder != plan.folder or manifest.execution_id == plan.execution_id
    return own and manifest.backup_job_uid == plan.job_uid
