"""Reading the files of mounted Secrets: volumes are optional, so that a missing Secret is a message and not a hang."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .errors import NotFound, PermissionRefused


def reader(kind: str, name: str, field: str) -> Callable[[str], str]:
    """A function that reads the secret files of one object, e.g. ``reader("datasource", "orders", "spec")``.

    It takes a path and returns the text without a line break at its end, which editors and ``echo`` add.
    It raises NotFound when the file is missing, naming the object and the Secret's key.
    """

    def read(path: str) -> str:
        file = Path(path)
        try:
            text = file.read_text()
        except FileNotFoundError as error:
            raise NotFound(
                f"The Secret of {kind} {name!r} is missing, or has no key {file.name!r}.",
                remedy=f"Create the Secret with that key, or correct the reference in {field} of the {kind}.",
            ) from error
        except PermissionError as error:
            raise PermissionRefused(
                f"The key {file.name!r} of the Secret of {kind} {name!r} cannot be read.",
                remedy="Run the pod with the security context of the chart.",
            ) from error
        return text.removesuffix("\n").removesuffix("\r")

    return read
