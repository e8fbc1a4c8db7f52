"""Every query of every dashboard and alert rule that is shipped, asked as the plugins ask it."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from datacat.grafana.alerts import rules
from datacat.grafana.dashboards import DASHBOARDS
from datacat.grafana.provisioning import files

HERE = Path(__file__).parent
DEPLOY = HERE.parents[1] / "deploy"

OF_TYPE: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "boolean": (bool,),
    "timestamp_epoch": (int,),
}


def dashboard_targets(kind: str) -> list[Any]:
    return [
        pytest.param(target, id=f"{dashboard['uid']}-{panel['title']}")
        for dashboard in (make() for make in DASHBOARDS)
        for panel in [*dashboard["panels"], *annotations(dashboard)]
        for target in panel["targets"]
        if kind in target["datasource"]["type"]
    ]


def annotations(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"title": each["name"], "targets": [each["target"]]} for each in dashboard["annotations"]["list"]]


def variables() -> list[Any]:
    return [
        pytest.param(choice["query"]["infinityQuery"], id=f"{dashboard['uid']}-{choice['name']}")
        for dashboard in (make() for make in DASHBOARDS)
        for choice in dashboard["templating"]["list"]
    ]


def filled(text: str, recorded: Any, **values: str) -> str:
    """As Grafana fills variables in; one that is not known is a mistake."""
    known = {
        "product": "*",
        "version": "*",
        "environment": "*",
        "metric": "fps",
        "session": recorded.sessions["recovered"],
        "__timeFrom": str((recorded.now - 86_400_000_000) // 1_000),
        "__timeTo": str(recorded.now // 1_000 + 60_000),
        **values,
    }
    return re.sub(r"\$\{(\w+)\}", lambda match: known[match[1]], text)


def ask(query: dict[str, Any], recorded: Any, **values: str) -> Any:
    params = {
        each["key"]: filled(each["value"], recorded, **values) for each in query["url_options"]["params"]
    }
    return recorded.ask(query["url"], **params)


@pytest.mark.parametrize("query", dashboard_targets("infinity"))
def test_a_panel_has_rows_whose_every_column_is_there_and_of_its_type(recorded, query):
    rows = ask(query, recorded)
    assert rows, "the panel is empty"
    for column in query["columns"]:
        values = [row[column["selector"]] for row in rows]
        assert all(value is None or isinstance(value, OF_TYPE[column["type"]]) for value in values), column
        assert any(value is not None for value in values), f"{column['selector']} is empty"
    if (times := [row["time"] for row in rows if "time" in row]) and None not in times:
        assert times == sorted(times)
        # Just after midnight the day that a session began in is nearly two days old.
        assert all(abs(time - recorded.now / 1_000) < 2 * 86_400_000 for time in times), "no milliseconds"
    if query["format"] == "timeseries":
        kinds = [column["type"] for column in query["columns"]]
        assert (kinds.count("timestamp_epoch"), kinds.count("number")) == (1, 1)


@pytest.mark.parametrize("query", variables())
def test_a_variable_has_choices(recorded, query):
    rows = ask(query, recorded)
    assert rows
    assert all(set(row) == {"__text", "__value"} and row["__value"] for row in rows)


@pytest.mark.parametrize("query", dashboard_targets("infinity"))
@pytest.mark.parametrize(
    "values",
    [
        {"product": "no such"},
        {"session": ""},
        {"metric": ""},
        {"session": "01a211f4-ab8c-753c-a1c4-7c29a6330c51"},
    ],
    ids=str,
)
def test_a_panel_of_nothing_is_an_empty_list(recorded, query, values):
    assert isinstance(ask(query, recorded, **values), list)


@pytest.fixture(scope="session")
def node(tmp_path_factory):
    """A directory in which node finds the parsers of the JSON API data source."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        assert not os.environ.get("CI"), "node is missing, and in CI nothing may be skipped"
        pytest.skip("NODE IS MISSING: the queries of the JSON API data source are not tested")
    folder = tmp_path_factory.mktemp("node") / "node"
    shutil.copytree(HERE / "node", folder, ignore=shutil.ignore_patterns("node_modules"))
    subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return folder


