"""A moment as it is written in logs and answers."""

from __future__ import annotations

from datetime import UTC, datetime


def written(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
