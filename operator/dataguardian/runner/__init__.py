"""The runner: one backup, restore or probe inside a Kubernetes Job's pod, from files and to files."""

from __future__ import annotations

from .supervisor import main

__all__ = ["main"]
