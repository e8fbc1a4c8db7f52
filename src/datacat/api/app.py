"""The application: handlers, errors and what they are given to work with."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing

from litestar import Litestar
from litestar.config.cors import CORSConfig
from litestar.di import Provide
from litestar.types import ControllerRouterHandler

from datacat.api import dependencies, errors, live, openapi, verdicts
from datacat.api.gate import Gate, guard
from datacat.api.health import healthz, readyz, root
from datacat.api.metrics import metrics
from datacat.api.parameters import refuse_unclear
from datacat.api.products import list_products
from datacat.api.queries import provide_names, provide_scope
from datacat.api.requests import Requests
from datacat.api.rows import EventsController, MetricsController
from datacat.api.sessions import SessionsController
from datacat.api.states import StatesController
from datacat.ingest.committer import Committer
from datacat.ingest.janitor import Janitor
from datacat.ingest.liveness import Liveness
from datacat.ingest.throttle import Throttle
from datacat.model.clock import Clock
from datacat.model.retention import Retention
from datacat.query.live import Hub
from datacat.store.keys import KeyReader
from datacat.store.port import Reader


def create_app(
    *,
    ingest: Committer,
    open_reader: Callable[[], Reader],
    open_keys: Callable[[], KeyReader],
    clock: Clock,
    hub: Hub,
    throttle: Throttle,
    requests: Requests,
    kept: Retention | None = None,
    asks_no_key: bool = False,
    cors_origins: Sequence[str] = (),
    is_ours: Callable[[str], bool] = lambda _: True,
    more_handlers: Sequence[ControllerRouterHandler] = (),
) -> Litestar:
    """The ASGI application.

    Args:
        ingest: started and stopped with the application; told of sessions that fall silent.
        open_reader: called once the store is there.
        open_keys: the same, for the keys.
        clock: the server's time.
        hub: who listens to what happens.
        throttle: how much each key has brought.
        requests: how many were answered.
        kept: which sessions, and for how long; None for all of them.
        asks_no_key: let everybody in, whatever keys there are.
        cors_origins: whose pages may ask from a browser, and record where no key is needed.
        is_ours: whether the service may be asked by what a header ``Host`` says, where no key is needed.
        more_handlers: routes of other stations, such as the Grafana export.
    """
    cors = _cors(cors_origins)

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        await ingest.start()
        # Closed first: the last one to close folds the log into the file, and must be the writer.
        with closing(open_reader()) as reader, closing(open_keys()) as keys:
            app.state.reader = reader
            app.state.gate = Gate(
                keys, asks_none=asks_no_key, invited=cors.is_origin_allowed, is_ours=is_ours
            )
            app.state.janitor = Janitor(ingest, reader, clock, kept or Retention())
            async with Liveness(ingest, reader, clock).running(), app.state.janitor.running():
                yield
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
            root,
            healthz,
            readyz,
            metrics,
            openapi.document,
            openapi.assets(),
            *more_handlers,
        ],
        dependencies={
            **dependencies.provided(ingest, throttle, requests, hub, clock),
            "of": Provide(provide_names),
            "within": Provide(provide_scope),
        },
        guards=[guard, refuse_unclear],
        cors_config=cors if cors_origins else None,
        exception_handlers=errors.HANDLERS,
        lifespan=[lifespan],
        openapi_config=openapi.config(),
        request_max_body_size=None,  # api/body.py holds the limit, with our own error
        logging_config=None,  # server/run.py decides what the log says
    )


def _cors(origins: Sequence[str]) -> CORSConfig:
    return CORSConfig(
        allow_origins=list(origins),
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=[
            "Authorization",
            "Content-Type",
            "Content-Encoding",
            "Datacat-Origin",
            "Last-Event-ID",
        ],
        expose_headers=["Retry-After"],
    )
