"""Backups that were changed behind DataGuardian's back."""

from __future__ import annotations

import json
from typing import Any

from .cluster import JSON
from .shop import Shop


def edited_manifest(shop: Shop, *, at: str = "", **changes: Any) -> JSON:
    """Change fields of a manifest, those of ``fingerprint`` one by one; returns it as it is now.

    ``at`` is its path in the store; without it there must be one only.
    """
    path = at or manifest_path(shop)
    manifest: JSON = json.loads(shop.services.in_store("cat", path))
    changes["fingerprint"] = {**manifest["fingerprint"], **changes.get("fingerprint", {})}
    manifest.update(changes)
    # Only where the store keeps its files can they be changed so.
    shop.services.in_store("sh", "-c", 'cat > "$1"', "edit", path, stdin=json.dumps(manifest))
    return manifest


def manifest_path(shop: Shop) -> str:
    """Where the store keeps the only manifest."""
    (found,) = [path for path in shop.files() if path.endswith("/manifest.json")]
    return f"/data/{shop.bucket}/{found}"


def with_changed_bytes(shop: Shop) -> None:
    """Some bytes in the middle of the stored dump are others."""
    data = manifest_path(shop).replace("manifest.json", "data.dump.zst")
    script = 'printf oops | dd of="$1" bs=1 seek=20000 conv=notrunc'
    shop.services.in_store("sh", "-c", script, "damage", data)
