"""The sidecar: health and metrics over HTTP."""

from .serve import serve

__all__ = ["serve"]
