"""PostgreSQL servers of other majors than the one whose client programs are installed."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .services import ROOT, PostgresServer, postgres_bin

# Of each kind the farthest that ``hack/servers`` has.
OLDER, NEWER = 14, 18
CLIENT = int(postgres_bin().parts[4])


@contextmanager
def server_of(major: int) -> Iterator[PostgresServer]:
    """A server of this major. Its user may not look where ``hack/servers`` keeps it, so it runs a copy."""
    printed = subprocess.run([ROOT / "hack/servers", str(major)], check=True, stdout=subprocess.PIPE, text=True).stdout
    folder = Path(tempfile.mkdtemp(prefix="dg-test-"))
    folder.chmod(0o755)
    try:
        programs = shutil.copytree(printed.strip(), folder / "programs", symlinks=True) / "bin"
        server = PostgresServer(programs=programs)
        try:
            server.start()
            yield server
        finally:
            server.remove()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
