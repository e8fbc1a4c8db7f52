"""Alert rules as Grafana provisions them: each asks a flat endpoint, and compares a number."""

from typing import Final, Literal

from datacat.grafana.panels import SHOWN, Columns, Json, flat

FOLDER: Final = "datacat"

_DAY: Final = 86_400


def rules(crash_free_below: float) -> Json:
    """The file of alert rules; see https://grafana.com/docs/grafana/latest/alerting/set-up/provision-alerting-resources/.

    Args:
        crash_free_below: the crash-free rate of the last day under which an alert fires, from 0 to 1.
    """
    hung: Columns = {"id": "string", "product": "string", "version": "string", "hangs": "number"}
    return {
        "apiVersion": 1,
        "groups": [
            {
                "orgId": 1,
                "name": "datacat",
                "folder": FOLDER,
                "interval": "30s",
                "rules": [
                    _rule(
                        "datacat-hung",
                        "A session is hung",
                        flat("sessions", hung, {"status": "hung"}),
                        ("gt", 0),
                        summary="{{ $labels.product }} {{ $labels.version }} hangs: session {{ $labels.id }}",
                        severity="critical",
                        hold="0s",
                    ),
                    _rule(
                        "datacat-crash-free",
                        "The crash-free rate is low",
                        flat("summary", {"crash_free_rate": "number"}, SHOWN),
                        ("lt", crash_free_below),
                        summary=f"Less than {crash_free_below:.1%} of the last day's sessions did not crash",
                        severity="warning",
                        hold="5m",
                    ),
                    _rule(
                        "datacat-lost",
                        "Sessions are lost",
                        flat("summary", {"lost": "number"}, SHOWN),
                        ("gt", 0),
                        summary="Sessions of the last day promised contact and have fallen silent",
                        severity="warning",
                        hold="1m",
                    ),
                ],
            }
        ],
    }


def _rule(
    uid: str,
    title: str,
    query: Json,
    compared: tuple[Literal["gt", "lt"], float],
    *,
    summary: str,
    severity: str,
    hold: str,
) -> Json:
    how, bound = compared
    return {
        "uid": uid,
        "title": title,
        "condition": "B",
        "for": hold,
        # No row is no hung session, and no rate of no sessions.
        "noDataState": "OK",
        "execErrState": "Error",
        "labels": {"severity": severity},
        "annotations": {"summary": summary},
        "data": [
            {
                "refId": "A",
                "datasourceUid": query["datasource"]["uid"],
                "relativeTimeRange": {"from": _DAY, "to": 0},
                "model": query,
            },
            {
                "refId": "B",
                "datasourceUid": "__expr__",
                "relativeTimeRange": {"from": _DAY, "to": 0},
                "model": {
                    "refId": "B",
                    "type": "threshold",
                    "expression": "A",
                    "conditions": [{"evaluator": {"type": how, "params": [bound]}}],
                },
            },
        ],
    }
