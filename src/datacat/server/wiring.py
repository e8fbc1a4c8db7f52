"""Which parts stand behind the ports: the only place that picks a database."""

from pathlib import Path
from typing import NamedTuple

from litestar import Litestar

from datacat.api.app import create_app
from datacat.grafana import flat
from datacat.grafana.export import export_sessions
from datacat.ingest.committer import Committer
from datacat.model.clock import Clock, SystemClock
from datacat.server.settings import Settings
from datacat.store.sqlite.reader import SqliteReader
from datacat.store.sqlite.writer import SqliteWriter


class Service(NamedTuple):
    """The whole service, and what of it another road into it needs."""

    app: Litestar
    ingest: Committer
    clock: Clock


def build(settings: Settings) -> Service:
    """The whole service, ready to be served."""
    path = Path(settings.database)
    clock = SystemClock()
    ingest = Committer(lambda: SqliteWriter(path, durability=settings.durability), clock)
    app = create_app(
        ingest=ingest,
        open_reader=lambda: SqliteReader(path),
        clock=clock,
        more_handlers=[export_sessions, *flat.HANDLERS],
    )
    return Service(app, ingest, clock)


def check_store(settings: Settings) -> None:
    """Open the database once, and close it.

    Raises:
        StoreError: it cannot be served from; says why.
    """
    SqliteWriter(Path(settings.database), durability=settings.durability).close()
