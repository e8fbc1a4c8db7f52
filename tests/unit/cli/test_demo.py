"""What the demo says of where to look."""

import io

from rich.console import Console

from datacat.cli.demo import invite


def test_while_its_service_goes_on_it_says_how_to_read_each_session_in_80_columns():
    output = io.StringIO()
    session = {"product": "converter", "id": "01934f5e-0000-7000-8000-000000000001"}
    invite(Console(file=output), [session], "http://127.0.0.1:8080")
    lines = output.getvalue().splitlines()
    assert "  converter  datacat show 01934f5e-0000-7000 --url http://127.0.0.1:8080" in lines
    assert max(map(len, lines)) <= 80
