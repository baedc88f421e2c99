"""What is compared: each case runs once when it is asked to."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import shutil
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from dataguardian.domain import plan as plans
from tests.integration.runs import FOLDER, Pod
from tests.integration.services import ROOT, S3Server, postgres_bin

from . import sample


@dataclass(frozen=True)
class Case:
    """A name for the table, and one measurement."""

    name: str
    measure: Callable[[], sample.Figures]


def _shell(pod: Pod, database: str, line: str) -> sample.Figures:
    passfile = pod.folder / "pgpass"
    escaped = pod.postgres.password.replace("\\", "\\\\").replace(":", "\\:")
    passfile.write_text(f"*:*:*:*:{escaped}\n")
    passfile.chmod(0o600)
    env = {
        "PATH": f"{postgres_bin()}:{os.defpath}",
        "PGHOST": pod.postgres.host,
        "PGPORT": str(pod.postgres.port),
        "PGUSER": pod.postgres.user,
        "PGDATABASE": database,
        "PGPASSFILE": str(passfile),
    }
    return sample.run(["bash", "-c", f"set -o pipefail; {line}"], env, pod.folder / "output")


def _runner(pod: Pod, plan: plans.Plan) -> sample.Figures:
    operation = str(plan.__struct_config__.tag)
    work = pod.folder / "work"
    work.mkdir(exist_ok=True)
    env = {
        "DATAGUARDIAN_PLAN": plans.encode(plan),
        "DATAGUARDIAN_TERMINATION_LOG": "/dev/null",
        "DATAGUARDIAN_WORK_DIR": str(work),
        "PYTHONPATH": str(ROOT / "operator"),
        "PATH": os.defpath,
    }
    output = pod.folder / "output"
    started = time.time()
    figures = sample.run([sys.executable, "-m", "dataguardian.runner", operation], env, output)
    for line in map(json.loads, output.read_text().splitlines()):
        if line["action"] == "dump_began":
            moment = datetime.fromisoformat(line["ts"]).timestamp()
            return dataclasses.replace(figures, first_byte=moment - started)
    return figures


def backup_cases(pod: Pod, s3: S3Server, database: str) -> list[Case]:
    """The pipeline by hand first: ratios are to it."""
    file = shlex.quote(str(pod.folder / "by-hand"))
    bucket = s3.bucket()

    def to(target: plans.Target, verification: str, **changes: object) -> sample.Figures:
        return _runner(pod, pod.backup_plan(database, target, verification=verification, **changes))

    def to_s3(verification: str) -> Callable[[], sample.Figures]:
        def measure() -> sample.Figures:
            shutil.rmtree(s3.store / bucket / "prod", ignore_errors=True)
            return to(pod.s3(s3, bucket), verification)

        return measure

    second = s3.bucket()

    def to_two() -> sample.Figures:
        targets = [pod.s3(s3, name, location=name) for name in (bucket, second)]
        for target in targets:
            shutil.rmtree(s3.store / target.bucket / "prod", ignore_errors=True)
        return to(targets[0], "Size", targets=targets, min_copies=2)

    def to_file() -> sample.Figures:
        target = pod.volume()
        shutil.rmtree(Path(target.root) / "prod", ignore_errors=True)
        return to(target, "Size")

    return [
        Case(
            "by hand: `pg_dump -Fc -Z0 \\| zstd -T0 -3 > file`",
            lambda: _shell(pod, database, f"pg_dump -Fc -Z0 | zstd -q -T0 -3 > {file}"),
        ),
        Case("by hand: `pg_dump -Fc > file`", lambda: _shell(pod, database, f"pg_dump -Fc > {file}")),
        Case("backup to S3, sizes verified", to_s3("Size")),
        Case("backup to S3, read back and hashed", to_s3("ReadBack")),
        Case("backup to two S3 locations at once, sizes verified", to_two),
        Case("backup to a volume, sizes verified", to_file),
    ]


def _into_new(pod: Pod, load: Callable[[str], sample.Figures]) -> Callable[[], sample.Figures]:
    """Measure a load into a database that is new, and gone afterwards."""

    def measure() -> sample.Figures:
        name = pod.postgres.database(f"copy_{uuid.uuid4().hex}")
        try:
            return load(name)
        finally:
            pod.postgres.drop(name)

    return measure


def restore_cases(pod: Pod, s3: S3Server, database: str) -> list[Case]:
    """All load the same bytes into a new database."""
    bucket = s3.bucket()
    target = pod.s3(s3, bucket)
    made = pod.run(pod.backup_plan(database, target))
    assert made.status == 0, made.output
    file = shlex.quote(str(s3.store / bucket / "prod" / FOLDER / "data.dump.zst"))

    def by_hand(name: str) -> sample.Figures:
        return _shell(pod, name, f"zstd -qdc {file} | pg_restore --single-transaction --exit-on-error -d {name}")

    return [
        Case("by hand: `zstd -dc file \\| pg_restore --single-transaction`", _into_new(pod, by_hand)),
        Case("restore from S3", _into_new(pod, lambda name: _runner(pod, pod.restore_plan(name, target)))),
        Case(
            "restore from S3, `atomic: false`",
            _into_new(pod, lambda name: _runner(pod, pod.restore_plan(name, target, atomic=False))),
        ),
    ]


def sync_cases(pod: Pod, s3: S3Server, database: str) -> list[Case]:
    """All copy the database into a new one of the same server."""

    def by_hand(name: str) -> sample.Figures:
        load = f"pg_restore --single-transaction --exit-on-error -d {name}"
        return _shell(pod, database, f"pg_dump -Fc -Z0 | {load}")

    def ours(strategy: Literal["Transaction", "Swap"]) -> Callable[[str], sample.Figures]:
        def load(name: str) -> sample.Figures:
            plan = plans.SyncPlan(
                execution_id=str(uuid.uuid4()),
                execution_name="staging-202611240300",
                namespace="shop",
                job_name="staging",
                source=pod.endpoint(database),
                target=pod.endpoint(name),
                strategy=strategy,
            )
            return _runner(pod, plan)

        return load

    return [
        Case("sync by hand: `pg_dump -Fc -Z0 \\| pg_restore --single-transaction`", _into_new(pod, by_hand)),
        Case("sync", _into_new(pod, ours("Transaction"))),
        Case("sync, `strategy: Swap`", _into_new(pod, ours("Swap"))),
    ]
