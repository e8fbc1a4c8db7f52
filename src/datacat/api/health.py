"""``/healthz`` and ``/readyz``: the process lives; the process can do its work."""

import asyncio

from litestar import get

from datacat.api.dependencies import Sessions
from datacat.api.openapi import answers, problems
from datacat.api.views import Ok


@get("/healthz", tags=["health"], responses=answers(Ok, "The process answers."))
async def healthz() -> Ok:
    """Whether the process answers."""
    return Ok()


@get("/readyz", tags=["health"], responses={**answers(Ok, "The database answers too."), **problems(503)})
async def readyz(reader: Sessions) -> Ok:
    """Whether the database answers too; 503 when it does not."""
    await asyncio.to_thread(reader.ready)
    return Ok()
