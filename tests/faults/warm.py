"""What takes a service two seconds at its start, done once: it is imported by the process that services are forked from."""

from datacat.server.settings import Settings
from datacat.server.wiring import build

build(Settings())
