"""The application: handlers, errors and what they are given to work with."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from litestar import Litestar
from litestar.di import Provide
from litestar.types import ControllerRouterHandler

from datacat.api import errors, live, openapi, verdicts
from datacat.api.health import healthz, readyz
from datacat.api.metrics import metrics
from datacat.api.products import list_products
from datacat.api.queries import provide_scope
from datacat.api.rows import EventsController, MetricsController
from datacat.api.sessions import SessionsController
from datacat.api.states import StatesController
from datacat.ingest.committer import Committer
from datacat.ingest.liveness import Liveness
from datacat.model.clock import Clock
from datacat.query.live import Hub
from datacat.query.share import Share
from datacat.store.port import Reader


def create_app(
    *,
    ingest: Committer,
    open_reader: Callable[[], Reader],
    clock: Clock,
    hub: Hub,
    more_handlers: Sequence[ControllerRouterHandler] = (),
) -> Litestar:
    """The ASGI application.

    Args:
        ingest: started and stopped with the application; told of sessions that fall silent.
        open_reader: called once the store is there.
        clock: the server's time.
        hub: who listens to what happens.
        more_handlers: routes of other stations, such as the Grafana export.
    """
    readers: list[Reader] = []
    share = Share()

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        await ingest.start()
        readers.append(open_reader())
        try:
            async with Liveness(ingest, readers[0], clock).running():
                yield
        finally:
            readers.pop().close()  # first: the last one to close folds the log into the file, and must be the writer
            await ingest.stop()

    return Litestar(
        route_handlers=[
            SessionsController,
            StatesController,
            EventsController,
            MetricsController,
            live.follow_all,
            live.follow_session,
            live.head,
            list_products,
            verdicts.list_problems,
            verdicts.list_hangs,
            verdicts.list_crashes,
            verdicts.get_reliability,
            healthz,
            readyz,
            metrics,
            openapi.document,
            openapi.assets(),
            *more_handlers,
        ],
        dependencies={
            "ingest": Provide(lambda: ingest, sync_to_thread=False),
            "reader": Provide(lambda: readers[0], sync_to_thread=False),
            "clock": Provide(lambda: clock, sync_to_thread=False),
            "hub": Provide(lambda: hub, sync_to_thread=False),
            "share": Provide(lambda: share, sync_to_thread=False),
            "within": Provide(provide_scope),
        },
        exception_handlers=errors.HANDLERS,
        lifespan=[lifespan],
        openapi_config=openapi.config(),
        request_max_body_size=None,  # api/body.py holds the limit, with our own error
        logging_config=None,  # server/run.py decides what the log says
    )
