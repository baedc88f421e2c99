"""The backups that restores hold: retention keeps them whatever its rules say."""

from __future__ import annotations

from dataclasses import dataclass

from ..domain.restores import held_by
from ..resources.restore import RestoreRequest


@dataclass(frozen=True, slots=True)
class Hold:
    """The backups that a RestoreRequest keeps."""

    namespace: str
    backups: dict[str, str]  # name of the BackupExecution → why, as keptBy tells it


class Holds:
    """What restores read that have not ended, and what those keep that nobody has confirmed."""

    def __init__(self) -> None:
        self._by_request: dict[str, Hold | None] = {}  # by UID; None: let go, and an older version may come late

    def put(self, request: RestoreRequest) -> None:
        """Know a request as it is now."""
        uid = request.metadata.uid
        if uid not in self._by_request or self._by_request[uid] is not None:
            backups = held_by(request)
            self._by_request[uid] = None if backups is None else Hold(request.metadata.namespace, backups)

    def drop(self, request: RestoreRequest) -> None:
        """Forget a request that is gone."""
        self._by_request.pop(request.metadata.uid, None)

    def of_namespace(self, namespace: str) -> dict[str, str]:
        """Name of each BackupExecution that is held → why."""
        held = (hold.backups for hold in self._by_request.values() if hold and hold.namespace == namespace)
        return {backup: why for backups in held for backup, why in backups.items()}
