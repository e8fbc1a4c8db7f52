"""The raw export: every session whole, as the founding design has it for JSON data sources."""

from litestar import get
from litestar.di import NamedDependency
from litestar.params import SkipValidation
from litestar.response import Stream

from datacat.query import sessions
from datacat.store.port import Reader


@get("/api/grafana/sessions", tags=["grafana"], sync_to_thread=False)
def export_sessions(reader: NamedDependency[SkipValidation[Reader]]) -> Stream:
    """Every session whole, as one JSON array, streamed in the order of creation.

    Every session has every key (``ended_at`` is null while it runs), as JSON data sources need.
    """
    return Stream(sessions.gathered(sessions.every(reader)), media_type="application/json")
