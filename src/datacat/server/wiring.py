"""Which parts stand behind the ports: the only place that picks a database."""

from contextlib import closing
from typing import NamedTuple

from litestar import Litestar

from datacat.api.app import create_app
from datacat.api.requests import Requests
from datacat.grafana import flat
from datacat.grafana.export import export_sessions
from datacat.ingest.committer import Committer
from datacat.ingest.throttle import Throttle
from datacat.model.clock import Clock, SystemClock
from datacat.query.live import Hub
from datacat.server.address import asked_by
from datacat.server.settings import Settings, split
from datacat.store.keys import KeyStore
from datacat.store.sqlite.keys import SqliteKeyReader, SqliteKeyStore
from datacat.store.sqlite.reader import SqliteReader
from datacat.store.sqlite.writer import SqliteWriter


class Service(NamedTuple):
    """The whole service, and what of it another road into it needs."""

    app: Litestar
    ingest: Committer
    throttle: Throttle
    requests: Requests
    hub: Hub
    clock: Clock


def build(settings: Settings) -> Service:
    """The whole service, ready to be served."""
    path = settings.file()
    clock = SystemClock()
    hub = Hub(clock)
    throttle = Throttle()
    requests = Requests()
    ingest = Committer(
        lambda: SqliteWriter(path, durability=settings.durability), clock, committed=hub.committed
    )
    app = create_app(
        ingest=ingest,
        open_reader=lambda: SqliteReader(path),
        open_keys=lambda: SqliteKeyReader(path),
        clock=clock,
        hub=hub,
        throttle=throttle,
        requests=requests,
        asks_no_key=settings.insecure_no_auth,
        kept=settings.retention(),
        cors_origins=split(settings.cors_origins),
        is_ours=asked_by(settings),
        more_handlers=[export_sessions, *flat.HANDLERS],
    )
    return Service(app, ingest, throttle, requests, hub, clock)


def key_store(settings: Settings) -> KeyStore:
    """The keys, to be managed; the database is made where it is missing.

    Raises:
        StoreError: it cannot be used; says why.
    """
    return SqliteKeyStore(settings.file())


def asks_for_keys(settings: Settings) -> bool:
    """Whether a key was ever made; a database that is not there stays so.

    Raises:
        StoreError: it cannot be served from; says why.
    """
    if not settings.file().exists():
        return False
    with closing(key_store(settings)) as keys:
        return keys.any()


def check_store(settings: Settings) -> None:
    """Open the database once, and close it.

    Raises:
        StoreError: it cannot be served from; says why.
    """
    SqliteWriter(settings.file(), durability=settings.durability).close()
