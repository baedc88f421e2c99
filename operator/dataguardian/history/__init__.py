"""Postgres: what happened. Memory, not truth: rebuilt from run objects and manifests, all but the logs."""

from ..errors import HistoryUnavailable
from .audit import AuditRow
from .health_checks import HealthRow
from .logs import LogLine
from .pool import History
from .run_rows import ExecutionRow, RunRow, SyncRow

__all__ = ["AuditRow", "ExecutionRow", "HealthRow", "History", "HistoryUnavailable", "LogLine", "RunRow", "SyncRow"]
