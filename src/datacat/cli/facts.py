"""Gathers what :mod:`datacat.cli.diagnosis` decides from: asks the service, the file, the disks, the journals.

Nothing is changed by asking, and nothing waits long: a service is given a few seconds.
"""

import os
import shutil
import socket
import ssl
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import msgspec
import urllib3
from msgspec.structs import replace

from datacat import version
from datacat.cli.diagnosis import Database, Disk, Facts, Journals, Port, Reached, Service
from datacat.cli.processes import holders, listener
from datacat.client.arguments import checked_key, checked_url
from datacat.client.journal_reader import ForeignJournal
from datacat.client.journal_root import SET_ASIDE, journal_root, leftover_folders, open_leftover
from datacat.client.transport import USER_AGENT, reason_of
from datacat.model.clock import SystemClock
from datacat.model.errors import ConfigurationError, InvalidInput, StoreError
from datacat.server.settings import Settings, load
from datacat.server.upkeep import upkeep

_TIMEOUT: Final = 3.0
_OPTIONAL: Final = ("psutil",)
_PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_LOCAL: Final = ("localhost", "127.", "[::1]", "0.0.0.0")  # noqa: S104  # what a URL may say


def gather(url: str, flags: Mapping[str, Any], config: Path | None, environ: Mapping[str, str]) -> Facts:
    """All facts.

    Args:
        url: where programs record at.
        flags: settings of the service from the command line, None for those not given.
        config: the service's settings file.
        environ: the environment.
    """
    try:
        key, bad_key = checked_key(environ.get("DATACAT_KEY")), False
    except ValueError:
        key, bad_key = None, True
    service = replace(ask(url, key), bad_key=bad_key)
    settings, settings_error = _settings(flags, environ, config)
    serves_here = settings is not None and (
        settings != Settings() or Path(settings.database).exists() or _is_local(url)
    )
    database = _database(settings) if settings is not None and serves_here else None
    journals = _journals(environ)
    return Facts(
        version=version.__version__,
        python=sys.version_info[:2],
        now=time.time(),
        installed=Path(version.__file__).stat().st_mtime,
        missing=[name for name in _OPTIONAL if find_spec(name) is None],
        proxies=[name for name in _PROXIES if environ.get(name) or environ.get(name.lower())],
        settings_error=settings_error,
        service=service,
        port=_port(settings, "" if service.reached == "no_url" else url)
        if settings is not None and serves_here
        else None,
        database=database,
        disks=list(_disks(database, journals)),
        journals=journals,
    )


def ask(url: str, key: str | None = None, *, trusting: bool = False) -> Service:
    """What answers at ``url``; ``trusting`` takes any certificate, and must be told no secret."""
    url = url.rstrip("/")
    try:
        checked_url(url)
    except InvalidInput:
        return Service(url=url, reached="no_url")
    pool = urllib3.PoolManager(
        retries=False, timeout=_TIMEOUT, cert_reqs="CERT_NONE" if trusting else "CERT_REQUIRED"
    )
    headers = {"User-Agent": USER_AGENT} | ({"Authorization": f"Bearer {key}"} if key else {})

    def get(path: str) -> urllib3.BaseHTTPResponse:
        return pool.request("GET", url + path, headers=headers, redirect=False)

    try:
        about = get("/openapi.json")
        answer = get("/api/sessions?limit=1")
    except (urllib3.exceptions.HTTPError, OSError) as error:
        reached = _kind_of(error)
        if reached == "other" and url.startswith("http://") and _wants_tls(url):
            reached = "tls_wanted"
        return Service(url=url, reached=reached, detail=reason_of(error) or str(error))
    finally:
        pool.clear()
    if answer.status == 400 and b"HTTPS" in answer.data[:2000]:  # as nginx puts it
        return Service(url=url, reached="tls_wanted")
    info, refusal = _object(_object(about.data).get("info")), _object(answer.data)
    return Service(
        url=url,
        reached="answered",
        detail=str(refusal.get("detail", ""))[:300],
        code=str(refusal.get("code", ""))[:80],
        status=answer.status,
        location=answer.headers.get("Location") if 300 <= answer.status < 400 else None,
        is_datacat=info.get("title") == "datacat",
        version=str(info["version"]) if info.get("title") == "datacat" and "version" in info else None,
        clock_ahead=_ahead(answer.headers.get("Date")),
        has_key=bool(key),
    )


