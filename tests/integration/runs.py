"""Running the runner as its pod does: a process of its own, a plan in its environment, secrets in files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from dataguardian.domain import plan as plans
from dataguardian.domain import report as reports
from dataguardian.domain.plan import (
    BackupPlan,
    CopyPlan,
    Endpoint,
    FilesystemTarget,
    RestorePlan,
    RestoreSource,
    S3Target,
    SyncPlan,
    Target,
)
from dataguardian.domain.report import Report

from .services import ROOT, PostgresServer, S3Server, wait_until

RUNNER = ("-m", "dataguardian.runner")
FOLDER = "shop/nightly-0a1b2c3d/20261124T020000Z-9f8e7d6c"


@dataclass
class Ended:
    """A run that is over."""

    status: int
    report: Report | None
    lines: list[dict[str, Any]]
    output: str

    @property
    def failure(self) -> tuple[int, str, str]:
        """Exit status, code and step of a failure."""
        assert self.report is not None, self.output
        assert self.report.failure is not None, self.output
        return self.status, self.report.failure.code, self.report.failure.step

    @property
    def message(self) -> str:
        """What a failed run's report tells."""
        assert self.report is not None, self.output
        assert self.report.failure is not None, self.output
        return self.report.failure.message

    @property
    def copies(self) -> dict[str, bool]:
        """Which locations have a copy, as the report tells."""
        assert self.report is not None, self.output
        return {copy.location: copy.stored for copy in self.report.copies}

    def reason(self, location: str) -> str:
        """Why a location has none."""
        assert self.report is not None, self.output
        return next(copy.reason or "" for copy in self.report.copies if copy.location == location)

    @property
    def copied_from(self) -> str | None:
        """Where the dump came from, when none was made."""
        assert self.report is not None, self.output
        return self.report.copied_from

    @property
    def told(self) -> Report:
        """Its report."""
        assert self.report is not None, self.output
        return self.report

    @property
    def text(self) -> str:
        """Everything that the run told: lines and report."""
        return self.output + repr(self.report)


