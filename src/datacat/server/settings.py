"""Settings: one typed struct, from flags, the environment and a TOML file, in that order of weight.

A setting ``database`` is the flag ``--database``, the variable ``DATACAT_DATABASE`` and the TOML
key ``database``.
"""

import ssl
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, get_args, get_type_hints

import msgspec
from msgspec import Meta, Struct

from datacat.model.errors import ConfigurationError
from datacat.model.retention import Retention, retention
from datacat.server.choices import LogFormat, LogLevel
from datacat.store.asked import Durability

_WITH_UNIT: Final = frozenset({"retain", "max_size"})


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set."""

    host: Annotated[str, Meta(description="The address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535, description="The port to listen on; 0 takes a free one.")] = (
        8080
    )
    database: Annotated[str, Meta(description="The SQLite file; made where it is missing.")] = "datacat.db"
    durability: Annotated[
        Durability,
        Meta(description="What an answered record survives: full a power cut, normal a killed process."),
    ] = "full"
    insecure_no_auth: Annotated[
        bool, Meta(description="Ask for no key, whatever address is served and whatever keys there are.")
    ] = False
    cors_origins: Annotated[
        str,
        Meta(
            description="Whose pages may ask from a browser: origins with commas between, or *; none without."
        ),
    ] = ""
    allowed_hosts: Annotated[
        str,
        Meta(
            description="The names by which a service that asks for no key may be asked, with commas between, as "
            "those of a proxy before it. Addresses and names without a dot always are; without this setting all are, "
            "where the service listens on another address than this machine's own."
        ),
    ] = ""
    retain: Annotated[
        str,
        Meta(description="How long a session is kept after it was last heard of, as 30d; for ever without."),
    ] = ""
    retain_per_product: Annotated[
        str, Meta(description="The same for some products: PRODUCT=PERIOD, with commas between.")
    ] = ""
    max_size: Annotated[
        str,
        Meta(description="What the database may hold, as 20GiB: above that the oldest that have ended go."),
    ] = ""
    tls_cert: Annotated[
        str,
        Meta(description="A certificate, in PEM, with those that it hangs on behind it; speak HTTPS alone."),
    ] = ""
    tls_key: Annotated[str, Meta(description="The certificate's key, in PEM, not encrypted.")] = ""
    fast_lane: Annotated[
        bool, Meta(description="Answer plain posts of records without the framework; nothing else changes.")
    ] = True
    log_level: Annotated[LogLevel, Meta(description="How much the log says.")] = "info"
    log_format: Annotated[
        LogFormat, Meta(description="How the log is written: for people, or a JSON object a line.")
    ] = "console"
    request_timeout: Annotated[
        int,
        Meta(
            ge=1,
            le=3600,
            description="Seconds in which a request's head, and then its body, must arrive, and some of an answer be read.",
        ),
    ] = 60
    stop_timeout: Annotated[
        int, Meta(ge=0, le=3600, description="Seconds that open requests are given when the service stops.")
    ] = 10

    def file(self) -> Path:
        """The database's file itself: its logs are beside it, not beside a link that leads to it."""
        path = Path(self.database)
        return path.resolve() if path.is_symlink() else path

    def retention(self) -> Retention:
        """Which sessions are kept, and for how long; raises ConfigurationError."""
        return retention(self.retain, self.retain_per_product, self.max_size)


def load(flags: Mapping[str, Any], environ: Mapping[str, str], config: Path | None = None) -> Settings:
    """The settings in force.

    Args:
        flags: by setting name; None means that the flag was not given.
        environ: the environment, where ``DATACAT_<NAME>`` is looked for.
        config: a TOML file; None for ``DATACAT_CONFIG``, and without that for no file.

    Raises:
        ConfigurationError: a value is wrong or a key unknown; says where it came from.
    """
    path = config or (Path(environ["DATACAT_CONFIG"]) if environ.get("DATACAT_CONFIG") else None)
    values: dict[str, Any] = {}
    for source, given in (
        (str(path), _from_toml(path) if path else {}),
        ("the environment", _from_environment(environ)),
        ("the command line", {name: value for name, value in flags.items() if value is not None}),
    ):
        _check(source, given)
        values |= given
    return msgspec.convert(values, Settings, strict=False)


def split(text: str) -> list[str]:
    """The words of a setting that holds several.

    >>> split("https://a.example, https://b.example")
    ['https://a.example', 'https://b.example']
    """
    return [word for each in text.split(",") if (word := each.strip())]


def check_tls(settings: Settings) -> None:
    """Refuse a certificate that cannot be served with.

    Raises:
        ConfigurationError: one of the two is missing, cannot be read, or they do not belong together.
    """
    cert, key = settings.tls_cert, settings.tls_key
    if bool(cert) != bool(key):
        given, missing = ("--tls-cert", "--tls-key") if cert else ("--tls-key", "--tls-cert")
        raise ConfigurationError(f"{given} is set and {missing} is not: HTTPS needs both, HTTP neither")
    if not cert:
        return
    for path in (cert, key):
        try:
            Path(path).open("rb").close()
        except OSError as error:
            raise ConfigurationError(f"cannot read {path}: {error.strerror}") from error

    def no_password() -> str:
        raise ConfigurationError(f"{key} is encrypted: write one that is not, readable by the service alone")

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, no_password)
    except ssl.SSLError as error:
        raise ConfigurationError(
            f"{cert} and {key} are no certificate and its key: {error.reason or error}. Both are to be PEM"
        ) from error


def _from_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot read the settings file {path}: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is not TOML: {error}") from error


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    names = Settings.__struct_fields__
    return {name: environ[key] for name in names if environ.get(key := f"DATACAT_{name.upper()}")}


def _check(source: str, given: Mapping[str, Any]) -> None:
    types = get_type_hints(Settings)
    # A number in TOML lacks its unit, whatever its type: that is what is said of it.
    given = {name: str(value) if name in _WITH_UNIT else value for name, value in given.items()}
    for name, value in given.items():
        if name not in types:
            raise ConfigurationError(f"{source} sets {name!r}, which is none: there are {', '.join(types)}")
        try:
            msgspec.convert({name: value}, Settings, strict=False)
        except msgspec.ValidationError as error:
            words = ", ".join(get_args(types[name]))
            wrong = f"it is one of {words}" if words else str(error).partition(" - at")[0]
            raise ConfigurationError(f"{name} from {source} is {value!r}: {wrong}") from error
    try:
        msgspec.convert(dict(given), Settings, strict=False).retention()
    except ConfigurationError as error:
        raise ConfigurationError(f"from {source}: {error}") from error