@pytest.mark.parametrize("query", dashboard_targets("marcusolsson"))
def test_the_parsers_of_the_json_api_find_every_field_of_a_panel(recorded, node, query):
    document = recorded.ask(query["urlPath"], **dict(query["params"]))
    done = subprocess.run(
        ["node", "evaluate.mjs"],
        input=json.dumps({"document": document, "fields": query["fields"]}),
        cwd=node,
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert len({len(values) for values in found.values()}) == 1, "fields have different lengths"
    for field in query["fields"]:
        values = found[field["name"]]
        assert values, "the panel is empty"
        kind = (int, float) if field["type"] == "number" else str
        assert all(isinstance(value, kind) for value in values), field


def test_infinitys_jq_reads_the_raw_export(recorded):
    if shutil.which("jq") is None:
        assert not os.environ.get("CI"), "jq is missing, and in CI nothing may be skipped"
        pytest.skip("JQ IS MISSING: the raw export is not read as Infinity would")
    asked = '[.[] | select(.status == "hung") | {id, ended_at, fps: [.metrics[] | select(.name == "fps") | .value] | add}]'
    document = json.dumps(recorded.ask("/api/grafana/sessions"))
    done = subprocess.run(["jq", "-c", asked], input=document, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [{"id": recorded.sessions["hung"], "ended_at": None, "fps": 1190}]


def test_the_raw_export_has_every_key_in_every_session(recorded):
    sessions = recorded.ask("/api/grafana/sessions")
    assert len(sessions) == len(recorded.sessions)
    assert len({frozenset(session) for session in sessions}) == 1
    assert {session["ended_at"] is None for session in sessions} == {True, False}


@pytest.mark.parametrize("query", [rule["data"][0]["model"] for rule in rules(0.99)["groups"][0]["rules"]])
def test_an_alert_rule_has_a_number_to_compare(recorded, query):
    rows = ask(query, recorded)
    numbers = [column["selector"] for column in query["columns"] if column["type"] == "number"]
    assert len(numbers) == 1
    assert all(isinstance(row[numbers[0]], (int, float)) for row in rows)
    assert rows


def test_the_alert_on_hung_sessions_has_one_instance_a_session_and_none_when_none_hangs(recorded):
    (query,) = [
        rule["data"][0]["model"]
        for rule in rules(0.99)["groups"][0]["rules"]
        if rule["uid"] == "datacat-hung"
    ]
    (row,) = ask(query, recorded)
    assert (row["id"], row["hangs"] > 0) == (recorded.sessions["hung"], True)


def test_dashboards_have_fixed_names_and_no_variable_that_a_parser_takes_for_its_own():
    made = [make() for make in DASHBOARDS]
    assert [each["uid"] for each in made] == [
        "datacat-overview",
        "datacat-session",
        "datacat-reliability",
        "datacat-export-jsonapi",
    ]
    for each in made:
        assert each["schemaVersion"] == 41
        names = {choice["name"] for choice in each["templating"]["list"]}
        assert not names & {"i", "count", "toMillis"}
        used = set(re.findall(r"\$\{(\w+)\}", json.dumps([each["panels"], each["annotations"]])))
        assert used - {"__timeFrom", "__timeTo", "__url_time_range"} <= names
        places = [panel["gridPos"] for panel in each["panels"]]
        assert all(place["x"] + place["w"] <= 24 for place in places)
        assert len({(place["x"], place["y"]) for place in places}) == len(places)
        for panel in each["panels"]:
            assert panel["datasource"] == panel["targets"][0]["datasource"]


def test_what_lies_in_deploy_is_what_is_written_anew():
    written = files("http://datacat:8080", seen_at="/etc/grafana/provisioning")
    for name, text in written.items():
        path = DEPLOY / "grafana" / name
        assert path.read_text(encoding="utf-8") == text, (
            "write it anew: datacat grafana provision deploy/grafana --url http://datacat:8080 "
            "--seen-at /etc/grafana/provisioning"
        )
    on_disk = {str(path.relative_to(DEPLOY / "grafana")) for path in (DEPLOY / "grafana").rglob("*.*")}
    assert on_disk == set(written)


def test_the_files_are_what_grafana_reads():
    written = files("https://d.example/", key="k$y", seen_at="/p", crash_free_below=0.5)
    (source, export) = msgspec.yaml.decode(written["datasources/datacat.yaml"])["datasources"]
    assert source["uid"] == "datacat"
    assert source["url"] == "https://d.example"
    assert source["jsonData"]["customHealthCheckUrl"] == "https://d.example/api/grafana"
    assert source["secureJsonData"] == {"bearerToken": "k$$y"}, "a dollar is escaped"
    assert export["secureJsonData"]["httpHeaderValue1"] == "Bearer k$$y"
    (provider,) = msgspec.yaml.decode(written["dashboards/datacat.yaml"])["providers"]
    assert provider["options"]["path"] == "/p/dashboards"
    (group,) = msgspec.yaml.decode(written["alerting/datacat.yaml"])["groups"]
    assert len(group["rules"]) == 3
    assert "${__timeFrom}" not in written["alerting/datacat.yaml"].replace("$${", "")


def test_compose_and_prometheus_rules_name_what_there_is(recorded):
    compose = msgspec.yaml.decode((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    assert set(compose["services"]) == {"datacat", "grafana", "editor", "worker", "vanishing"}
    for name in ("editor", "worker", "vanishing"):
        assert (HERE.parents[1] / "examples" / f"{name}.py").is_file()
    assert (DEPLOY / "Dockerfile").is_file()
    (group,) = msgspec.yaml.decode((DEPLOY / "prometheus/datacat.rules.yml").read_text(encoding="utf-8"))[
        "groups"
    ]
    metrics = metric_names(recorded)
    for rule in group["rules"]:
        assert set(re.findall(r"datacat_\w+", rule["expr"])) <= metrics


def metric_names(recorded: Any) -> set[str]:
    return set(re.findall(r"^(datacat_\w+)", recorded.text("/metrics"), re.MULTILINE))
