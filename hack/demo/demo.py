"""The demo: a real cluster, a backup, a loss, a restore, and the proof that all of it is back.

It may be run again on the same cluster: the sample data is loaded anew, and another backup and restore are made.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import shop
from terminal import ROOT, Failed, cluster, log_lines, output, progress, read, say, show, step

HERE = Path(__file__).resolve().parent
IMAGE = "localhost/dataguardian:demo"
OPERATOR_NAMESPACE = "dataguardian"
RUN_DEADLINE_S = 600
TERMINAL = ("Completed", "Failed", "Cancelled")


def up() -> None:
    """All steps; the cluster is left running."""
    begun = time.monotonic()
    start_cluster()
    install()
    load_sample()
    describe()
    before = look_at_data()
    backup = make_backup()
    lost = lose_data()
    make_restore(backup)
    prove(before, lost)
    look_at_history()
    how_to_go_on(time.monotonic() - begun)


def start_cluster() -> None:
    """A Kubernetes, and the images that the demo needs."""
    step(1, "A Kubernetes cluster, and DataGuardian's image built from this repository")
    cluster("up")
    cluster("service-images")
    cluster("build-image", IMAGE, str(ROOT))


def install() -> None:
    """The chart, with its embedded Postgres and Redis."""
    step(2, "The Helm chart, in a namespace that enforces the restricted Pod Security level")
    output("kubectl", "apply", "-f", str(ROOT / "manifests/namespace.yaml"))
    output(
        *("helm", "upgrade", "--install", "dataguardian", str(ROOT / "charts/dataguardian")),
        *("--namespace", OPERATOR_NAMESPACE, "--values", str(HERE / "values.yaml")),
        # The image's name is always the same: the annotation starts the pod anew when the code has changed.
        *("--set-string", f"podAnnotations.demo/source={source_hash()}"),
        # Definitions outlive the release that brought them, and another one may have.
        *("--take-ownership", "--wait", "--timeout", "5m"),
        what="installing the chart",
    )
    show("kubectl", "-n", OPERATOR_NAMESPACE, "get", "pods,persistentvolumeclaims")
    service = f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/services/dataguardian:http/proxy"
    show("kubectl", "get", "--raw", f"{service}/health")


def source_hash() -> str:
    """A hash of what the image is made of."""
    files = [ROOT / name for name in ("Dockerfile", "pyproject.toml", "uv.lock")]
    files += sorted((ROOT / "operator").rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def load_sample() -> None:
    """The application."""
    step(3, "An application: a PostgreSQL database with 14 tables and 340,000 rows, and an S3 server")
    shop.start()
    shop.run_sql("sample.sql")
    show("kubectl", "-n", shop.NAMESPACE, "get", "pods")


def describe() -> None:
    """What the team of the application writes."""
    step(4, "A Datasource, a StorageLocation and a BackupJob: what to back up, where to, and when")
    say((HERE / "objects.yaml").read_text().rstrip())
    output("kubectl", "apply", "-f", str(HERE / "objects.yaml"))
    say("\nThe operator logs in to the database, and writes, reads and deletes an object in the bucket:")
    checked = ("datasource/orders", "storagelocation/primary")
    output(
        *("kubectl", "-n", shop.NAMESPACE, "wait", "--for=condition=Ready", "--timeout=120s", *checked),
        what="waiting for the checks",
    )
    show("kubectl", "-n", shop.NAMESPACE, "get", "dataguardian")


def look_at_data() -> shop.Fingerprint:
    """The database before."""
    step(5, "What is in the database: rows and a hash of each table")
    content = shop.fingerprint()
    for name, table in content.items():
        say(f"  {name:<28}{table.rows:>9}  {table.hash}")
    return content


def make_backup() -> str:
    """A manual run of the BackupJob; its name."""
    step(6, "A backup: creating a BackupExecution is the run")
    name = create("BackupExecution", "nightly-", {"backupJobRef": {"name": "nightly"}})
    follow("backupexecution", name, f"backup-{name}")
    show("kubectl", "-n", shop.NAMESPACE, "get", "dataguardian")
    say("\nThe objects in the bucket (time, bytes, key); a manifest is written last:")
    listing = "cd /data/backups && find demo -type f -printf '%TT %10s %p\\n' | sort"
    show("kubectl", "-n", shop.NAMESPACE, "exec", "s3-0", "-c", "s3", "--", "sh", "-c", listing)
    return name


def lose_data() -> shop.Fingerprint:
    """An accident; the database after it."""
    step(7, "An accident: rows deleted and changed, a table dropped")
    say((HERE / "disaster.sql").read_text().rstrip())
    shop.run_sql("disaster.sql")
    return shop.fingerprint()


def make_restore(backup: str) -> None:
    """A RestoreRequest of that backup."""
    step(8, "A restore: a RestoreRequest, with the word that confirms it")
    spec = {"backupExecutionRef": {"name": backup}, "dropExisting": True, "confirmationPhrase": "RESTAURAR"}
    name = create("RestoreRequest", "orders-back-", spec)
    follow("restorerequest", name, f"restore-{name}")
    show("kubectl", "-n", shop.NAMESPACE, "get", "restorerequest", name)


def prove(before: shop.Fingerprint, lost: shop.Fingerprint) -> None:
    """Everything is as it was. Raises Failed."""
    step(9, "The proof: rows, hashes and definitions as they were before")
    different = shop.compare(before, lost, shop.fingerprint())
    if different:
        raise Failed(f"the restored database differs from the one that was backed up: {', '.join(different)}")
    if lost == before:
        raise Failed("the accident changed nothing, so the restore proves nothing")
    say("  All as before.")


def look_at_history() -> None:
    """The rows that the operator wrote in its Postgres."""
    step(10, "History in Postgres: each execution, with its log in metadata.execution_logs")
    query = (
        "SELECT operation, name, status, trigger, dump_bytes, stored_bytes,"
        " jsonb_array_length(metadata->'execution_logs') AS log_lines"
        " FROM backup_executions WHERE namespace = 'shop' ORDER BY queued_at DESC LIMIT 2"
    )
    in_pod = ("kubectl", "-n", OPERATOR_NAMESPACE, "exec", "dataguardian-postgres-0", "--")
    psql = (*in_pod, "psql", "-X", "-P", "pager=off", "-U", "dataguardian", "-d", "dataguardian", "-c")
    recorded = f"SELECT count(*) FROM ({query}) AS newest WHERE status = 'completed' AND log_lines > 0"  # noqa: S608 - both texts are ours
    deadline = time.monotonic() + 60
    with progress("waiting for the recorder"):
        while output(*psql, recorded).split()[2] != "2":
            if time.monotonic() > deadline:
                raise Failed("the history in Postgres lacks the backup or the restore, or their logs")
            time.sleep(1)
    show(*psql, query)


def create(kind: str, prefix: str, spec: dict[str, Any]) -> str:
    """Create a run object with a generated name, and show it; its name."""
    manifest = {
        "apiVersion": "dataguardian.io/v1alpha1",
        "kind": kind,
        "metadata": {"generateName": prefix, "namespace": shop.NAMESPACE},
        "spec": spec,
    }
    say("$ kubectl create -f -\n" + json.dumps(manifest, indent=2))
    name = output("kubectl", "create", "-f", "-", "-o", "name", given=json.dumps(manifest)).strip()
    say(f"  {name} created")
    return name.partition("/")[2]


def follow(kind: str, name: str, job: str) -> None:
    """Print the run's log until it ends. Raises Failed when it does not end as Completed."""
    deadline = time.monotonic() + RUN_DEADLINE_S
    printed = 0
    with progress(f"{kind} {name}"):
        while True:
            status = read("-n", shop.NAMESPACE, kind, name).get("status", {})
            phase = status.get("phase")
            if phase in TERMINAL:
                break
            if time.monotonic() > deadline:
                raise Failed(f"{kind} {name} is {phase or 'not seen by the operator'} after {RUN_DEADLINE_S} s")
            if phase == "Running" and not printed:
                printed = log_lines(shop.NAMESPACE, job)
            time.sleep(0.5)
    if phase != "Completed":
        raise Failed(f"{kind} {name} is {phase}: {json.dumps(status.get('error'), indent=2)}")


