from pathlib import Path

import pytest

from datacat.model.errors import ConfigurationError
from datacat.server.settings import Settings, check_address, load


def test_flags_weigh_more_than_the_environment_and_that_more_than_the_file(tmp_path):
    file = tmp_path / "datacat.toml"
    file.write_text('port = 1\nhost = "::1"\ndatabase = "file.db"\n')
    environ = {"DATACAT_PORT": "2", "DATACAT_DATABASE": "env.db", "DATACAT_CONFIG": str(file)}
    settings = load({"port": 3, "host": None}, environ)
    assert (settings.port, settings.database, settings.host) == (3, "env.db", "::1")


def test_without_anything_the_service_is_on_loopback():
    assert load({}, {}) == Settings(host="127.0.0.1", port=8080)


@pytest.mark.parametrize("word", ["true", "1"])
def test_the_environment_writes_booleans_as_words(word):
    assert load({}, {"DATACAT_INSECURE_NO_AUTH": word}).insecure_no_auth is True


@pytest.mark.parametrize(
    ("flags", "environ", "toml", "said"),
    [
        ({"durability": "much"}, {}, "", "command line"),
        ({}, {"DATACAT_PORT": "http"}, "", "environment"),
        ({}, {}, "prot = 8080\n", "prot"),
        ({}, {}, "port = \n", "not TOML"),
    ],
)
def test_a_wrong_setting_is_told_with_its_source(tmp_path, flags, environ, toml, said):
    file = tmp_path / "datacat.toml"
    file.write_text(toml)
    with pytest.raises(ConfigurationError, match=said):
        load(flags, environ, file)


def test_a_missing_settings_file_is_told():
    with pytest.raises(ConfigurationError, match="cannot read"):
        load({}, {}, Path("/nowhere/datacat.toml"))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_is_served(host):
    check_address(Settings(host=host), asks_for_keys=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org"])
def test_another_address_is_refused_with_the_cure_unless_keys_are_asked_or_it_is_meant(host):
    with pytest.raises(ConfigurationError, match="--insecure-no-auth"):
        check_address(Settings(host=host), asks_for_keys=False)
    check_address(Settings(host=host, insecure_no_auth=True), asks_for_keys=False)
    check_address(Settings(host=host), asks_for_keys=True)
