"""Finding a whole dump that an earlier run could not complete: staged, or in a location."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..domain.manifest import FILE_NAME, Manifest
from ..domain.plan import BackupPlan
from ..errors import SpecInvalid
from .copies import Copies
from .location import Copy


@dataclass(frozen=True)
class Kept:
    """A dump that is whole in ``source``, in this folder."""

    folder: str
    manifest: Manifest
    source: Copy


def find(copies: Copies, folders: Sequence[str], plan: BackupPlan) -> Kept | None:
    """The first whole dump in these folders, in the order of the copies; what is not whole is said and passed by.

    A backup that this execution has stored goes first. A folder with the manifest of another execution is never written
    to, unless it is the failed run that is tried again. Raises SpecInvalid when that one is a backup.
    """
    for folder in folders:
        copies.look(folder)
        if _is_taken(copies, folder, plan):
            continue
        for copy in sorted(copies.good, key=lambda copy: not completed_before(copy, plan)):
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


def _is_taken(copies: Copies, folder: str, plan: BackupPlan) -> bool:
    others = [
        copy
        for copy in copies.good
        if f"{folder}/{FILE_NAME}" in copy.keys
        if not completed_before(copy, plan) and not _completed_unnoticed(copy, folder, plan)
    ]
    for copy in others:
        if copy.left is None:
            continue
        copies.hold(copy.left, lambda _: "Size")
        if copy.whole or folder == plan.folder:
            raise SpecInvalid(
                f"The run whose dump is in {folder} was completed by {copy.left.execution_name}.",
                remedy="Restore that backup, or run the job again.",
            )
    return bool(others) and folder != plan.folder


def _completed_unnoticed(copy: Copy, folder: str, plan: BackupPlan) -> bool:
    """Whether the run that failed, and is tried again, has stored its manifest here all the same."""
    return folder != plan.folder and copy.left is not None and not copy.left.retried_execution_id


def _wanted(manifest: Manifest, folder: str, plan: BackupPlan) -> bool:
    own = folder != plan.folder or manifest.execution_id == plan.execution_id
    return own and manifest.backup_job_uid == plan.job_uid
