"""What was read, as JSON: read and written in another thread, which may take its time."""

import asyncio
from collections.abc import Callable
from typing import Any

from litestar import Response

from datacat.wire.codec import encode


async def answer(read: Callable[[], Any]) -> Response[bytes]:
    """The answer that holds what ``read`` gives."""
    return Response(await asyncio.to_thread(lambda: encode(read())), media_type="application/json")
