"""The files that Grafana provisions itself from: data sources, dashboards, alert rules. Pure: nothing is written.

See https://grafana.com/docs/grafana/latest/administration/provisioning/.
"""

from pathlib import PurePosixPath
from typing import Any, Final

import msgspec

from datacat.grafana.alerts import FOLDER, rules
from datacat.grafana.dashboards import DASHBOARDS
from datacat.grafana.panels import INFINITY, JSON_API

PLUGIN: Final = "yesoreyeram-infinity-datasource"
PLUGIN_VERSION: Final = "3.11.1"
"""The release whose source the queries were written by."""

CRASH_FREE_BELOW: Final = 0.99

_HEADER: Final = "# Written by: datacat grafana provision. Write it anew rather than editing it.\n"


def files(
    url: str, *, key: str | None = None, seen_at: str, crash_free_below: float = CRASH_FREE_BELOW
) -> dict[str, str]:
    """Every file, by its path in the provisioning directory.

    Args:
        url: where Grafana's server reaches datacat.
        key: for a service that asks for one.
        seen_at: the provisioning directory, as Grafana's server sees it.
        crash_free_below: see :func:`datacat.grafana.alerts.rules`.
    """
    url = url.rstrip("/")
    provider = {
        "apiVersion": 1,
        "providers": [
            {
                "name": "datacat",
                "folder": FOLDER,
                "type": "file",
                "allowUiUpdates": True,
                "options": {"path": str(PurePosixPath(seen_at, "dashboards"))},
            }
        ],
    }
    written = {
        "datasources/datacat.yaml": _yaml({"apiVersion": 1, "datasources": _sources(url, key)}),
        "dashboards/datacat.yaml": _yaml(provider),
        "alerting/datacat.yaml": _yaml(rules(crash_free_below)),
    }
    for make in DASHBOARDS:
        dashboard = make()
        text = msgspec.json.format(msgspec.json.encode(dashboard), indent=2).decode()
        written[f"dashboards/{dashboard['uid']}.json"] = text + "\n"
    return written


def _sources(url: str, key: str | None) -> list[dict[str, Any]]:
    infinity: dict[str, Any] = {
        "name": "datacat",
        **INFINITY,
        "access": "proxy",
        "url": url,
        "isDefault": False,
        "jsonData": {
            "allowedHosts": [url],
            # Without these, "Save & test" asks nothing and says that all is well.
            "customHealthCheckEnabled": True,
            "customHealthCheckUrl": f"{url}/api/grafana",
        },
    }
    export: dict[str, Any] = {
        "name": "datacat export",
        **JSON_API,
        "access": "proxy",
        "url": url,
        "jsonData": {},
    }
    if key is not None:
        infinity["jsonData"]["auth_method"] = "bearerToken"
        infinity["secureJsonData"] = {"bearerToken": key}
        export["jsonData"]["httpHeaderName1"] = "Authorization"
        export["secureJsonData"] = {"httpHeaderValue1": f"Bearer {key}"}
    return [infinity, export]


def _yaml(value: Any) -> str:
    # Grafana reads a dollar as the beginning of a variable of its environment.
    return _HEADER + msgspec.yaml.encode(value).decode().replace("$", "$$")