def how_to_go_on(seconds: float) -> None:
    """What to try next."""
    step(11, f"All of it is shown, in {seconds:.0f} s. The cluster goes on:")
    say("""
  hack/cluster/cluster kubectl get dataguardian -A                             what there is
  hack/cluster/cluster kubectl -n shop explain backupjob.spec                  what one can write
  hack/cluster/cluster kubectl -n shop create -f manifests/samples/backupexecution.yaml     another backup
  hack/cluster/cluster kubectl -n shop exec -it orders-db-0 -- psql -U orders  the database
  hack/cluster/cluster kubectl -n dataguardian logs deploy/dataguardian        the operator's log
  hack/cluster/cluster kubectl get --raw /api/v1/namespaces/dataguardian/services/dataguardian:http/proxy/metrics
  make demo                                                                    the same once more, on this cluster
  make demo-down                                                               the end: nothing stays""")


def main(command: str) -> None:
    """Run one command."""
    if command == "up":
        up()
    elif command == "down":
        cluster("down")
    else:
        raise Failed("usage: demo up | down")


if __name__ == "__main__":
    try:
        main(*(sys.argv[1:2] or ["up"]))
    except Failed as failure:
        sys.exit(f"\ndemo: {failure}\n(the cluster is left as it is: look around, try again, or `make demo-down`)")
