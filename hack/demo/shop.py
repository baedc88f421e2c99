"""The application whose data the demo loses and brings back: a PostgreSQL database and an S3 server."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from terminal import output, say

HERE = Path(__file__).resolve().parent
NAMESPACE = "shop"
DATABASE = "orders"
_IN_POD = ("kubectl", "-n", NAMESPACE, "exec", "-i", "orders-db-0", "--")
MISSING = "missing"


@dataclass(frozen=True)
class Content:
    """How many rows a table has, and a hash of all of them."""

    rows: int
    hash: str


Fingerprint = dict[str, Content]


def start() -> None:
    """Namespace, database server and S3 server, under the restricted Pod Security level."""
    output("kubectl", "apply", "-f", str(HERE / "shop.yaml"))
    for name in ("orders-db", "s3"):
        output("kubectl", "-n", NAMESPACE, "rollout", "status", f"statefulset/{name}", "--timeout=180s", what=name)


def run_sql(file: str) -> str:
    """Run a file of this folder in the shop's database."""
    psql = (*_IN_POD, "psql", "-qXAt", "-v", "ON_ERROR_STOP=1", "-U", DATABASE, "-d", DATABASE)
    return output(*psql, given=(HERE / file).read_text(), what=file)


def fingerprint() -> Fingerprint:
    """What is in the database: each table, the sequences, and all definitions as pg_dump writes them."""
    content: Fingerprint = {}
    for line in run_sql("fingerprint.sql").splitlines():
        table, rows, digest = line.split("|")
        content[table] = Content(int(rows), digest)
    dump = output(*_IN_POD, "pg_dump", "-U", DATABASE, "--schema-only", DATABASE, what="reading the definitions")
    # pg_dump writes a word that it draws anew each time into these two lines.
    lines = [line for line in dump.splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))]
    content["(definitions)"] = Content(len(lines), hashlib.sha256("\n".join(lines).encode()).hexdigest())
    return content


def compare(before: Fingerprint, lost: Fingerprint, after: Fingerprint) -> list[str]:
    """Print all three side by side; the names of what is not as it was."""
    say(f"  {'table':<28}{'before':>9}{'lost':>9}{'restored':>10}  hash of the content")
    for name in sorted({*before, *after}):
        rows = [str(content[name].rows) if name in content else MISSING for content in (before, lost, after)]
        same = before.get(name) == after.get(name)
        verdict = f"{before[name].hash[:12]} {'as before' if same else 'DIFFERS'}" if name in before else "NEW"
        say(f"  {name:<28}{rows[0]:>9}{rows[1]:>9}{rows[2]:>10}  {verdict}")
    return [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
