"""The runner: one run in a Kubernetes Job's pod, of one of the operations below, from files and to files."""

from __future__ import annotations

from .supervisor import OPERATIONS, main

__all__ = ["OPERATIONS", "main"]
