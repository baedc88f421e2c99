"""What `hack/servers` does with what a registry gives it."""

import os
import subprocess
from pathlib import Path

import pytest

SERVERS = Path(__file__).parents[3] / "hack/servers"


def servers(folder: Path, *majors: str, path: str = os.defpath) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"DATAGUARDIAN_CACHE": str(folder / "cache"), "PATH": path}
    return subprocess.run([SERVERS, *majors], env=environment, capture_output=True, text=True, check=False)


def test_an_archive_that_is_not_the_pinned_one_is_refused_and_not_kept(tmp_path: Path) -> None:
    npm = tmp_path / "npm"
    npm.write_text('#!/bin/sh\ntouch "$5/package.tgz"\n')
    npm.chmod(0o755)

    answer = servers(tmp_path, "18", path=f"{tmp_path}:{os.environ['PATH']}")

    assert (answer.returncode, answer.stdout) == (1, "")
    assert "not the one that is pinned" in answer.stderr
    assert list((tmp_path / "cache/programs").glob("*[0-9a-f]")) == []


@pytest.mark.parametrize(("majors", "status", "said"), [([], 2, "usage"), (["7"], 1, "PostgreSQL '7'")])
def test_a_major_that_is_not_pinned_is_an_error(tmp_path: Path, majors: list[str], status: int, said: str) -> None:
    answer = servers(tmp_path, *majors)

    assert (answer.returncode, answer.stdout) == (status, "")
    assert said in answer.stderr
