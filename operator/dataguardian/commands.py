"""The commands of the program ``dataguardian``; each imports what it needs when it runs."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from . import settings
from .settings import environment

DESCRIPTION = "Backs up databases on Kubernetes, and proves that they can be restored."
app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=DESCRIPTION)
audit = typer.Typer(no_args_is_help=True, help="The audit log.")
app.add_typer(audit, name="audit")


@app.command()
def render(
    what: Annotated[list[str] | None, typer.Argument(help="crds, rbac, errors, openapi; all when absent.")] = None,
    root: Annotated[Path, typer.Option(help="The repository.")] = Path(),
) -> None:
    """Write the files that are generated from the code."""
    from . import render as files

    for name in what or list(files.WHAT):
        if name not in files.WHAT:
            raise typer.BadParameter(f"{name} is none of {', '.join(files.WHAT)}")
        files.WHAT[name](root)


@app.command()
def operator() -> None:
    """Run the operator: handlers and workers while it leads, until SIGTERM."""
    from .handlers.process import run

    _logging()
    run(settings.operator(environment()))


@app.command()
def api() -> None:
    """Run the sidecar: health, metrics and the API on port 8080, until SIGTERM."""
    from .api import serve

    _logging()
    asyncio.run(serve(environment()))


@app.command()
def migrate(
    deadline_seconds: Annotated[float, typer.Option(help="How long to wait for the server.")] = 300.0,
) -> None:
    """Bring the history database to this release's schema."""
    from .history.migrate import migrate as to_newest

    _logging()
    to_newest(settings.postgres(environment()), deadline_s=deadline_seconds)


@audit.command("verify")
def audit_verify(
    expect_head: Annotated[str | None, typer.Option(help="SEQ:HASH, a head that was printed before.")] = None,
) -> None:
    """Check that the audit log is what was written; 65 and the first wrong row when it is not."""
    from .history import History
    from .history.chain import Head, as_head
    from .history.verify import verify

    try:
        expected = as_head(expect_head) if expect_head is not None else None
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--expect-head") from None

    async def verified() -> Head:
        async with History(settings.postgres(environment())) as history:
            return await verify(history, expected)

    head = asyncio.run(verified())
    typer.echo(f"{head.seq} rows are as they were written" + (f", with {expected} among them" if expected else ""))
    typer.echo(f"head {head}")


@app.command("bootstrap-secret")
def bootstrap_secret(
    name: Annotated[str, typer.Argument(help="Name of the Secret, in this pod's namespace.")],
) -> None:
    """Make the Secret of the embedded services, once; an existing one is left as it is."""
    from .kube.bootstrap import ensure_secret

    _logging()
    env = environment()
    asyncio.run(ensure_secret(env.text("NAMESPACE"), name))


@app.command()
def run(
    operation: Annotated[str, typer.Argument(help="backup, copy, restore, sync, cleanup, index, expire or probe.")],
) -> None:
    """Do one run, inside its pod: the plan is in DATAGUARDIAN_PLAN."""
    from .runner import OPERATIONS, main

    if operation not in OPERATIONS:
        raise typer.BadParameter(f"{operation} is none of {', '.join(OPERATIONS)}")
    sys.exit(main(operation))


def _logging() -> None:
    from .log import configure

    configure(environment().text("LOG_LEVEL", "info"))
