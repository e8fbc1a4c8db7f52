"""Real programs, run as a user would run them."""

import os
import subprocess
import sys
import textwrap
from typing import Any

from datacat.client.api import DatacatClient

NOBODY = "http://127.0.0.1:9"
"""Where no service is."""


def run(code: str, url: str, *, timeout: float = 60, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run ``code`` as a program of its own that records at ``url``."""
    environment = {**os.environ, "DATACAT_URL": url, **variables}
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, env=environment, check=False
    )


def sessions_of(url: str, product: str) -> list[dict[str, Any]]:
    """What the service has of one product."""
    return [session for session in DatacatClient(url).get_all_sessions() if session["product"] == product]
