"""``/healthz`` and ``/readyz``: the process lives; the process can do its work."""

import asyncio

from litestar import get
from litestar.response import Redirect

from datacat.api.dependencies import Sessions
from datacat.api.openapi import answers, problems
from datacat.api.views import Ok


@get("/", include_in_schema=False, sync_to_thread=False)
def root() -> Redirect:
    """Whoever comes to the front door is shown what there is; relative, as a proxy may stand before."""
    return Redirect("docs")


@get("/healthz", tags=["health"], responses=answers(Ok, "The process answers."))
async def healthz() -> Ok:
    """Whether the process answers."""
    return Ok()


@get("/readyz", tags=["health"], responses={**answers(Ok, "The database answers too."), **problems(503)})
async def readyz(reader: Sessions) -> Ok:
    """Whether the database answers too; 503 when it does not."""
    await asyncio.to_thread(reader.ready)
    return Ok()
