"""What a look at a run finds before its start: all that it needs, or why it must wait."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ..domain.planning import Run
from ..domain.readiness import Obstacle
from ..errors import DataGuardianError, NotFound, SpecInvalid
from ..kube.jobs import Limits
from ..resources.backup import BackupExecution
from ..resources.datasource import Datasource
from ..resources.run_template import RunTemplate

Known = Mapping[str, Any]
NOTHING: Known = MappingProxyType({})


class NotYet(Exception):
    """A run cannot start now, and may when the obstacle is gone.

    It fails as ``overdue`` when that takes too long; None: the obstacle ends by itself, and has deadlines of its own.
    ``known`` are fields of the run's status.
    """

    def __init__(
        self, obstacle: Obstacle, *, overdue: type[DataGuardianError] | None = NotFound, known: Known = NOTHING
    ) -> None:
        super().__init__(obstacle.message)
        self.obstacle = obstacle
        self.overdue = overdue
        self.known = known


@dataclass(frozen=True)
class Prepared:
    """A run that can start."""

    run: Run
    datasources: Sequence[Datasource]  # that it uses, first that of its line; none: the limit on all runs alone counts
    limits: Limits
    template: RunTemplate
    chosen: Known  # fields of the run's status


def missing_backup(field: str, name: str, phase: str) -> NotFound:
    """The BackupExecution that a field names, and that has to be in this phase, is not there."""
    return NotFound(
        f"{field}: BackupExecution {name!r} does not exist.",
        remedy=f"Name one that is {phase}; `kubectl get backupexecutions` lists them.",
    )


def require_phase(found: BackupExecution, *, field: str, phase: str, refused: type[SpecInvalid], remedy: str) -> None:
    """Raise ``refused`` when the BackupExecution that a field names is in another phase."""
    if found.status.phase != phase:
        raise refused(
            f"{field}: BackupExecution {found.metadata.name!r} is {found.status.phase or 'not accepted yet'}, "
            f"not {phase}.",
            remedy=remedy,
        )