def is_datacat(url: str) -> bool:
    """Whether datacat answers at ``url`` of this machine, whatever its certificate is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", urllib3.exceptions.InsecureRequestWarning)
        return ask(url, trusting=True).is_datacat


def _kind_of(error: Exception) -> Reached:
    exceptions = urllib3.exceptions
    if isinstance(error, exceptions.NameResolutionError):
        return "unknown_host"
    if isinstance(error, exceptions.NewConnectionError):
        return "refused" if isinstance(error.__cause__, ConnectionRefusedError) else "other"
    if isinstance(error, exceptions.TimeoutError):
        return "timeout"
    if isinstance(error, exceptions.SSLError):
        return "untrusted" if "certificate verify failed" in str(error).lower() else "no_tls"
    if isinstance(error, exceptions.LocationParseError | exceptions.LocationValueError):
        return "no_url"
    return "other"


def _wants_tls(url: str) -> bool:
    parsed = urllib3.util.parse_url(url)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is said to it: only whether it speaks TLS
    try:
        with (
            socket.create_connection((parsed.hostname or "", parsed.port or 80), _TIMEOUT) as connection,
            context.wrap_socket(connection),
        ):
            return True
    except OSError:
        return False


def _object(found: Any) -> dict[str, Any]:
    if isinstance(found, bytes):
        try:
            found = msgspec.json.decode(found)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return {}
    return found if isinstance(found, dict) else {}


def _ahead(date: str | None) -> float | None:
    try:
        return time.time() - parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        return None


def _is_local(url: str) -> bool:
    return url.partition("://")[2].startswith(_LOCAL)


def _settings(
    flags: Mapping[str, Any], environ: Mapping[str, str], config: Path | None
) -> tuple[Settings | None, str | None]:
    try:
        return load(flags, environ, config), None
    except ConfigurationError as error:
        return None, str(error)


def _port(settings: Settings, url: str) -> Port:
    # Who asks a service here by its port means that one, where no other is set.
    if settings.port == Settings().port and _is_local(url) and (asked := urllib3.util.parse_url(url).port):
        settings = msgspec.structs.replace(settings, port=asked)
    taken = settings.port != 0 and _is_taken(settings.host, settings.port)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return Port(
        host=settings.host,
        number=settings.port,
        taken=taken,
        by_datacat=taken
        and any(is_datacat(f"{scheme}://{host}:{settings.port}") for scheme in ("http", "https")),
        by=listener(settings.port) if taken else None,
    )


def _is_taken(host: str, port: int) -> bool:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError:
        return True
    return False


def _database(settings: Settings) -> Database | None:
    path = settings.file()
    shown = str(path.absolute())
    try:
        upkeep(settings).probe()
    except StoreError as error:
        if error.code == "missing" and settings.database == Settings().database:
            return None  # nobody said that there is one
        held = holders(path) if error.code == "locked" else []
        return Database(path=shown, code=error.code or "unusable", detail=str(error), holders=held)
    writable = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
    return Database(path=shown, code=None if writable else "read_only")


def _disks(database: Database | None, journals: Journals) -> Iterator[Disk]:
    places = {"database": database.path} if database else {}
    on_disk: dict[int, tuple[Path, list[str]]] = {}
    for holds, path in (places | {"journals": journals.root}).items():
        there = next(each for each in (Path(path), *Path(path).absolute().parents) if each.exists())
        on_disk.setdefault(there.stat().st_dev, (there, []))[1].append(holds)
    for there, held in on_disk.values():
        usage = shutil.disk_usage(there)
        yield Disk(holds=" and the ".join(held), path=str(there), free=usage.free, total=usage.total)


def _journals(environ: Mapping[str, str]) -> Journals:
    try:
        root = journal_root(environ).absolute()
    except RuntimeError as error:
        return Journals(root="an unknown place", error=str(error))
    there = next(each for each in (root, *root.parents) if each.exists())
    trouble = None
    if not there.is_dir():
        trouble = f"{there} is no directory"
    elif not os.access(there, os.W_OK | os.X_OK):
        trouble = f"{there} cannot be written by this user"
    waiting = size = unreadable = 0
    meant_for: set[str] = set()
    for folder in leftover_folders(root):
        try:
            leftover = open_leftover(folder, SystemClock())
        except ForeignJournal:
            unreadable += 1
            continue
        if leftover is None:
            continue
        if leftover.first:
            waiting += 1
            size += leftover.reader.size()
            meant_for.add(leftover.server)
        leftover.close()
    return Journals(
        root=str(root),
        waiting=waiting,
        bytes=size,
        meant_for=sorted(meant_for),
        set_aside=unreadable + (len(list(root.glob(f"*{SET_ASIDE}"))) if root.is_dir() else 0),
        error=trouble,
    )
