from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacat.model.errors import InvalidInput
from datacat.model.limits import MAX_TIME
from datacat.wire.timestamps import parse_timestamp, rfc3339


@pytest.mark.parametrize(
    "bad", ["yesterday", "2024-11-23", "2024-11-23T16:40:00", "1969-12-31T23:59:59Z", -1, MAX_TIME + 1, ""]
)
def test_what_names_no_moment_is_refused(bad):
    with pytest.raises(InvalidInput) as caught:
        parse_timestamp(bad)
    assert caught.value.code == "bad_timestamp"


@given(st.integers(0, MAX_TIME))
def test_a_moment_is_written_as_the_standard_library_writes_it(time):
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time)
    assert rfc3339(time) == moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    assert parse_timestamp(rfc3339(time)) == time
