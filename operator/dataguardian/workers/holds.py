"""The backups that restores hold: retention keeps them whatever its rules say."""

from __future__ import annotations

from dataclasses import dataclass

from ..domain.restores import safety_backup
from ..resources.restore import RestoreRequest


@dataclass(frozen=True, slots=True)
class Hold:
    """A RestoreRequest that keeps the backup of its target."""

    namespace: str
    backup: str  # name of the BackupExecution
    request: str


class Holds:
    """Safety backups whose restore nobody has confirmed; ended requests hold theirs too."""

    def __init__(self) -> None:
        self._by_request: dict[str, Hold | None] = {}  # by UID; None: confirmed, and an older version may come late

    def put(self, request: RestoreRequest) -> None:
        """Know a request as it is now."""
        backup, meta = safety_backup(request), request.metadata
        if backup is None:
            return
        if request.spec.confirmed or (meta.uid in self._by_request and self._by_request[meta.uid] is None):
            self._by_request[meta.uid] = None
        else:
            self._by_request[meta.uid] = Hold(meta.namespace, backup, meta.name)

    def drop(self, request: RestoreRequest) -> None:
        """Forget a request that is gone."""
        self._by_request.pop(request.metadata.uid, None)

    def of_namespace(self, namespace: str) -> dict[str, str]:
        """Name of each BackupExecution that is held → the RestoreRequest that holds it."""
        held = (hold for hold in self._by_request.values() if hold is not None)
        return {hold.backup: hold.request for hold in held if hold.namespace == namespace}
