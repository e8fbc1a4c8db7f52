"""From a handler into the committer, and back with an answer or the error that it is."""

from datacat.api.views import Ok
from datacat.ingest.door import Door
from datacat.model.errors import InvalidInput
from datacat.model.records import Batch


async def commit(ingest: Door, batch: Batch, size: int) -> None:
    """Make a plain call's one record durable; its body was ``size`` bytes.

    Raises:
        InvalidInput: it was refused.
        DatacatError: what :meth:`datacat.ingest.door.Door.submit` raises.
    """
    answer = await ingest.submit(batch, size=size)
    for rejected in answer.rejected:
        raise InvalidInput(rejected.code, rejected.message)


async def done(ingest: Door, batch: Batch, size: int) -> Ok:
    """The same, for calls that answer no more than that."""
    await commit(ingest, batch, size)
    return Ok()
