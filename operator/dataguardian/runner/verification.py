"""A restored database beside the fingerprint in its backup's manifest."""

from __future__ import annotations

from ..domain import verification
from ..domain.manifest import Manifest
from ..domain.report import Verification
from ..engines import Engine
from ..errors import EngineFailed
from .run import Run
from .session import Session

LINES = 100  # of differences in the log; the proof has all of them


def compare(session: Session, engine: Engine, manifest: Manifest, run: Run) -> tuple[Verification, list[str]]:
    """What the database of the session holds, beside what was backed up: the figures, and all differences.

    Raises EngineFailed, DatabaseUnavailable or another error of the engine when the database cannot be described;
    a table whose rows cannot be read is a difference.
    """
    expected = manifest.fingerprint
    session.send(engine.describe_contents(expected))
    restored = engine.found(session.lines(EngineFailed))
    for sentence in verification.remarks(expected, restored):
        run.warn(sentence, "worth_knowing")
    found = verification.differences(expected, restored)
    for sentence in found[:LINES]:
        run.say("error", sentence, "difference")
    if len(found) > LINES:
        run.say("error", f"{len(found) - LINES} more differences", "difference")
    return verification.verification(expected, restored, found), found
