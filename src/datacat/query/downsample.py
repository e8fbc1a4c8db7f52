"""Curves of fewer points that look like the whole: pure.

Largest-Triangle-Three-Buckets: Sveinn Steinarsson, "Downsampling Time Series for Visual Representation", University of
Iceland 2013, https://hdl.handle.net/1946/15343. All but the two ends are cut into buckets of equal size; of each the point is
kept that spans the largest triangle with the one kept before and the mean of the next bucket.
"""

from collections.abc import Sequence

Point = tuple[int, float]
"""A time, and a value."""


def lttb(points: Sequence[Point], count: int) -> list[Point]:
    """At most ``count`` of the points, both ends among them; all, where they are no more than that.

    >>> lttb([(0, 0.0), (1, 0.0), (2, 9.0), (3, 0.0), (4, 0.0), (5, 1.0)], 3)
    [(0, 0.0), (2, 9.0), (5, 1.0)]
    """
    if len(points) <= max(count, 2):
        return list(points)
    if count <= 2:
        return [points[0], points[-1]][:count]
    width = (len(points) - 2) / (count - 2)
    edges = [1 + int(n * width) for n in range(count - 2)] + [len(points) - 1, len(points)]
    kept = [points[0]]
    for first, until, after in zip(edges, edges[1:], edges[2:], strict=False):
        following = points[until:after]
        mean_time = sum(time for time, _ in following) / len(following)
        mean_value = sum(value for _, value in following) / len(following)
        kept.append(_farthest(points[first:until], kept[-1], mean_time, mean_value))
    return [*kept, points[-1]]


def _farthest(bucket: Sequence[Point], before: Point, mean_time: float, mean_value: float) -> Point:
    time, value = before
    run, rise = mean_time - time, mean_value - value
    # Twice the triangle's area: the factor is the same for all.
    return max(bucket, key=lambda point: abs((point[0] - time) * rise - (point[1] - value) * run))
