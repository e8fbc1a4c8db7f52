"""What handlers are given to work with, as far as whoever asks may use it.

Nothing is checked at each request: the values are our own, and protocols cannot be asked.
"""

from typing import Any

from litestar import Request
from litestar.di import NamedDependency, Provide
from litestar.params import SkipValidation

from datacat.api.requests import Requests
from datacat.ingest.committer import Committer
from datacat.ingest.door import Door
from datacat.ingest.janitor import Janitor
from datacat.ingest.throttle import Throttle
from datacat.model.clock import Clock
from datacat.query.bound import BoundReader
from datacat.query.live import Hub
from datacat.query.share import Share
from datacat.store.port import Reader

Ingest = NamedDependency[SkipValidation[Door]]
Committing = NamedDependency[SkipValidation[Committer]]
Sessions = NamedDependency[SkipValidation[Reader]]
Listeners = NamedDependency[SkipValidation[Hub]]
"""Handlers ask for it as ``hub``."""

LiveShare = NamedDependency[SkipValidation[Share]]
"""Handlers ask for it as ``share``."""

ServerClock = NamedDependency[SkipValidation[Clock]]
Limits = NamedDependency[SkipValidation[Throttle]]
Answered = NamedDependency[SkipValidation[Requests]]
Removing = NamedDependency[SkipValidation[Janitor]]

AnyRequest = Request[Any, Any, Any]


def provided(
    committer: Committer, throttle: Throttle, requests: Requests, hub: Hub, clock: Clock
) -> dict[str, Provide]:
    """All of them, by the names that handlers ask for."""
    share = Share()

    def door(request: AnyRequest) -> Door:
        return Door(committer, request.auth, throttle, clock)

    def reader(request: AnyRequest) -> Reader:
        whole: Reader = request.app.state.reader
        product = request.auth.product
        return whole if product is None else BoundReader(whole, product)

    def janitor(request: AnyRequest) -> Janitor:
        at_work: Janitor = request.app.state.janitor
        return at_work

    values: dict[str, Any] = {
        "ingest": door,
        "reader": reader,
        "committer": lambda: committer,
        "clock": lambda: clock,
        "throttle": lambda: throttle,
        "janitor": janitor,
        "requests": lambda: requests,
        "hub": lambda: hub,
        "share": lambda: share,
    }
    return {name: Provide(value, sync_to_thread=False) for name, value in values.items()}
