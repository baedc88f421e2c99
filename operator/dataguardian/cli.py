"""The program ``dataguardian``."""

from __future__ import annotations

import sys

from .errors import DataGuardianError


def main() -> None:
    """Run one command; an error ends as one line and its own exit status."""
    if sys.argv[1:2] == ["run"]:
        # The runner owes its first byte within 250 ms; the imports of the command line would take a third of it.
        from .runner import OPERATIONS
        from .runner import main as run

        if len(sys.argv) == 3 and sys.argv[2] in OPERATIONS:
            sys.exit(run(sys.argv[2]))
    from .commands import app

    try:
        app()
    except DataGuardianError as error:
        print(f"error [{error.code}]: {error}", file=sys.stderr)  # noqa: T201 - for the person at the command line
        sys.exit(error.exit_status)
