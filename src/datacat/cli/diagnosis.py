"""What is wrong with a set-up, told from facts alone: pure.

Facts are gathered in :mod:`datacat.cli.facts`. A **problem** is what stops something from working;
a **note** is what whoever looks for a problem wants to know.
"""

from collections.abc import Iterator
from typing import Final, Literal

from msgspec import Struct

OLDEST_PYTHON: Final = (3, 11)
CLOCK_OFF: Final = 10.0
"""Seconds that the clocks of a program and its service may differ: both write into one story."""
LITTLE_ROOM: Final = 2_000_000_000
"""Bytes; of a small disk, one part in twenty."""

Reached = Literal[
    "answered", "refused", "unknown_host", "timeout", "untrusted", "tls_wanted", "no_tls", "other", "no_url"
]


class Service(Struct, frozen=True, kw_only=True):
    """What came back from the URL that programs record at."""

    url: str
    reached: Reached
    detail: str = ""
    """What the failure said, or the answer's own words."""
    code: str = ""
    """The refusal's own, where it was datacat's."""
    status: int | None = None
    """Of a question that needs a key and the database."""
    location: str | None = None
    """Where a redirection leads."""
    is_datacat: bool = False
    version: str | None = None
    clock_ahead: float | None = None
    """Seconds by which this machine's clock is ahead of the service's; None where it told no time."""
    has_key: bool = False
    bad_key: bool = False
    """Whether one is set that cannot be sent; it was asked without."""


class Port(Struct, frozen=True, kw_only=True):
    """The port that ``datacat serve`` would take here."""

    host: str
    number: int
    taken: bool
    by_datacat: bool = False
    by: str | None = None


class Database(Struct, frozen=True, kw_only=True):
    """The file that ``datacat serve`` would serve from here; ``code`` is that of the store's error."""

    path: str
    code: str | None = None
    detail: str = ""
    holders: list[str] = []


class Disk(Struct, frozen=True, kw_only=True):
    """A file system; ``holds`` is what of ours is on it."""

    holds: str
    path: str
    free: int
    total: int


class Journals(Struct, frozen=True, kw_only=True):
    """Where programs of this machine's user keep what is not delivered yet."""

    root: str
    waiting: int = 0
    bytes: int = 0
    meant_for: list[str] = []
    """The services that what waits was recorded at."""
    set_aside: int = 0
    error: str | None = None


class Facts(Struct, frozen=True, kw_only=True):
    """All that is asked about a set-up; times are seconds since the Unix epoch."""

    version: str
    python: tuple[int, int]
    now: float
    installed: float
    missing: list[str] = []
    """Optional libraries that are not there."""
    proxies: list[str] = []
    """Variables of the environment that name one."""
    settings_error: str | None = None
    service: Service
    port: Port | None = None
    database: Database | None = None
    disks: list[Disk] = []
    journals: Journals


class Finding(Struct, frozen=True, kw_only=True):
    """What is so, why it matters, and the cure."""

    code: str
    level: Literal["problem", "note"]
    what: str
    why: str
    cure: str


def diagnose(facts: Facts) -> list[Finding]:
    """Everything that is wrong or worth knowing: problems first, in the order in which they are best cured."""
    found = [
        *_machine(facts),
        *_settings(facts),
        *_disks(facts.disks),
        *_database(facts),
        *_port(facts.port),
        *_service(facts.service, facts.proxies),
        *_journals(facts.journals, facts.service),
        *_versions(facts),
    ]
    return sorted(found, key=lambda finding: finding.level != "problem")


def _problem(code: str, what: str, why: str, cure: str) -> Finding:
    return Finding(code=code, level="problem", what=what, why=why, cure=cure)


def _note(code: str, what: str, why: str, cure: str) -> Finding:
    return Finding(code=code, level="note", what=what, why=why, cure=cure)


def _machine(facts: Facts) -> Iterator[Finding]:
    if facts.python < OLDEST_PYTHON:
        yield _problem(
            "old_python",
            f"this is Python {facts.python[0]}.{facts.python[1]}",
            f"datacat needs {OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} or newer",
            "install a newer Python, and datacat into it",
        )
    if facts.now < facts.installed - CLOCK_OFF:
        yield _problem(
            "clock_in_the_past",
            "this machine's clock is at a time before datacat was installed",
            "sessions would be filed under a wrong day, and certificates look as if they were not valid yet",
            "set the clock: timedatectl set-ntp true",
        )
    for library in facts.missing:
        yield _note(
            "library_missing",
            f"{library} is not installed",
            "process_metrics and the resources of watched programs need it",
            f"pip install {library}, if that is wanted",
        )


