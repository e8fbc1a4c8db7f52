"""Which parts stand behind the ports: the only place that picks a database."""

from pathlib import Path

from litestar import Litestar

from datacat.api.app import create_app
from datacat.grafana import flat
from datacat.grafana.export import export_sessions
from datacat.ingest.committer import Committer
from datacat.model.clock import SystemClock
from datacat.server.settings import Settings
from datacat.store.sqlite.reader import SqliteReader
from datacat.store.sqlite.writer import SqliteWriter


def build(settings: Settings) -> Litestar:
    """The whole service, ready to be served."""
    path = Path(settings.database)
    clock = SystemClock()
    return create_app(
        ingest=Committer(lambda: SqliteWriter(path, durability=settings.durability), clock),
        open_reader=lambda: SqliteReader(path),
        clock=clock,
        more_handlers=[export_sessions, *flat.HANDLERS],
    )


def check_store(settings: Settings) -> None:
    """Open the database once, and close it.

    Raises:
        StoreError: it cannot be served from; says why.
    """
    SqliteWriter(Path(settings.database), durability=settings.durability).close()
