"""Leaving the report where the kubelet takes it from."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from ..domain.report import Report, encode

TERMINATION_LOG = "/dev/termination-log"


def leave(report: Report) -> None:
    """Write the report as the termination message. Where there is no such file, the lines on stdout tell as well."""
    with suppress(OSError):
        Path(os.environ.get("DATAGUARDIAN_TERMINATION_LOG", TERMINATION_LOG)).write_bytes(encode(report))
