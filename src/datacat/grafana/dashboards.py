"""The dashboards that are shipped: the founding design's five panels, and what a user asks next."""

from typing import Final

from datacat.grafana.panels import (
    CHOSEN,
    SHOWN,
    Columns,
    Json,
    annotation,
    dashboard,
    exported,
    flat,
    lines,
    stat,
    table,
    variable,
)

_VARIABLES: Final = [
    variable("product", "Product", {"kind": "product"}),
    variable("version", "Version", {"kind": "version", "product": "${product}"}),
    variable("environment", "Environment", {"kind": "environment", "product": "${product}"}),
]
_RATES: Final = {
    "crash_free_rate": "percentunit",
    "hang_free_rate": "percentunit",
    "lost_rate": "percentunit",
}
_SESSION: Final[Columns] = {
    "created_at": "timestamp_epoch",
    "product": "string",
    "version": "string",
    "verdict": "string",
    "last_event": "string",
    "last_event_at": "timestamp_epoch",
    "hostname": "string",
    "id": "string",
}
_PROBLEM: Final[Columns] = {
    "time": "timestamp_epoch",
    "problem": "string",
    "title": "string",
    "seconds": "number",
    "product": "string",
    "version": "string",
    "session": "string",
}
_GROUP: Final[Columns] = {
    "count": "number",
    "title": "string",
    "sessions": "number",
    "versions": "string",
    "last_seen": "string",
    "session": "string",
}
_EVENT: Final[Columns] = {
    "time": "timestamp_epoch",
    "event": "string",
    "level": "string",
    "text": "string",
    "product": "string",
    "session": "string",
}
_RELIABILITY: Final[Columns] = {
    "product": "string",
    "version": "string",
    "sessions": "number",
    "crashed": "number",
    "ever_hung": "number",
    "lost": "number",
    "crash_free_rate": "number",
    "crash_free_low": "number",
    "crash_free_high": "number",
    "hang_free_rate": "number",
    "hang_free_low": "number",
    "hang_free_high": "number",
    "hang_seconds_per_hour": "number",
}
_MARK: Final[Columns] = {
    "time": "timestamp_epoch",
    "title": "string",
    "text": "string",
    "tags": "string",
}
_SERIES: Final[Columns] = {
    "time": "timestamp_epoch",
    "metric": "string",
    "tags": "string",
    "value": "number",
}


def overview() -> Json:
    """How all programs are."""
    return dashboard(
        "datacat-overview",
        "datacat: overview",
        [
            (
                4,
                [
                    stat(
                        "Now",
                        flat("summary", {"active": "number", "hung": "number"}, CHOSEN),
                        description="Sessions that run, and those that hang at this moment.",
                    ),
                    stat(
                        "Of the sessions that began in the time shown",
                        flat(
                            "summary",
                            {
                                "total": "number",
                                "crashed": "number",
                                "lost": "number",
                                "crash_free_rate": "number",
                                "hang_free_rate": "number",
                            },
                            {**CHOSEN, **SHOWN},
                        ),
                        description="Crash-free and hang-free: the share of sessions without a crash, without a hang.",
                        units=_RATES,
                    ),
                ],
            ),
            (
                8,
                [
                    table(
                        "Active sessions",
                        flat("sessions", _SESSION, {**CHOSEN, "status": "active"}),
                        description="The newest that run.",
                        session="id",
                    ),
                    table(
                        "Hung sessions",
                        flat("sessions", _SESSION, {**CHOSEN, "status": "hung"}),
                        description="Those that hang at this moment.",
                        session="id",
                    ),
                ],
            ),
            (
                8,
                [
                    lines(
                        "Crash-free rate by version",
                        _by_version("crash_free_rate", "hour"),
                        description="Of the sessions that began in each hour.",
                        unit="percentunit",
                        points=True,
                    ),
                    lines(
                        "Hang-free rate by version",
                        _by_version("hang_free_rate", "hour"),
                        description="Of the sessions that began in each hour.",
                        unit="percentunit",
                        points=True,
                    ),
                ],
            ),
            (
                8,
                [
                    table(
                        "Top hangs",
                        flat("groups", _GROUP, {**CHOSEN, **SHOWN, "kind": "hang", "limit": "20"}),
                        description="The same line of the program, counted; the session is the latest.",
                        session="session",
                    ),
                    table(
                        "Top crashes",
                        flat("groups", _GROUP, {**CHOSEN, **SHOWN, "kind": "crash", "limit": "20"}),
                        description="The same crash, counted; the session is the latest.",
                        session="session",
                    ),
                ],
            ),
            (
                8,
                [
                    table(
                        "Newest problems",
                        flat("problems", _PROBLEM, {**CHOSEN, **SHOWN, "limit": "50"}),
                        description="Hangs, crashes and losses of contact.",
                        session="session",
                        units={"seconds": "s"},
                    ),
                    table(
                        "Newest events",
                        flat("events", _EVENT, {**CHOSEN, **SHOWN, "level": "info", "limit": "50"}),
                        description="From info up.",
                        session="session",
                    ),
                ],
            ),
            (
                9,
                [
                    lines(
                        "$metric over all sessions",
                        flat(
                            "metrics",
                            _SERIES,
                            {**CHOSEN, **SHOWN, "name": "${metric}", "max_points": "500"},
                            series=True,
                        ),
                        description="The average in each span of time, a line for each set of tags.",
                    )
                ],
            ),
        ],
        variables=[*_VARIABLES, variable("metric", "Metric", {"kind": "metric"}, all_of_them=False)],
    )


