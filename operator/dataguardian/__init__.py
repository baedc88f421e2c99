"""DataGuardian backs up databases on Kubernetes and proves that they can be restored."""

__version__ = "0.1.0"
