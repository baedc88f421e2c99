"""Logging: one JSON object a line with ``ts, level, message, action`` and the fields of the call."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime

from pythonjsonlogger.json import JsonFormatter

from .rfc3339 import written

# Levels of the lines: success is a level of its own between info and warn.
SUCCESS = 25
_LEVELS = {
    logging.DEBUG: "debug",
    logging.INFO: "info",
    SUCCESS: "success",
    logging.WARNING: "warn",
    logging.ERROR: "error",
    logging.CRITICAL: "error",
}


class _Lines(JsonFormatter):
    """The field names of DataGuardian's lines."""

    def add_fields(
        self, log_data: dict[str, object], record: logging.LogRecord, message_dict: dict[str, object]
    ) -> None:
        super().add_fields(log_data, record, message_dict)
        moment = datetime.fromtimestamp(record.created, UTC)
        head = {
            "ts": written(moment),
            "level": _LEVELS.get(record.levelno, "info"),
            "message": record.getMessage(),
        }
        fields = {key: value for key, value in log_data.items() if key not in head}
        log_data.clear()
        log_data.update(head | fields)


def configure(level: str = "info") -> None:
    """Send all logging to stdout as JSON lines."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Lines("%(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
