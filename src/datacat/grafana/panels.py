"""Pieces of dashboards: queries and panels as Grafana's classic JSON model has them.

The shapes are those of the plugins' own sources: Infinity
(https://grafana.com/docs/plugins/yesoreyeram-infinity-datasource/latest/) and the older JSON API
(https://grafana.github.io/grafana-json-datasource/), with ``schemaVersion`` 41.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

Json = dict[str, Any]
ColumnType = Literal["string", "number", "boolean", "timestamp_epoch"]
Columns = Mapping[str, ColumnType]
"""A row's keys, and what is in them."""

INFINITY: Final[Json] = {"type": "yesoreyeram-infinity-datasource", "uid": "datacat"}
JSON_API: Final[Json] = {"type": "marcusolsson-json-datasource", "uid": "datacat-export"}

_FLAT: Final = "/api/grafana/flat"
SHOWN: Final = {"from": "${__timeFrom}", "to": "${__timeTo}"}
"""The time that the dashboard shows."""
CHOSEN: Final = {"product": "${product}", "version": "${version}", "environment": "${environment}"}
"""What the dashboard's variables say."""
WIDTH: Final = 24
"""Of a dashboard, in Grafana's columns."""


def flat(
    path: str,
    columns: Columns,
    params: Mapping[str, str],
    *,
    ref: str = "A",
    series: bool = False,
) -> Json:
    """A query of a flat endpoint; ``series`` asks for a frame by time, with the texts as labels."""
    return {
        "refId": ref,
        "datasource": INFINITY,
        "type": "json",
        "source": "url",
        "parser": "backend",
        "format": "timeseries" if series else "table",
        "url": f"{_FLAT}/{path}",
        "url_options": {
            "method": "GET",
            "data": "",
            "params": [{"key": key, "value": value} for key, value in params.items()],
        },
        "root_selector": "",
        "filters": [],
        "computed_columns": [],
        "columns": [{"selector": name, "text": name, "type": kind} for name, kind in columns.items()],
    }


def exported(fields: Sequence[tuple[str, str, str]], params: Mapping[str, str]) -> Json:
    """A query of the raw export: each field has a name, a type, and an expression in JSONPath or JSONata."""
    return {
        "refId": "A",
        "datasource": JSON_API,
        "method": "GET",
        "urlPath": "/api/grafana/sessions",
        "params": [[key, value] for key, value in params.items()],
        "headers": [],
        "body": "",
        "cacheDurationSeconds": 10,
        "fields": [
            {
                "name": name,
                "type": kind,
                "jsonPath": expression,
                "language": "jsonpath" if expression.startswith("$[*]") else "jsonata",
            }
            for name, kind, expression in fields
        ],
    }


def stat(title: str, query: Json, *, description: str, units: Mapping[str, str] | None = None) -> Json:
    """Numbers side by side: each field of the one row."""
    return _panel(
        "stat",
        title,
        query,
        description=description,
        units=units,
        options={
            "reduceOptions": {"values": False, "calcs": ["lastNotNull"], "fields": "/.*/"},
            "textMode": "value_and_name",
            "colorMode": "none",
            "graphMode": "none",
            "orientation": "vertical",
        },
    )


def table(
    title: str,
    query: Json,
    *,
    description: str,
    session: str = "",
    units: Mapping[str, str] | None = None,
) -> Json:
    """Rows; ``session`` is the field that leads to the session's own dashboard."""
    panel = _panel("table", title, query, description=description, units=units, options={"showHeader": True})
    if session:
        panel["fieldConfig"]["overrides"].append(
            {
                "matcher": {"id": "byName", "options": session},
                "properties": [
                    {
                        "id": "links",
                        "value": [
                            {
                                "title": "Open this session",
                                "url": "/d/datacat-session?var-session=${__value.raw}&${__url_time_range}",
                            }
                        ],
                    }
                ],
            }
        )
    return panel


def lines(title: str, query: Json, *, description: str, unit: str = "short", points: bool = False) -> Json:
    """Values by time, a line a series."""
    panel = _panel(
        "timeseries",
        title,
        query,
        description=description,
        options={"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
    )
    panel["fieldConfig"]["defaults"] = {
        "unit": unit,
        "custom": {"showPoints": "always" if points else "auto", "spanNulls": False},
    }
    return panel


def variable(name: str, label: str, params: Mapping[str, str], *, all_of_them: bool = True) -> Json:
    """A choice above the dashboard, from the names that there are."""
    columns: Columns = {"__text": "string", "__value": "string"}
    choice: Json = {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": INFINITY,
        "query": {"queryType": "infinity", "query": "", "infinityQuery": flat("names", columns, params)},
        "refresh": 2,
        "includeAll": all_of_them,
        "multi": False,
        "sort": 0,
    }
    if all_of_them:
        choice |= {"allValue": "*", "current": {"text": "All", "value": "$__all", "selected": True}}
    return choice


def annotation(name: str, query: Json, color: str) -> Json:
    """Marks, or regions where a row has a ``timeEnd``, over every panel with time."""
    return {"name": name, "datasource": INFINITY, "enable": True, "iconColor": color, "target": query}


def dashboard(
    uid: str,
    title: str,
    rows: Sequence[tuple[int, Sequence[Json]]],
    *,
    variables: Sequence[Json],
    annotations: Sequence[Json] = (),
    since: str = "now-24h",
) -> Json:
    """A dashboard: rows of a height, each with panels that share its width."""
    panels: list[Json] = []
    top = 0
    for height, of_row in rows:
        width = WIDTH // len(of_row)
        for number, panel in enumerate(of_row):
            place = {"x": number * width, "y": top, "w": width, "h": height}
            panels.append({"id": len(panels) + 1, **panel, "gridPos": place})
        top += height
    return {
        "uid": uid,
        "title": title,
        "tags": ["datacat"],
        "schemaVersion": 41,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": since, "to": "now"},
        "timezone": "browser",
        "templating": {"list": list(variables)},
        "annotations": {"list": list(annotations)},
        "links": [
            {
                "type": "dashboards",
                "tags": ["datacat"],
                "title": "datacat",
                "asDropdown": False,
                "keepTime": True,
            }
        ],
        "panels": panels,
    }


def _panel(
    kind: str,
    title: str,
    query: Json,
    *,
    description: str,
    options: Json,
    units: Mapping[str, str] | None = None,
) -> Json:
    overrides = [
        {"matcher": {"id": "byName", "options": field}, "properties": [{"id": "unit", "value": unit}]}
        for field, unit in (units or {}).items()
    ]
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": query["datasource"],
        "targets": [query],
        "fieldConfig": {"defaults": {}, "overrides": overrides},
        "options": options,
    }
