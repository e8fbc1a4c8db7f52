import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacat.query.wilson import wilson_interval


@pytest.mark.parametrize(
    ("hits", "total", "low", "high"),
    [
        # Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in Medicine 17
        # (1998), table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_interval_is_wilsons(hits, total, low, high):
    assert [round(bound, 4) for bound in wilson_interval(hits, total)] == [low, high]


def test_of_nothing_counted_nothing_is_known():
    assert wilson_interval(0, 0) == (0.0, 1.0)


@given(st.integers(1, 10**9), st.data())
def test_the_rate_lies_within_and_mirrors(total, data):
    hits = data.draw(st.integers(0, total))
    low, high = wilson_interval(hits, total)
    assert 0.0 <= low <= hits / total <= high <= 1.0
    assert wilson_interval(total - hits, total) == pytest.approx((1 - high, 1 - low), abs=1e-9)