def _settings(facts: Facts) -> Iterator[Finding]:
    if facts.settings_error is not None:
        yield _problem(
            "settings", facts.settings_error, "datacat serve would not start", "correct it where it was set"
        )


def _disks(disks: list[Disk]) -> Iterator[Finding]:
    for disk in disks:
        if disk.free < min(LITTLE_ROOM, disk.total / 20):
            yield _problem(
                "disk_nearly_full",
                f"the disk with the {disk.holds} ({disk.path}) has {disk.free / 1e6:,.0f} MB free "
                f"of {disk.total / 1e6:,.0f} MB",
                "when it is full, nothing more is recorded there",
                "make room: what else is on it? datacat db stats tells what the database takes",
            )


def _database(facts: Facts) -> Iterator[Finding]:
    database = facts.database
    if database is None or database.code is None:
        return
    served = facts.service.reached == "answered" and facts.service.status == 200
    by = f" (open in {', '.join(database.holders)})" if database.holders else ""
    path = database.path
    match database.code:
        case "missing" | "empty":
            yield _note(
                "database_not_there",
                database.detail,
                "nothing is stored there yet",
                "datacat serve makes it; name another with --database",
            )
        case "newer":
            yield _problem(
                "database_newer",
                database.detail,
                "this datacat would not know what it reads, so it refuses",
                "upgrade datacat: it needs the version that brought the file up to date, or a newer one",
            )
        case "not_ours":
            yield _problem(
                "database_not_ours",
                f"{path} is a database of another program",
                "datacat writes into no file but its own",
                "name another file with --database",
            )
        case "damaged":
            yield _problem(
                "database_damaged",
                database.detail,
                "it cannot be read",
                "stop the service and put a backup in its place: datacat db restore BACKUP",
            )
        case "read_only" if served:
            return  # another user's, who can write it
        case "read_only":
            yield _problem(
                "database_read_only",
                f"{path}, or the directory that it is in, cannot be written by this user",
                "a service of this user could not record anything",
                f"run the service as the owner of the file, or: chown $USER {path}",
            )
        case "locked":
            yield _problem(
                "database_locked",
                f"{path} is locked{by}",
                "whoever holds the lock keeps the service from recording",
                "end what holds it: a shell of sqlite3 with an open transaction, a copy that hangs, a restore",
            )
        case _:
            yield _problem(
                "database_unusable", database.detail, "it cannot be served from", "datacat db check says more"
            )


def _port(port: Port | None) -> Iterator[Finding]:
    if port is None or not port.taken or port.by_datacat:
        return
    yield _problem(
        "port_taken",
        f"port {port.number} of {port.host} is taken, by {port.by or 'a process that this user may not see'}",
        "datacat serve cannot listen there",
        f"stop it, or choose another port: datacat serve --port {port.number + 1}, and "
        f"DATACAT_URL=http://localhost:{port.number + 1} for the programs",
    )


def _service(service: Service, proxies: list[str]) -> Iterator[Finding]:
    url = service.url
    waits = "what programs record waits in their journals"
    scheme, _, rest = url.partition("://")
    if service.bad_key:
        yield _problem(
            "key_malformed",
            "DATACAT_KEY holds what cannot be a key",
            "it cannot be sent: programs that take it from there raise, and commands refuse",
            "set it to the single word that datacat keys create printed, or unset it",
        )
    match service.reached:
        case "no_url":
            yield _problem(
                "url",
                f"{url!r} is no URL",
                "nothing can be sent there",
                "write it as http://HOST:PORT, with a port up to 65535",
            )
        case "refused":
            yield _problem(
                "service_refused",
                f"nothing listens at {url}",
                waits,
                "start the service (datacat serve), or name where it is with DATACAT_URL or --url",
            )
        case "unknown_host":
            yield _problem(
                "service_unknown_host",
                f"no host has the name in {url}",
                waits,
                "correct the name in DATACAT_URL or --url, or make it known to this machine",
            )
        case "timeout":
            yield _problem(
                "service_timeout",
                f"{url} does not answer",
                waits,
                "look whether a firewall is between, and whether the service's machine is up"
                + _around(proxies),
            )
        case "untrusted":
            yield _problem(
                "certificate_not_trusted",
                f"the certificate of {url} is not trusted: {service.detail}",
                f"nobody knows whether that is the service, so nothing is sent; {waits}",
                "name the authority that signed it: SSL_CERT_FILE=/path/to/ca.pem; or correct the host name in the URL",
            )
        case "tls_wanted":
            yield _problem(
                "tls_wanted",
                f"what listens at {url} wants TLS",
                waits,
                f"write https://{rest}" if scheme == "http" else "write https://",
            )
        case "no_tls":
            yield _problem(
                "no_tls",
                f"what listens at {url} speaks no TLS",
                waits,
                f"write http://{rest}, or give it a certificate",
            )
        case "other":
            yield _problem(
                "service_unreachable",
                f"{url} cannot be reached: {service.detail}",
                waits,
                "correct DATACAT_URL or --url" + _around(proxies),
            )
        case "answered":
            yield from _answer(service, proxies)


