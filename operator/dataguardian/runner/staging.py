"""The staging volume after a backup is complete."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from ..domain.manifest import FILE_NAME
from ..domain.plan import FilesystemTarget
from .run import Run


def remove_staged(staging: FilesystemTarget, folder: str, in_use: Collection[str], run: Run) -> None:
    """Remove the dump staged in this folder, and what earlier runs of the same job left; a failure is a warning.

    What runs need that go on stays: ``in_use`` are the names of their folders. A backup is nothing that was staged,
    wherever the volume is used too: what has a manifest stays.
    """
    import shutil  # only a run with staging needs it

    own = Path(staging.root, staging.prefix, folder)
    try:
        # The names begin with the time: those that sort after this one are of later runs.
        for path in [path for path in own.parent.iterdir() if path.name <= own.name]:
            if path.name not in in_use and not (path / FILE_NAME).exists():
                shutil.rmtree(path)
    except OSError as error:
        run.warn(f"Staged files stay until the next backup: {error.strerror or error}", "unstage_failed")
