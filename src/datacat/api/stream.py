"""Answers in pieces, and nothing of them left behind when whoever asked has gone."""

import asyncio
from collections.abc import Generator
from typing import Final

from litestar.background_tasks import BackgroundTask
from litestar.response import Stream

_LOOK: Final = 0.05
"""Seconds between two looks whether the thread that makes a piece has made it."""


def stream(pieces: Generator[bytes, None, None]) -> Stream:
    """JSON that is sent as it is made.

    What makes it is closed when the answer is over, however it went: the framework leaves it in a cycle of
    references, with the page of rows that it holds, and its thread in the middle of a piece.
    """

    async def close() -> None:
        while True:
            try:
                pieces.close()
            except ValueError:  # it is running
                await asyncio.sleep(_LOOK)
            else:
                return

    return Stream(pieces, media_type="application/json", background=BackgroundTask(close))