def _answer(service: Service, proxies: list[str]) -> Iterator[Finding]:
    url, status = service.url, service.status
    if service.location is not None:
        yield _problem(
            "redirected",
            f"{url} sends everybody on to {service.location}",
            "programs do not follow: what they record might go to somebody else",
            "name that place itself in DATACAT_URL or --url",
        )
    elif status == 401 or (status == 403 and not service.has_key):
        if not service.bad_key:
            yield _problem(
                "key_missing" if not service.has_key else "key_refused",
                f"{url} asks for a key, and {_of_the_key(service)}",
                "it takes nothing, and answers nothing, without",
                "set DATACAT_KEY to a key of this service",
            )
    elif status == 403:
        yield _note(
            "key_cannot_read",
            f"{url} does not let the key in DATACAT_KEY read",
            "a key for recording alone is all that a program needs; datacat show and its like need another",
            "where you want to read, set DATACAT_KEY to a key that may",
        )
    elif status in (407, 502, 504) or (status == 503 and not service.is_datacat):
        yield _problem(
            "proxy",
            f"{url} is answered by something before the service, with {status}",
            "a proxy, or a load balancer, does not reach the service",
            "look at its own log and at the address that it hands on to" + _around(proxies),
        )
    elif not service.is_datacat:
        yield _problem(
            "not_datacat",
            f"what answers at {url} is not datacat",
            "nothing is recorded there",
            "correct DATACAT_URL or --url: does a path belong to it, behind a proxy?",
        )
    elif status is not None and status >= 500:
        yield _problem(
            "service_ill",
            f"{url} answers {status}: {service.detail}",
            "the service runs, and cannot do its work",
            "look at its log; run datacat doctor on its machine, with its --database",
        )
    if service.clock_ahead is not None and abs(service.clock_ahead) > CLOCK_OFF:
        way = "ahead of" if service.clock_ahead > 0 else "behind"
        yield _problem(
            "clock_off",
            f"this machine's clock is {abs(service.clock_ahead):,.0f} s {way} that of {url}",
            "what is recorded here is filed at times that do not fit what is recorded elsewhere",
            "set both clocks: timedatectl set-ntp true",
        )


def _of_the_key(service: Service) -> str:
    if not service.has_key:
        return "none is set"
    return f"the one in DATACAT_KEY {'is revoked' if service.code == 'key_revoked' else 'is unknown to it'}"


def _around(proxies: list[str]) -> str:
    return f"; {', '.join(proxies)} name a proxy, and datacat goes without one" if proxies else ""


def _journals(journals: Journals, service: Service) -> Iterator[Finding]:
    if journals.error is not None:
        yield _problem(
            "journals_unusable",
            f"journals cannot be kept in {journals.root}: {journals.error}",
            "programs record in memory alone, and what they could not send dies with them",
            "make the directory writable for this user, or name another with DATACAT_JOURNAL_DIR",
        )
    if journals.waiting:
        programs = "1 program" if journals.waiting == 1 else f"{journals.waiting:,} programs"
        yield _problem(
            "journals_waiting",
            f"{journals.bytes / 1e6:,.1f} MB of {programs} wait in {journals.root}",
            "these programs have ended, and the service does not have all that they recorded",
            _delivery(journals, service),
        )
    if journals.set_aside:
        yield _note(
            "journals_set_aside",
            f"{journals.set_aside:,} journals in {journals.root} could not be read, and were set aside",
            "they are of another version of datacat, or damaged",
            "rename them back and send them with the version that wrote them, or remove them",
        )


def _delivery(journals: Journals, service: Service) -> str:
    cure = "datacat flush, or the next program that records, delivers what can be delivered"
    others = [url for url in journals.meant_for if url != service.url]
    if not others:
        return cure
    cure += f"; what was recorded at {' and '.join(others)} only while that can be reached"
    if not (service.reached == "answered" and service.is_datacat and service.status == 200):
        return cure
    return f"{cure}. Where it never will be again, datacat flush --url {service.url} delivers it to this service instead"


def _versions(facts: Facts) -> Iterator[Finding]:
    theirs = facts.service.version
    if theirs is not None and theirs != facts.version:
        yield _note(
            "versions_differ",
            f"the service is datacat {theirs}, this is {facts.version}",
            "one may know what the other does not",
            "upgrade the older one",
        )