def session() -> Json:
    """One session: what it was doing."""
    this = {"session": "${session}"}
    return dashboard(
        "datacat-session",
        "datacat: one session",
        [
            (
                5,
                [
                    table(
                        "Verdict",
                        flat(
                            "sessions",
                            {
                                "verdict": "string",
                                "status": "string",
                                "cause": "string",
                                "product": "string",
                                "version": "string",
                                "created_at": "timestamp_epoch",
                                "ended_at": "timestamp_epoch",
                                "duration_seconds": "number",
                                "hangs": "number",
                                "hang_seconds": "number",
                                "lost": "number",
                            },
                            this,
                        ),
                        description="How it went; lost are records that never arrived.",
                        units={"duration_seconds": "s", "hang_seconds": "s"},
                    )
                ],
            ),
            (
                10,
                [
                    lines(
                        "Metrics",
                        flat("metrics", _SERIES, {**this, **SHOWN, "max_points": "1000"}, series=True),
                        description="Every series of the session; hangs are shaded, events are marked.",
                    ),
                    table(
                        "State",
                        flat("state", {"path": "string", "value": "string", "type": "string"}, this),
                        description="As it is now, or was last.",
                    ),
                ],
            ),
            (
                10,
                [
                    table(
                        "Event timeline",
                        flat("events", _EVENT, {**this, **SHOWN, "limit": "1000"}),
                        description="The newest in the time shown, oldest first.",
                    ),
                    table(
                        "Problems",
                        flat("problems", _PROBLEM, {**this, **SHOWN}),
                        description="Hangs, the crash, losses of contact.",
                        units={"seconds": "s"},
                    ),
                ],
            ),
        ],
        variables=[
            _VARIABLES[0],
            variable(
                "session", "Session", {"kind": "session", "product": "${product}", **SHOWN}, all_of_them=False
            ),
        ],
        annotations=[
            annotation("Events", flat("events", _MARK, {**this, **SHOWN, "limit": "200"}), "blue"),
            annotation(
                "Hangs",
                flat("problems", {**_MARK, "timeEnd": "timestamp_epoch"}, {**this, **SHOWN, "kind": "hang"}),
                "red",
            ),
        ],
    )


