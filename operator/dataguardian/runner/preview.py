"""What a restore would do, asked of a target that is only looked at."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ..domain import report as reports
from ..domain.manifest import Manifest
from ..domain.plan import RestorePlan
from ..domain.preflight import TargetState
from ..domain.report import Connections, Preview
from ..errors import DataGuardianError
from .target import Target

NAMES, APPLICATIONS, OBSTACLES = 10, 16, 8  # of each list
NAME_BYTES, APPLICATION_BYTES, OBSTACLE_BYTES = 160, 64, 300


def preview(
    plan: RestorePlan, target: Target, state: TargetState, manifest: Manifest, obstacles: Sequence[DataGuardianError]
) -> Preview:
    """The preview; only a restore that replaces what exists has something to drop."""
    fingerprint = manifest.fingerprint
    relations = [(table.schema, table.name) for table in fingerprint.tables]
    relations += [(sequence.schema, sequence.name) for sequence in fingerprint.sequences]
    replaces = plan.drop_existing and not plan.verify
    question = target.engine.describe_replaced(relations if replaces else [])
    found = target.engine.replaced(target.session.ask(question))
    return Preview(
        backup_tables=len(fingerprint.tables),
        backup_rows=sum(table.rows for table in fingerprint.tables),
        backup_bytes=manifest.dump_bytes,
        backup_time=manifest.started_at,
        target_identity=state.identity,
        target_version=state.version,
        target_tables=found.tables,
        target_rows=found.rows,
        target_bytes=found.size,
        dropped_count=found.dropped_count,
        dropped=reports.brief(found.dropped, count=NAMES, limit=NAME_BYTES),
        connections=[_shown(connections) for connections in found.connections[:APPLICATIONS]],
        expected_seconds=plan.expected_seconds,
        obstacles=[reports.reason(obstacle, OBSTACLE_BYTES) for obstacle in obstacles[:OBSTACLES]],
    )


def _shown(connections: Connections) -> Connections:
    (name,) = reports.brief([connections.application or "(without a name)"], count=1, limit=APPLICATION_BYTES)
    return msgspec.structs.replace(connections, application=name)
