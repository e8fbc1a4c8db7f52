import pytest

from datacat.model.errors import ConfigurationError
from datacat.server.address import asked_by, check_address, check_names
from datacat.server.settings import Settings


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_is_served(host):
    check_address(Settings(host=host), asks_for_keys=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org"])
def test_another_address_is_refused_with_the_cure_unless_keys_are_asked_or_it_is_meant(host):
    with pytest.raises(ConfigurationError, match="--insecure-no-auth"):
        check_address(Settings(host=host), asks_for_keys=False)
    check_address(Settings(host=host, insecure_no_auth=True), asks_for_keys=False)
    check_address(Settings(host=host), asks_for_keys=True)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "localhost",
        "LOCALHOST:8080",
        "localhost.:8080",
        "datacat.localhost:8080",
        "127.0.0.1:8080",
        "10.0.0.1",
        "[::1]",
        "[::1]:8080",
        "datacat.example.org",
        "Datacat.Example.org:443",
        "board.example",
        "buildbox:8080",
    ],
)
def test_it_is_asked_by_what_nobody_can_own_by_addresses_and_by_the_names_it_was_given(host):
    assert asked_by(Settings(allowed_hosts="datacat.example.org, board.example"))(host)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "localhost:8080.evil.example",
        "127.0.0.1.evil.example:8080",
        "sub.datacat.example.org",
        "[::1].evil.example",
        ":8080",
        "a:b:c",
    ],
)
def test_it_is_not_asked_by_a_name_that_may_be_anybodys(host):
    assert not asked_by(Settings(allowed_hosts="datacat.example.org"))(host)


@pytest.mark.parametrize(("named", "ours"), [("", True), ("localhost", False)])
def test_who_lets_everybody_in_who_reaches_the_address_is_asked_by_any_name_unless_it_names_some(named, ours):
    settings = Settings(host="0.0.0.0", insecure_no_auth=True, allowed_hosts=named)
    assert asked_by(settings)("datacat.example.org") is ours


@pytest.mark.parametrize(
    "named", ["datacat.example.org:8443", "Datacat.example.org.", "a, datacat.example.org"]
)
def test_a_name_may_be_given_as_it_is_asked(named):
    settings = Settings(allowed_hosts=named)
    check_names(settings)
    assert asked_by(settings)("datacat.example.org")


@pytest.mark.parametrize(
    "named", ["*", "https://datacat.example.org", "*.example.org", "a b", "bücher.example"]
)
def test_a_name_that_nobody_can_ask_by_is_refused(named):
    with pytest.raises(ConfigurationError, match="allowed_hosts are names such as"):
        check_names(Settings(allowed_hosts=f"datacat.example.org, {named}"))
