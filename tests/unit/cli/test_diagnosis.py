from typing import Any

import pytest
from msgspec.structs import replace

from datacat.cli.diagnosis import Database, Disk, Facts, Journals, Port, Service, diagnose

WELL = Facts(
    version="1.2.0",
    python=(3, 12),
    now=2_000_000.0,
    installed=1_000_000.0,
    service=Service(
        url="http://host:8080",
        reached="answered",
        status=200,
        is_datacat=True,
        version="1.2.0",
        clock_ahead=0.4,
    ),
    port=Port(host="127.0.0.1", number=8080, taken=True, by_datacat=True),
    database=Database(path="/srv/datacat.db"),
    disks=[Disk(holds="database", path="/srv", free=500 * 10**9, total=10**12)],
    journals=Journals(root="/home/me/journal"),
)


def with_service(**changes: Any) -> Facts:
    return replace(WELL, service=replace(WELL.service, **changes))


def with_database(code: str, **changes: Any) -> Facts:
    return replace(WELL, database=Database(path="/srv/datacat.db", code=code, **changes))


def refused(facts: Facts) -> Facts:
    return replace(facts, service=Service(url="http://host:8080", reached="refused"))


def test_where_all_is_well_nothing_is_found():
    assert diagnose(WELL) == []
    assert diagnose(replace(WELL, database=None, port=None, disks=[])) == []


@pytest.mark.parametrize(
    ("facts", "code", "said"),
    [
        (replace(WELL, python=(3, 10)), "old_python", "Python 3.10"),
        (replace(WELL, now=900_000.0), "clock_in_the_past", "before datacat was installed"),
        (replace(WELL, settings_error="a setting is wrong"), "settings", "a setting is wrong"),
        (
            replace(WELL, disks=[Disk(holds="database", path="/srv", free=10**9, total=10**12)]),
            "disk_nearly_full",
            "1,000 MB free",
        ),
        (
            replace(WELL, disks=[Disk(holds="journals", path="/home", free=4 * 10**8, total=10**10)]),
            "disk_nearly_full",
            "the disk with the journals (/home)",
        ),
        (with_database("newer", detail="of a newer datacat"), "database_newer", "newer"),
        (with_database("not_ours"), "database_not_ours", "another program"),
        (with_database("damaged", detail="it is damaged"), "database_damaged", "damaged"),
        (refused(with_database("read_only")), "database_read_only", "cannot be written"),
        (with_database("locked", holders=["pid 7 (sqlite3)"]), "database_locked", "pid 7 (sqlite3)"),
        (with_database("unusable", detail="cannot be used now"), "database_unusable", "cannot be used"),
        (
            replace(WELL, port=Port(host="127.0.0.1", number=8080, taken=True, by="pid 5 (nginx)")),
            "port_taken",
            "pid 5 (nginx)",
        ),
        (with_service(url="host:8080", reached="no_url"), "url", "is no URL"),
        (with_service(reached="refused"), "service_refused", "nothing listens"),
        (with_service(reached="unknown_host"), "service_unknown_host", "no host"),
        (with_service(reached="timeout"), "service_timeout", "does not answer"),
        (with_service(reached="untrusted", detail="self-signed"), "certificate_not_trusted", "self-signed"),
        (with_service(reached="tls_wanted"), "tls_wanted", "wants TLS"),
        (with_service(reached="no_tls", url="https://host:8080"), "no_tls", "speaks no TLS"),
        (with_service(reached="other", detail="no route"), "service_unreachable", "no route"),
        (with_service(status=308, location="https://elsewhere/"), "redirected", "https://elsewhere/"),
        (with_service(status=401), "key_missing", "none is set"),
        (with_service(status=401, has_key=True), "key_refused", "DATACAT_KEY is unknown to it"),
        (
            with_service(status=401, has_key=True, code="key_revoked"),
            "key_refused",
            "DATACAT_KEY is revoked",
        ),
        (with_service(status=403), "key_missing", "none is set"),
        (with_service(bad_key=True), "key_malformed", "cannot be a key"),
        (with_service(status=401, bad_key=True), "key_malformed", "cannot be a key"),
        (with_service(status=502, is_datacat=False), "proxy", "with 502"),
        (with_service(status=503, is_datacat=False), "proxy", "with 503"),
        (with_service(status=407), "proxy", "with 407"),
        (with_service(status=404, is_datacat=False), "not_datacat", "is not datacat"),
        (with_service(status=503, detail="the disk is full"), "service_ill", "the disk is full"),
        (with_service(clock_ahead=75.0), "clock_off", "75 s ahead of"),
        (with_service(clock_ahead=-3600.0), "clock_off", "3,600 s behind"),
        (
            replace(WELL, journals=Journals(root="/j", error="no directory")),
            "journals_unusable",
            "no directory",
        ),
        (
            replace(WELL, journals=Journals(root="/j", waiting=2, bytes=3_000_000)),
            "journals_waiting",
            "3.0 MB of 2",
        ),
    ],
)
def test_a_problem_is_told_with_why_it_matters_and_the_cure(facts, code, said):
    (finding,) = [
        each for each in diagnose(facts) if each.code not in ("service_refused",) or code == each.code
    ]
    assert (finding.code, finding.level) == (code, "problem")
    assert said in finding.what
    assert finding.why
    assert finding.cure


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        (replace(WELL, missing=["psutil"]), "library_missing"),
        (with_database("missing", detail="there is no database"), "database_not_there"),
        (with_database("empty", detail="it is empty"), "database_not_there"),
        (replace(WELL, journals=Journals(root="/j", set_aside=1)), "journals_set_aside"),
        (with_service(version="1.3.0"), "versions_differ"),
        (with_service(status=403, has_key=True), "key_cannot_read"),
    ],
)
def test_a_note_is_no_problem(facts, code):
    assert [(finding.code, finding.level) for finding in diagnose(facts)] == [(code, "note")]


def test_problems_stand_before_notes():
    facts = replace(with_service(reached="refused"), missing=["psutil"])
    assert [finding.level for finding in diagnose(facts)] == ["problem", "note"]


def test_a_file_that_the_service_of_another_user_writes_is_no_problem():
    assert diagnose(with_database("read_only")) == []


def test_a_port_that_nobody_has_is_no_problem():
    assert diagnose(replace(WELL, port=Port(host="127.0.0.1", number=8080, taken=False))) == []


def test_what_waits_for_a_service_that_is_gone_can_be_delivered_to_this_one():
    waiting = Journals(root="/j", waiting=1, bytes=1, meant_for=["http://gone:8080"])
    (finding,) = diagnose(replace(WELL, journals=waiting))
    assert "http://gone:8080 only while that can be reached" in finding.cure
    assert f"datacat flush --url {WELL.service.url}" in finding.cure
    (_, finding) = diagnose(replace(with_service(reached="refused"), journals=waiting))
    assert "--url" not in finding.cure
    (finding,) = diagnose(replace(WELL, journals=replace(waiting, meant_for=[WELL.service.url])))
    assert "--url" not in finding.cure


def test_a_proxy_that_is_not_used_is_told_where_nothing_answers():
    facts = replace(with_service(reached="timeout"), proxies=["HTTPS_PROXY"])
    assert "HTTPS_PROXY name a proxy" in diagnose(facts)[0].cure


def test_the_right_scheme_is_told_whole():
    assert "write https://host:8080" in diagnose(with_service(reached="tls_wanted"))[0].cure
    assert (
        "write http://host:8080" in diagnose(with_service(reached="no_tls", url="https://host:8080"))[0].cure
    )
