"""One session's metrics as curves of few points, as a screen has room for."""

from collections import defaultdict
from typing import Final, Literal, get_args

import msgspec
from msgspec import Raw, Struct

from datacat.model.session import Session
from datacat.query.downsample import lttb
from datacat.store.asked import Scope, Wanted
from datacat.store.found import SeriesPoint
from datacat.store.port import Reader
from datacat.wire.timestamps import rfc3339

Reduction = Literal["avg", "min", "max", "last", "lttb"]
"""What a point is: of those within a span of time the mean, the lowest, the highest or the last; or, of all of them, the
ones that the curve would miss most (see :mod:`datacat.query.downsample`)."""

REDUCTIONS: Final = get_args(Reduction)

_CANDIDATES: Final = 4
"""For each point that is chosen so, the lowest and highest of two spans: what lies between them is not missed."""


class CurvePoint(Struct, gc=False):
    """One point of a curve."""

    timestamp: str
    value: float


class Curve(Struct):
    """One metric with one set of tags, oldest point first."""

    name: str
    kind: str
    unit: str | None
    tags: Raw
    points: list[CurvePoint]


class Curves(Struct):
    """A session's curves, by their names and tags."""

    series: list[Curve]


def curves(reader: Reader, session: Session, wanted: Wanted, reduction: Reduction, max_points: int) -> Curves:
    """The curves, of at most ``max_points`` points each; one that has no more comes as it was recorded.

    Args:
        reader: whom to ask.
        session: whose.
        wanted: of which names, with which tags, in which time.
        reduction: what a point is, where there are more.
        max_points: at most so many.
    """
    scope = Scope(since=wanted.since, until=wanted.until)
    series: defaultdict[tuple[str, str, str, bytes], list[tuple[int, float]]] = defaultdict(list)
    names: list[str | None] = [*sorted(wanted.names)] or [None]
    for name in names:
        for point in _points(reader, session.id, name, scope, reduction, max_points):
            identity = point.name, point.kind, point.unit or "", bytes(point.tags)
            series[identity].append((point.time, point.value))
    return Curves(
        [
            Curve(name, kind, unit or None, Raw(tags), _shown(points, reduction, max_points))
            for (name, kind, unit, tags), points in sorted(series.items())
            if wanted.tags <= set(msgspec.json.decode(tags))
        ]
    )


def _points(
    reader: Reader, session_id: str, name: str | None, scope: Scope, how: Reduction, most: int
) -> list[SeriesPoint]:
    if how == "lttb":
        return reader.metric_extremes(session_id, name, scope, most * _CANDIDATES // 2, most)
    return reader.metric_of_session(session_id, name, scope, how, most)


def _shown(points: list[tuple[int, float]], how: Reduction, most: int) -> list[CurvePoint]:
    points.sort(key=lambda point: point[0])
    if how == "lttb":
        points = lttb(points, most)
    return [CurvePoint(rfc3339(time), value) for time, value in points]
