"""What is recorded at all."""

import uuid

import pytest


@pytest.fixture
def product():
    return f"product-{uuid.uuid4()}"


def test_a_product_has_its_versions_with_their_sessions_the_latest_first(api, product):
    old = api.create(product=product, version="1", environment="prod")
    api.create(product=product, version="2", environment="test")
    api.create(product=product, version="2", environment="prod")
    api.call("POST", f"/api/sessions/{old}/end")
    status, products = api.call("GET", "/api/products")
    assert status == 200
    (found,) = [each for each in products if each["product"] == product]
    assert (found["sessions"], found["active"], found["ended"], found["crashed"]) == (3, 2, 1, 0)
    assert set(found["environments"]) == {"prod", "test"}
    assert {each["version"]: each["sessions"] for each in found["versions"]} == {"1": 1, "2": 2}
    assert found["last_seen"][:17] == api.get(old)["updated_at"][:17]
    assert [each["last_seen"] for each in products] == sorted(
        (p["last_seen"] for p in products), reverse=True
    )


def test_what_a_session_was_called_before_it_had_a_name_is_not_a_product(api, product):
    session_id = api.create(product=product)
    api.create(id=session_id, version="2")
    _, products = api.call("GET", "/api/products")
    (found,) = [each for each in products if each["product"] == product]
    assert [each["version"] for each in found["versions"]] == ["2"]
    assert found["sessions"] == 1
