"""Which parts stand behind the ports: the only place that picks a database."""

from pathlib import Path

from litestar import Litestar

from datacat.api.app import create_app
from datacat.grafana import flat
from datacat.grafana.export import export_sessions
from datacat.ingest.committer import Committer
from datacat.model.clock import SystemClock
from datacat.query.live import Hub
from datacat.server.settings import Settings
from datacat.store.sqlite.reader import SqliteReader
from datacat.store.sqlite.writer import SqliteWriter


def build(settings: Settings) -> tuple[Litestar, Hub]:
    """The whole service, ready to be served, and what is to be closed first when it stops."""
    path = Path(settings.database)
    clock = SystemClock()
    hub = Hub(clock)
    application = create_app(
        ingest=Committer(
            lambda: SqliteWriter(path, durability=settings.durability), clock, committed=hub.committed
        ),
        open_reader=lambda: SqliteReader(path),
        clock=clock,
        hub=hub,
        more_handlers=[export_sessions, *flat.HANDLERS],
    )
    return application, hub


def check_store(settings: Settings) -> None:
    """Open the database once, and close it.

    Raises:
        StoreError: it cannot be served from; says why.
    """
    SqliteWriter(Path(settings.database), durability=settings.durability).close()
