"""The walk of docs/api.md, word for word."""

from __future__ import annotations

import json
import re

from .cluster import ROOT
from .shop import Shop

BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def walk(namespace: str) -> str:
    """The commands of the walk, for another namespace."""
    _, _, after = (ROOT / "docs/api.md").read_text().partition("## A walk with curl")
    section, _, _ = after.partition("\n## ")
    script = "".join(BLOCK.findall(section))
    assert script.startswith("namespace=shop\n")
    return script.replace("namespace=shop\n", f"set -euo pipefail\ntrap 'kill $!' EXIT\nnamespace={namespace}\n", 1)


def answers(output: str) -> list[str]:
    """What the walk prints, answer by answer."""
    decoder, found = json.JSONDecoder(), list[str]()
    while output := output.lstrip():
        if output.startswith("{"):
            _, end = decoder.raw_decode(output)
        else:  # kubectl, or a stream, which goes until the next answer
            start = output.find("\n{")
            end = len(output) if start < 0 else start
        found.append(output[:end])
        output = output[end:]
    return found


def test_a_newcomer_backs_up_verifies_and_restores_with_curl_alone(shop: Shop) -> None:
    before = shop.fingerprint()

    told = answers(shop.cluster.bash(walk(shop.namespace)))

    documents = [json.loads(each) for each in told if each.startswith("{")]
    health, me, jobs, queued, backed_up, verified, refused, restored, audit = documents
    logs = [each for each in told if "event: " in each]
    assert health["status"] == "ok"
    assert me["name"] == f"system:serviceaccount:{shop.namespace}:alice"
    assert [each["id"] for each in jobs["data"]] == [f"{shop.namespace}.nightly"]
    assert (queued["operation"], queued["trigger"]) == ("backup", "manual")
    assert [each["status"] for each in (backed_up, verified, restored)] == ["completed"] * 3
    assert [each["operation"] for each in (backed_up, verified, restored)] == ["backup", "verify", "restore"]
    assert (refused["code"], refused["expected_phrase"]) == ("restore-confirmation-required", "RESTAURAR")
    for log, prefix in zip(logs, ("[BACKUP]", "[VERIFY]", "[RESTORE]"), strict=True):
        assert prefix in log
        assert log.rstrip().rpartition("\n\n")[2].find("event: end") >= 0
    deeds = [(each["action"], each["outcome"]) for each in audit["data"] if each["who"].endswith(":alice")]
    assert sorted(deeds) == [
        ("backup.restore", "refused"),
        ("backup.restore", "success"),
        ("backup.verify", "success"),
        ("backup_job.run", "success"),
    ]
    assert shop.fingerprint() == before
