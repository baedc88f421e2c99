"""The runner: one operation, such as a backup, in a Kubernetes Job's pod, from files and to files."""

from __future__ import annotations

from .supervisor import OPERATIONS, main

__all__ = ["OPERATIONS", "main"]
