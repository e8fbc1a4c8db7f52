"""Fewer points that look like all of them."""

from hypothesis import given
from hypothesis import strategies as st

from datacat.query.downsample import lttb

POINTS = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60).map(
    lambda values: [(n, value) for n, value in enumerate(values)]
)


@given(POINTS, st.integers(1, 70))
def test_what_is_kept_are_points_in_their_order_no_more_than_asked_for_and_both_ends(points, count):
    kept = lttb(points, count)
    assert len(kept) == (len(points) if len(points) <= max(count, 2) else count)
    assert kept == [point for point in points if point in kept]
    assert kept[0] == points[0]
    if count > 1:
        assert kept[-1] == points[-1]


def test_a_spike_is_kept_wherever_it_is():
    for place in range(1, 99):
        points = [(n, 50.0 if n == place else 0.0) for n in range(100)]
        assert (place, 50.0) in lttb(points, 10)
