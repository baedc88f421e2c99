"""What an operator tells of its workers, asked at its port for liveness."""

from __future__ import annotations

from typing import Final

import aiohttp
import msgspec
from yarl import URL

from ..workers.loop import Pulses

OWN_POD: Final = "127.0.0.1"
OWN_S = 2.0  # for the operator in the same pod, which may have to import much just now


async def pulses_at(url: URL, *, within_s: float) -> Pulses | None:
    """What the operator there tells of its workers; None when it does not answer in time, or not as an operator."""
    limit = aiohttp.ClientTimeout(total=within_s)
    try:
        async with aiohttp.ClientSession(timeout=limit) as session, session.get(url, allow_redirects=False) as answer:
            return msgspec.json.decode(await answer.read(), type=Pulses)
    except (aiohttp.ClientError, TimeoutError, OSError, msgspec.MsgspecError):
        return None


def pulses_url(host: str, port: int) -> URL:
    """Where an operator tells them."""
    return URL.build(scheme="http", host=host, port=port, path="/workers")
