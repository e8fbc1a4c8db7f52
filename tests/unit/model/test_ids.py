import uuid

import pytest

from datacat.model.errors import InvalidInput
from datacat.model.ids import new_session_id, parse_session_id


def test_new_ids_are_version_7_and_of_the_rfc_variant():
    made = uuid.UUID(new_session_id())
    assert (made.version, made.variant) == (7, uuid.RFC_4122)


def test_new_ids_differ():
    assert len({new_session_id() for _ in range(1000)}) == 1000


def test_an_id_is_read_in_any_of_its_forms():
    assert parse_session_id("0190B5A07A5B7CC48F6E3D1C5B2A9E10") == "0190b5a0-7a5b-7cc4-8f6e-3d1c5b2a9e10"


def test_what_is_no_uuid_is_refused():
    with pytest.raises(InvalidInput, match="must be a UUID"):
        parse_session_id("editor-1")
