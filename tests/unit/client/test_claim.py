import os

from datacat.client.claim import VARIABLE, Claim, Offer, claim
from datacat.model.ids import new_session_id


def test_what_is_offered_can_be_had_once_and_others_are_below_it():
    session_id = new_session_id()
    with Offer(session_id) as offer:
        environ = {VARIABLE: offer.variable}
        assert not offer.taken
        assert claim(environ) == Claim(session_id)
        assert offer.taken
        assert claim(environ) == claim(environ) == Claim(parent_session_id=session_id)


def test_what_was_offered_is_not_to_be_had_afterwards():
    session_id = new_session_id()
    with Offer(session_id) as offer:
        pass
    assert claim({VARIABLE: offer.variable}) == Claim(parent_session_id=session_id)


def test_without_an_offer_a_session_is_its_own():
    assert claim({}) == Claim()
    assert claim({VARIABLE: "nonsense"}) == Claim()


def test_where_no_file_can_be_made_the_session_is_nobodys(monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", os.devnull)
    session_id = new_session_id()
    with Offer(session_id) as offer:
        assert claim({VARIABLE: offer.variable}) == Claim(parent_session_id=session_id)