def reliability() -> Json:
    """Versions side by side."""
    return dashboard(
        "datacat-reliability",
        "datacat: reliability",
        [
            (
                10,
                [
                    table(
                        "Versions side by side",
                        flat("reliability", _RELIABILITY, {**CHOSEN, **SHOWN}),
                        description="Rates of the sessions that began in the time shown; low and high bound 95 % (Wilson).",
                        units=dict.fromkeys((name for name in _RELIABILITY if "free" in name), "percentunit"),
                    )
                ],
            ),
            (
                8,
                [
                    lines(
                        "Crash-free rate, by day",
                        _by_version("crash_free_rate", "day"),
                        description="Of the sessions that began on each day.",
                        unit="percentunit",
                        points=True,
                    ),
                    lines(
                        "Hang-free rate, by day",
                        _by_version("hang_free_rate", "day"),
                        description="Of the sessions that began on each day.",
                        unit="percentunit",
                        points=True,
                    ),
                ],
            ),
            (
                8,
                [
                    lines(
                        "Sessions, by day",
                        _by_version("sessions", "day"),
                        description="How many began on each day.",
                        points=True,
                    ),
                    lines(
                        "Seconds hung in an hour, by day",
                        _by_version("hang_seconds_per_hour", "day"),
                        description="Of the sessions that began on each day, in an hour of their running.",
                        unit="s",
                        points=True,
                    ),
                ],
            ),
        ],
        variables=_VARIABLES,
        since="now-30d",
    )


def export() -> Json:
    """The five panels from the raw export, for the older data source."""
    newest = {"limit": "200", "events": "0", "metrics": "0"}
    lists = {"limit": "20", "last": "1000"}
    return dashboard(
        "datacat-export-jsonapi",
        "datacat: raw export (JSON API data source)",
        [
            (
                4,
                [
                    stat(
                        "Reliability of the newest sessions",
                        exported(
                            [
                                ("sessions", "number", "[$count($)]"),
                                ("crashed", "number", "[$count($[status='crashed'])]"),
                                ("hung now", "number", "[$count($[status='hung'])]"),
                                ("crash-free", "number", "[1 - $count($[status='crashed']) / $count($)]"),
                            ],
                            newest,
                        ),
                        description="Of the 200 newest.",
                        units={"crash-free": "percentunit"},
                    )
                ],
            ),
            (
                8,
                [
                    table(
                        "Active sessions",
                        exported(_listed("active"), newest),
                        description="Of the 200 newest.",
                        session="id",
                    ),
                    table(
                        "Hung sessions",
                        exported(_listed("status = 'hung'"), newest),
                        description="Of the 200 newest.",
                        session="id",
                    ),
                ],
            ),
            (
                9,
                [
                    lines(
                        "Metrics",
                        exported(
                            [
                                ("time", "time", "$[*].metrics[*].timestamp"),
                                ("metric", "string", "$[*].metrics[*].name"),
                                ("value", "number", "$[*].metrics[*].value"),
                            ],
                            lists,
                        ),
                        description="Of the 20 newest sessions, the last 1,000 each.",
                        points=True,
                    ),
                    table(
                        "Event timeline",
                        exported(
                            [
                                ("time", "time", "$[*].events[*].timestamp"),
                                ("event", "string", "$[*].events[*].name"),
                                ("level", "string", "$[*].events[*].level"),
                            ],
                            lists,
                        ),
                        description="Of the 20 newest sessions, the last 1,000 each.",
                    ),
                ],
            ),
        ],
        variables=[],
    )


DASHBOARDS: Final = (overview, session, reliability, export)


def _by_version(field: str, interval: str) -> Json:
    columns: Columns = {"time": "timestamp_epoch", "product": "string", "version": "string", field: "number"}
    return flat("reliability", columns, {**CHOSEN, **SHOWN, "interval": interval}, series=True)


def _listed(condition: str) -> list[tuple[str, str, str]]:
    return [
        ("id", "string", f"[$[{condition}].id]"),
        ("product", "string", f"[$[{condition}].product]"),
        ("created", "time", f"[$[{condition}].created_at]"),
        ("status", "string", f"[$[{condition}].status]"),
    ]
