"""What the demo prints, and the programs that it runs."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CLUSTER = ROOT / "hack/cluster/cluster"
FIRST_SIGN_S = 5
NEXT_SIGN_S = 10


class Failed(Exception):
    """The demo did not show what it promises; the text says what went wrong."""


def step(number: int, text: str) -> None:
    """The headline of one step."""
    print(f"\n\033[1m== {number}. {text}\033[0m" if sys.stdout.isatty() else f"\n== {number}. {text}", flush=True)


def say(text: str) -> None:
    """What the step shows, in words."""
    print(text, flush=True)


@contextmanager
def progress(what: str) -> Iterator[None]:
    """A line on whatever takes longer than five seconds."""
    begun, over = time.monotonic(), threading.Event()

    def tell() -> None:
        pause = FIRST_SIGN_S
        while not over.wait(pause):
            say(f"   ... {what}: {time.monotonic() - begun:.0f} s")
            pause = NEXT_SIGN_S

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()


def cluster(*arguments: str) -> None:
    """A command of hack/cluster, which tells its own progress. Raises Failed."""
    if subprocess.run([CLUSTER, *arguments], check=False).returncode:
        raise Failed(f"hack/cluster/cluster {' '.join(arguments)} failed; its own words are above")


def output(*command: str, given: str | None = None, what: str = "waiting") -> str:
    """What a command in the cluster's network prints. Raises Failed."""
    with progress(what):
        done = subprocess.run([CLUSTER, "exec", *command], input=given, text=True, capture_output=True, check=False)
    if done.returncode:
        raise Failed(f"{' '.join(command)}\n{done.stdout}{done.stderr}".rstrip())
    return done.stdout


def show(*command: str, what: str = "waiting") -> None:
    """A command that the reader could type, and what it prints."""
    say(f"$ {' '.join(_quoted(word) for word in command)}")
    say("\n".join(f"  {line}".rstrip() for line in output(*command, what=what).rstrip().splitlines()))


def _quoted(word: str) -> str:
    # As a person would write it: single quotes inside double ones.
    return f'"{word}"' if "'" in word and not set(word) & set('"$`!') else shlex.quote(word)


def read(*resource: str) -> Any:
    """An object from the API server."""
    return json.loads(output("kubectl", "get", *resource, "-o", "json"))


def log_lines(namespace: str, job: str) -> int:
    """Print the log of a Kubernetes Job's pod until it ends, for people; how many lines there were."""
    command = [str(CLUSTER), "exec", "kubectl", "-n", namespace, "logs", "--follow", f"job/{job}"]
    count = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        for count, line in enumerate(process.stdout or (), start=1):
            if count == 1:
                say(f"$ kubectl -n {namespace} logs --follow job/{job}")
            say(f"  {_readable(line)}")
    return count


def _readable(line: str) -> str:
    try:
        entry = json.loads(line)
        return f"{entry['ts'][11:19]} {entry['level']:<7} {entry['message']}"
    except (ValueError, KeyError, TypeError):
        return line.rstrip()
