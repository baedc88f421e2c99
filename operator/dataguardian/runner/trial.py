"""A verification: a backup is restored into a temporary database, compared with what was backed up, and removed."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from ..domain import manifest as manifests
from ..domain import report as reports
from ..domain.plan import RestorePlan
from ..domain.preflight import TargetState
from ..domain.report import Report, Verification
from ..errors import LoadFailed, VerificationFailed
from .copy_choice import ChosenCopy
from .proofs import proof_of, store_proof
from .run import Run
from .target import Target
from .temporary import Temporary, temporary
from .verification import compare


class Trial:
    """One verification, of one copy or another; each has a database of its own."""

    def __init__(self, plan: RestorePlan, run: Run, target: Target, state: TargetState) -> None:
        self._plan, self._run, self._target, self._state = plan, run, target, state

    def of(self, copy: ChosenCopy) -> Report:
        """The report when nothing differs. Raises VerificationFailed with the rest of the report in ``run.found``."""
        run = self._run
        began = datetime.now(UTC)
        with temporary(self._target, run, copy.manifest, self._plan.execution_id) as database:
            found, differences = self._compared(copy, database)
            ended = datetime.now(UTC)
        proof = proof_of(self._plan, copy, self._state, found, differences, (began, ended))
        kept = database.name if database.kept else None
        found = msgspec.structs.replace(found, database=kept, proof_key=store_proof(run, copy, proof))
        report = msgspec.structs.replace(
            reports.completed(copy.manifest, run.warnings),
            tables=found.tables,
            rows=found.rows,
            read_from=copy.location,
            restore_seconds=proof.restore_seconds,
            verification=found,
        )
        if not found.passed:
            run.found = report
            raise _differs(found, differences)
        run.say("success", "Verification passed", "run_completed", tables=found.tables, rows=found.rows)
        return report

    def _compared(self, copy: ChosenCopy, database: Temporary) -> tuple[Verification, list[str]]:
        """Load and compare; from here on the result stands, whoever asks for the end of the run."""
        run, target = self._run, self._target
        run.enter("load")
        try:
            self._load(copy, database)
        except LoadFailed as error:
            if not target.engine.is_filtered(copy.manifest.dump_arguments):
                raise
            raise _filtered(error) from error
        run.enter("check")
        result = compare(database.session, target.engine, copy.manifest, run)
        run.settle()
        database.kept = self._plan.keep_database
        return result

    def _load(self, copy: ChosenCopy, database: Temporary) -> None:
        target, state = self._target, self._state
        database.session.ask(target.engine.create_schemas(copy.manifest), LoadFailed)
        client = target.client(state, manifests.dumped_by(copy.manifest))
        load = target.load(database.login, client, state, replaces="nothing", settles=False)
        load.parallel(copy.content(self._run), self._plan.jobs)


def _filtered(error: LoadFailed) -> LoadFailed:
    return LoadFailed(
        f"{error.what} The backup is filtered, and may refer to what it leaves out.",
        remedy="Let spec.options of the BackupJob choose what the message names, too; then verify a new backup.",
    )


def _differs(found: Verification, differences: list[str]) -> VerificationFailed:
    more = f" (and {found.difference_count - 1} more differences)" if found.difference_count > 1 else ""
    told = "is not what was backed up" if found.tables else "is not proven to be what was backed up"
    return VerificationFailed(
        f"What was restored {told}: {differences[0]}{more}.",
        remedy="Make a new backup, and do not rely on this one; its proof and the run's log name the differences.",
    )
