"""HTTPS by a certificate of the test's own: the service, the client, the commands."""

import json
import os

import pytest
import trustme
import urllib3
from tests.acceptance.programs import run
from tests.conftest import Service
from tests.forks import run_datacat


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """The file of an authority's certificate, and a certificate and a key that it gave to this machine."""
    folder = tmp_path_factory.mktemp("tls")
    ca = trustme.CA()
    given = ca.issue_cert("127.0.0.1", "localhost")
    paths = [folder / name for name in ("ca.pem", "cert.pem", "key.pem")]
    for path, pem in zip(paths, (ca.cert_pem, given.cert_chain_pems[0], given.private_key_pem), strict=True):
        pem.write_to_path(path)
    return paths


@pytest.fixture(scope="module")
def secure(authority, tmp_path_factory):
    _, cert, key = authority
    database = tmp_path_factory.mktemp("secure") / "datacat.db"
    service = Service(database, "--tls-cert", str(cert), "--tls-key", str(key))
    yield service
    service.stop()


def datacat(*arguments, **environ):
    return run_datacat(*arguments, environ=os.environ | environ)


def test_the_service_announces_https_and_speaks_nothing_else(secure, authority):
    assert secure.url.startswith("https://")
    pool = urllib3.PoolManager(ca_certs=str(authority[0]), retries=False)
    assert pool.request("GET", secure.url + "/readyz").status == 200
    with pytest.raises(urllib3.exceptions.HTTPError):
        pool.request("GET", secure.url.replace("https:", "http:") + "/readyz")
    with pytest.raises(urllib3.exceptions.SSLError):
        urllib3.PoolManager(retries=False).request("GET", secure.url + "/readyz")


def test_a_program_that_trusts_the_authority_records(secure, authority):
    code = "import datacat\ns = datacat.create_session(product='safe')\ns.log_event('saved', {})\ns.end()\n"
    done = run(code, secure.url, SSL_CERT_FILE=str(authority[0]))
    assert (done.returncode, done.stderr) == (0, "")
    listed = datacat("sessions", "--json", "--url", secure.url, SSL_CERT_FILE=str(authority[0]))
    assert json.loads(listed.stdout)["product"] == "safe"


def test_doctor_tells_what_is_wrong_with_tls(secure, authority, tmp_path):
    def problems(url, **environ):
        done = datacat(
            "doctor",
            "--json",
            "--url",
            url,
            "--port",
            secure.port,
            "--database",
            secure.database,
            DATACAT_JOURNAL_DIR=str(tmp_path),
            **environ,
        )
        assert done.stderr == ""
        return [each["code"] for each in json.loads(done.stdout)["findings"] if each["level"] == "problem"]

    assert problems(secure.url, SSL_CERT_FILE=str(authority[0])) == []
    assert problems(secure.url) == ["certificate_not_trusted"]
    assert problems(secure.url.replace("https:", "http:")) == ["tls_wanted"]


def test_a_certificate_without_its_key_is_told_before_anything_is_made(authority, tmp_path):
    done = datacat("serve", "--port", "0", "--database", tmp_path / "a.db", "--tls-cert", authority[1])
    assert done.returncode == 1
    assert "--tls-key is not: HTTPS needs both" in done.stderr
    assert list(tmp_path.iterdir()) == []
