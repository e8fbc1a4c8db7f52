"""``python -m datacat``: the same as the ``datacat`` command."""

from datacat.cli import main

main()