class Running:
    """A run that goes on."""

    def __init__(self, operation: str, plan: plans.Plan, folder: Path, program: Sequence[str]) -> None:
        self._termination = folder / f"termination-{uuid.uuid4().hex}"
        self._output = folder / f"output-{uuid.uuid4().hex}"
        work = folder / "work"
        work.mkdir(exist_ok=True)
        self.environment = {
            "DATAGUARDIAN_PLAN": plans.encode(plan),
            "DATAGUARDIAN_TERMINATION_LOG": str(self._termination),
            "DATAGUARDIAN_WORK_DIR": str(work),
            "PYTHONPATH": str(ROOT / "operator"),
            "PATH": os.defpath,
        }
        argv = [sys.executable, *program, operation]
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(argv, env=self.environment, stdout=output, stderr=subprocess.STDOUT)

    @property
    def told(self) -> Report | None:
        """The report, once it has left one."""
        return reports.decode(self._termination.read_text()) if self._termination.exists() else None

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self._output.read_text()

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait for something that happens while it runs."""

        def met() -> object:
            found = condition()
            if not found and self.process.poll() is not None:
                raise AssertionError(f"the run ended before: {what}\n{self.output}")
            return found

        wait_until(met, what=what)

    def until_action(self, action: str) -> None:
        """Wait for a line."""
        self.until(lambda: f'"action":"{action}"' in self.output, f"a line {action}")

    def children(self) -> dict[str, int]:
        """Its programs: command line → process id."""
        path = Path(f"/proc/{self.process.pid}/task")
        pids = " ".join(file.read_text() for file in path.glob("*/children")).split()
        return {Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " "): int(pid) for pid in pids}

    def child(self, name: str, *, without: str = "--schema-only") -> int:
        """The process id of the program of this name."""
        (found,) = (pid for line, pid in self.children().items() if f"/{name} " in line and without not in line)
        return found

    def signal(self, number: int = signal.SIGTERM) -> None:
        """Send a signal to the runner itself."""
        self.process.send_signal(number)

    def ended(self, seconds: float = 120) -> Ended:
        """Wait for the end."""
        try:
            status = self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"still running after {seconds} s\n{self.output}") from None
        message = self._termination.read_text() if self._termination.exists() else ""
        lines = [json.loads(line) for line in self.output.splitlines() if line.startswith("{")]
        return Ended(status, reports.decode(message), lines, self.output)


@dataclass
class Pod:
    """What a pod has: files of secrets, a folder to work in, and a plan."""

    folder: Path
    postgres: PostgresServer

    def secret(self, name: str, value: str) -> str:
        """The path of a file as a Secret's volume has it."""
        path = self.folder / name
        path.write_text(value)
        return str(path)

    def endpoint(self, database: str, server: PostgresServer | None = None, **changes: Any) -> Endpoint:
        """The test's server, or another one, as a plan names it."""
        prefix = f"{server.port}-" if server else ""
        server = server or self.postgres
        endpoint = Endpoint(
            datasource="orders",
            engine="postgresql",
            host=server.host,
            port=server.port,
            database=database,
            username_file=self.secret(f"{prefix}username", server.user),
            password_file=self.secret(f"{prefix}password", server.password),
            tls_mode="prefer",
        )
        return msgspec.structs.replace(endpoint, **changes)

    def s3(self, server: S3Server, bucket: str, **changes: Any) -> S3Target:
        """A bucket as a plan names it."""
        target = S3Target(
            location="primary",
            bucket=bucket,
            prefix="prod",
            endpoint=server.endpoint,
            region=server.region,
            access_key_id_file=self.secret("accessKeyId", server.user),
            secret_access_key_file=self.secret("secretAccessKey", server.password),
        )
        return msgspec.structs.replace(target, **changes)

    def volume(self, location: str = "primary") -> FilesystemTarget:
        """A volume as a plan names it."""
        root = self.folder / f"volume-{location}"
        root.mkdir(exist_ok=True)
        return FilesystemTarget(location=location, root=str(root), prefix="prod")

    def backup_plan(self, database: str, target: plans.Target, **changes: Any) -> BackupPlan:
        """A plan to back up a database of the test's server."""
        plan = BackupPlan(
            execution_id="9f8e7d6c-0000-4000-8000-000000000000",
            execution_name="nightly-202611240200",
            namespace="shop",
            job_name="nightly",
            job_uid="0a1b2c3d-0000-4000-8000-000000000000",
            folder=FOLDER,
            source=self.endpoint(database),
            targets=[target],
        )
        return msgspec.structs.replace(plan, **changes)

    def restore_plan(self, database: str, source: plans.Target, **changes: Any) -> RestorePlan:
        """A plan to restore that backup into a database of the test's server."""
        plan = RestorePlan(
            execution_id="5a5a5a5a-0000-4000-8000-000000000000",
            execution_name="bring-back",
            namespace="shop",
            backup_execution_id="9f8e7d6c-0000-4000-8000-000000000000",
            sources=[RestoreSource(target=source, manifest_key=f"{FOLDER}/manifest.json")],
            target=self.endpoint(database),
        )
        return msgspec.structs.replace(plan, **changes)

    def sync_plan(self, source: Endpoint, target: Endpoint, **changes: Any) -> SyncPlan:
        """A plan to make one database a copy of another."""
        plan = SyncPlan(
            execution_id="7b7b7b7b-0000-4000-8000-000000000000",
            execution_name="staging-202611240300",
            namespace="shop",
            job_name="staging",
            source=source,
            target=target,
        )
        return msgspec.structs.replace(plan, **changes)

    def copy_plan(self, sources: list[Target], targets: list[Target], **changes: Any) -> CopyPlan:
        """A plan to copy that backup."""
        plan = CopyPlan(
            backup_execution_id="9f8e7d6c-0000-4000-8000-000000000000",
            manifest_key=f"{FOLDER}/manifest.json",
            sources=sources,
            targets=targets,
        )
        return msgspec.structs.replace(plan, **changes)

    def start(self, plan: plans.Plan, program: Sequence[str] = RUNNER) -> Running:
        """Start the runner with this plan; ``program`` is how Python runs it."""
        operation = str(plan.__struct_config__.tag).partition("-")[0]
        return Running(operation, plan, self.folder, program)

    def run(self, plan: plans.Plan) -> Ended:
        """Run the runner with this plan to its end."""
        return self.start(plan).ended()


def assert_nothing_stored(server: S3Server, target: S3Target) -> None:
    """Neither an object nor a part of one."""
    assert server.admin.keys(target.bucket) == []
    assert server.admin.uploads(target.bucket) == []


def stored(target: Target, server: S3Server, folder: str = FOLDER) -> dict[str, bytes]:
    """The files of a backup as somebody without our code sees them."""
    if isinstance(target, S3Target):
        prefix = f"{target.prefix}/{folder}/"
        keys = [key for key in server.admin.keys(target.bucket) if key.startswith(prefix)]
        return {key.removeprefix(prefix): server.admin.get(target.bucket, key) for key in keys}
    path = Path(target.root) / target.prefix / folder
    return {file.name: file.read_bytes() for file in path.iterdir() if file.is_file()} if path.exists() else {}


def files_in(volume: FilesystemTarget) -> list[str]:
    """All files of a volume, half ones too."""
    root = Path(volume.root) / volume.prefix
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def damage(path: Path) -> None:
    """Flip the last bit of a file: it keeps its size and loses its checksum."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def rewrite_manifest(target: FilesystemTarget, change: Callable[[dict[str, Any]], object]) -> None:
    """Let the manifest of a backup say something else."""
    path = folder_of(target) / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def backed_up(pod: Pod, database: str, **changes: object) -> FilesystemTarget:
    """A completed backup of a database, on a volume."""
    target = pod.volume()
    ended = pod.run(pod.backup_plan(database, target, **changes))
    assert ended.status == 0, ended.output
    return target


def folder_of(target: FilesystemTarget) -> Path:
    """Where the files of the backup are."""
    return Path(target.root) / "prod" / FOLDER
