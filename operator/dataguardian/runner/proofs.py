"""The dated proof of a verification, stored beside the backup in the copy that was read."""

from __future__ import annotations

from datetime import UTC, datetime

from .. import __version__
from ..domain import proof as proofs
from ..domain.manifest import FILE_NAME
from ..domain.plan import EphemeralServer, RestorePlan
from ..domain.preflight import TargetState
from ..domain.proof import Proof
from ..domain.report import Verification
from ..errors import DataGuardianError
from ..rfc3339 import written
from .copy_choice import ChosenCopy
from .run import Run


def proof_of(
    plan: RestorePlan,
    copy: ChosenCopy,
    state: TargetState,
    found: Verification,
    differences: list[str],
    times: tuple[datetime, datetime],
) -> Proof:
    """What is to be remembered of a verification that began and ended at these times."""
    began, ended = times
    return Proof(
        execution_id=plan.execution_id,
        execution_name=plan.execution_name,
        backup_execution_id=copy.manifest.execution_id,
        manifest_key=f"{copy.folder}/{FILE_NAME}",
        location=copy.location,
        target="Ephemeral" if isinstance(plan.target, EphemeralServer) else "Datasource",
        server_version=state.version,
        started_at=written(began),
        completed_at=written(ended),
        restore_seconds=max(0, round((ended - began).total_seconds())),
        tools={"dataguardian": __version__},
        **proofs.figures(found, differences),
    )


def store_proof(run: Run, copy: ChosenCopy, proof: Proof) -> str | None:
    """Its key below the location's prefix; None when it could not be stored, which is a warning."""
    if copy.read_only:
        run.say("info", f"No proof is stored in {copy.location!r}: it is read-only", "proof_left_out")
        return None
    key = proofs.proof_key(copy.folder, datetime.now(UTC), proof.execution_id)
    try:
        copy.storage.put(key, [proofs.encode(proof)])
    except DataGuardianError as error:
        run.warn(f"The proof could not be stored in {copy.location!r}: {error.what}", "proof_failed")
        return None
    run.say("info", "Proof stored beside the backup", "proof_stored", key=key)
    return key
