import pickle

import pytest

from datacat.model import errors
from datacat.model.errors import InvalidInput, KeyForbids, RequestFailed, SequenceGap, UnknownSession


@pytest.mark.parametrize(
    "error",
    [
        RequestFailed("no session", request="GET http://x", status=404, code="unknown_session"),
        InvalidInput("bad_url", "write it so", field="url", found="x", expected="http://"),
        UnknownSession("01934f5e"),
        SequenceGap(last_seq=3, first_seq=7),
        KeyForbids.of_product("game", "editor"),
        errors.Busy("full", retry_after=2),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_comes_whole_out_of_another_process(error):
    again = pickle.loads(pickle.dumps(error))  # our own
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))
