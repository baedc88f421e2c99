"""Checks the chart and the samples: helm's linter, then kubeconform against schemas made on this machine.

The chart is rendered with its defaults and with each file of its folder ``ci``, twice: a rendering that differs from
the one before would show as a change for ever in tools that compare.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from schemas import write_custom, write_kubernetes

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts/dataguardian"
CLUSTER = ROOT / "hack/cluster"
CACHE = Path(os.environ.get("DATAGUARDIAN_CACHE") or Path.home() / ".cache/dataguardian")


class CheckFailed(Exception):
    """A program found something to complain about; its own words say what."""


def output(*command: str | Path, given: str | None = None, folder: Path = ROOT) -> str:
    """What the command prints. Raises CheckFailed."""
    done = subprocess.run(
        [str(part) for part in command], input=given, cwd=folder, text=True, capture_output=True, check=False
    )
    if done.returncode:
        raise CheckFailed(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}".rstrip())
    return done.stdout


def program(name: str) -> Path:
    """A program that the repository pins, built when it is not there yet."""
    return Path(output(CLUSTER / "cluster", "programs", name).strip()) / name


def kubernetes_module() -> tuple[str, Path]:
    """Version and folder of the Kubernetes that the test cluster is built from."""
    listed = output(
        "go", "list", "-m", "-f", "{{.Version}} {{.Dir}}", "k8s.io/kubernetes", folder=CLUSTER / "programs/kubernetes"
    )
    version, _, folder = listed.strip().partition(" ")
    if not folder:
        output("go", "mod", "download", "k8s.io/kubernetes", folder=CLUSTER / "programs/kubernetes")
        return kubernetes_module()
    return version, Path(folder)


def schemas() -> tuple[str, Path]:
    """The version of Kubernetes, and the folder of its schemas and ours."""
    version, module = kubernetes_module()
    folder = CACHE / "schemas" / version
    if not folder.exists():
        unfinished = folder.with_suffix(f".{os.getpid()}")
        unfinished.mkdir(parents=True)
        write_kubernetes(module / "api/openapi-spec/swagger.json", unfinished)
        if folder.exists():  # another one was faster
            shutil.rmtree(unfinished)
        else:
            unfinished.rename(folder)
    ours = CACHE / "schemas/dataguardian"
    ours.mkdir(parents=True, exist_ok=True)
    for definition in sorted((ROOT / "crds").glob("*.yaml")):
        write_custom(definition, ours)
    return version, folder


def renderings(helm: Path, version: str) -> Iterator[tuple[str, str]]:
    """What the chart renders, by the name of the values. Raises CheckFailed."""
    for values in (None, *sorted((CHART / "ci").glob("*-values.yaml"))):
        options = ["--kube-version", version, *(["--values", str(values)] if values else [])]
        output(helm, "lint", "--strict", CHART, *options)
        command = [str(helm), "template", "dataguardian", str(CHART), "-n", "dataguardian", *options]
        text = output(*command)
        if output(*command) != text:
            raise CheckFailed(f"{' '.join(command)}\nrenders differently each time")
        yield (values.stem if values else "defaults"), text


def main() -> None:
    """Check everything; the first complaint ends the program."""
    helm, kubeconform = program("helm"), program("kubeconform")
    version, folder = schemas()
    pattern = "{{.ResourceKind}}-{{.Group}}-{{.ResourceAPIVersion}}.json"
    locations = [f"{folder}/{pattern}", f"{folder.parent}/dataguardian/{pattern}"]
    validate: list[str | Path] = [kubeconform, "-strict", "-summary"]
    for location in locations:
        validate += ["-schema-location", location]
    for name, text in renderings(helm, version):
        print(f"chart, {name}: {output(*validate, '-', given=text).strip()}")
    for manifests in ("crds", "manifests"):
        print(f"{manifests}: {output(*validate, ROOT / manifests).strip()}")


if __name__ == "__main__":
    try:
        main()
    except CheckFailed as complaint:
        sys.exit(f"kubeconform: {complaint}")
