"""The runner starts fast, because it loads little."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FORBIDDEN = {"kopf", "kubernetes", "psycopg", "redis", "aiohttp", "pydantic", "boto3", "logging", "asyncio", "typer"}


def test_the_runner_loads_no_client_of_the_operators_services_and_nothing_slow() -> None:
    program = "import sys, dataguardian.runner; print(*{name.partition('.')[0] for name in sys.modules})"

    loaded = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(Path(__file__).resolve().parents[3] / "operator")},
        capture_output=True,
        check=True,
        text=True,
    ).stdout.split()

    assert FORBIDDEN & set(loaded) == set()
