from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from datacat.model.errors import ConfigurationError
from datacat.server.settings import Settings, check_tls, load


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
        (
            {"durability": "much"},
            {},
            "",
            "durability from the command line is 'much': it is one of full, normal",
        ),
        ({}, {"DATACAT_PORT": "http"}, "", "port from the environment is 'http'"),
        ({}, {}, "port = 70000\n", "port from .*datacat.toml is 70000: .* <= 65535"),
        ({}, {}, "prot = 8080\n", "datacat.toml sets 'prot', which is none: there are host, port"),
        ({}, {}, "port = \n", "not TOML"),
        ({"retain": "soon"}, {}, "", "from the command line: retain is a period"),
        ({}, {"DATACAT_MAX_SIZE": "much"}, "", "from the environment: max_size is a size"),
        ({"max_size": "20"}, {}, "", "from the command line: max_size is a size, .* found '20'"),
        ({}, {"DATACAT_MAX_SIZE": "20"}, "", "from the environment: max_size is a size, .* found '20'"),
        ({}, {}, "max_size = 20\n", "datacat.toml: max_size is a size, .* found '20'"),
        ({"retain": "30"}, {}, "", "from the command line: retain is a period, .* found '30'"),
        ({}, {"DATACAT_RETAIN": "30"}, "", "from the environment: retain is a period, .* found '30'"),
        ({}, {}, "retain = 30\n", "datacat.toml: retain is a period, .* found '30'"),
    ],
)
def test_a_wrong_setting_is_told_with_its_source(tmp_path, flags, environ, toml, said):
    file = tmp_path / "datacat.toml"
    file.write_text(toml)
    with pytest.raises(ConfigurationError, match=said):
        load(flags, environ, file)


def test_a_database_behind_a_link_is_the_file_that_it_leads_to(tmp_path):
    link = tmp_path / "link.db"
    link.symlink_to("large/real.db")
    assert Settings(database=str(link)).file() == tmp_path / "large" / "real.db"
    assert Settings(database="datacat.db").file() == Path("datacat.db")


def test_a_missing_settings_file_is_told():
    with pytest.raises(ConfigurationError, match="cannot read"):
        load({}, {}, Path("/nowhere/datacat.toml"))


@pytest.fixture
def pair(tmp_path):
    """A certificate's file, and its key's."""
    certificate = trustme.CA().issue_cert("localhost")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.cert_chain_pems[0].write_to_path(cert)
    certificate.private_key_pem.write_to_path(key)
    return cert, key


def tls(cert="", key=""):
    check_tls(Settings(tls_cert=str(cert), tls_key=str(key)))


def test_a_certificate_and_its_key_are_served_with(pair):
    tls(*pair)
    tls()


def test_half_of_the_pair_is_told(pair):
    with pytest.raises(ConfigurationError, match="--tls-key is not"):
        tls(pair[0])
    with pytest.raises(ConfigurationError, match="--tls-cert is not"):
        tls(key=pair[1])


def test_a_file_that_is_not_there_is_told(pair):
    with pytest.raises(ConfigurationError, match=r"cannot read .*none.pem: No such file"):
        tls(pair[0], pair[1].with_name("none.pem"))


def test_what_is_no_certificate_or_of_another_key_is_told(pair, tmp_path):
    (tmp_path / "text.pem").write_text("hello")
    other = tmp_path / "other.pem"
    trustme.CA().issue_cert("localhost").private_key_pem.write_to_path(other)
    for cert, key in ((tmp_path / "text.pem", pair[1]), (pair[0], tmp_path / "text.pem"), (pair[0], other)):
        with pytest.raises(ConfigurationError, match="no certificate and its key"):
            tls(cert, key)


def test_a_key_that_is_encrypted_is_told_and_no_password_asked_for(pair):
    key = load_pem_private_key(pair[1].read_bytes(), None)
    pair[1].write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    )
    with pytest.raises(ConfigurationError, match="is encrypted"):
        tls(*pair)
