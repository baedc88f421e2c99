"""What `hack/cluster/cluster` answers while no cluster is up."""

import os
import subprocess
from pathlib import Path

import pytest

CLUSTER = Path(__file__).parents[3] / "hack/cluster/cluster"


def cluster(cache: Path, *arguments: str, name: str = "absent") -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "DATAGUARDIAN_CACHE": str(cache),
        "DATAGUARDIAN_CLUSTER": name,
        "DATAGUARDIAN_CLUSTER_KIND": "node",
    }
    return subprocess.run([CLUSTER, *arguments], env=environment, capture_output=True, text=True, check=False)


def test_help_names_every_command(tmp_path: Path) -> None:
    answer = cluster(tmp_path, "--help")
    assert answer.returncode == 0
    for command in ("up", "down", "status", "env", "exec", "node-exec", "build-image", "load-image", "programs"):
        assert f"\n  {command} " in answer.stdout


@pytest.mark.parametrize("arguments", [["status"], ["env"], ["exec", "true"], ["kubectl", "get", "nodes"]])
def test_absent_cluster_is_an_error(tmp_path: Path, arguments: list[str]) -> None:
    answer = cluster(tmp_path, *arguments)
    assert answer.returncode == 1
    assert answer.stdout == ""


def test_unknown_command_and_bad_names_are_usage_errors(tmp_path: Path) -> None:
    assert cluster(tmp_path, "sideways").returncode == 2
    assert cluster(tmp_path, "status", name="../etc").returncode == 2
    assert cluster(Path("relative"), "status").returncode == 2


def test_unknown_program_is_an_error(tmp_path: Path) -> None:
    answer = cluster(tmp_path, "programs", "nosuch")
    assert answer.returncode == 1
    assert "nosuch" in answer.stderr


def test_every_program_is_pinned() -> None:
    modules = [path.parent for path in CLUSTER.parents[1].glob("*/**/go.mod")]
    assert modules
    assert all((module / "go.sum").exists() for module in modules)
