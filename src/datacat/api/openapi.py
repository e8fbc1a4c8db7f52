"""The OpenAPI document: what the handlers take and answer, and the page that shows it.

The handlers read their bodies themselves, so that every road into the service shares one decoder
and its errors; what they take is told to OpenAPI here, from the very structs that decode it.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import msgspec
from litestar import Request, Response, get
from litestar.openapi import OpenAPIConfig, ResponseSpec
from litestar.openapi.plugins import SwaggerRenderPlugin
from litestar.openapi.spec import (
    Components,
    Example,
    OpenAPIMediaType,
    Operation,
    Reference,
    RequestBody,
    Schema,
    SecurityScheme,
    Tag,
)
from litestar.router import Router
from litestar.static_files import create_static_files_router

from datacat.api.views import DossierAnswer, Ok, SessionCreated, SessionView
from datacat.ingest.admit import MERGE_PATCH, CreateBody, EventBody, MetricBody
from datacat.model.records import Answer
from datacat.version import __version__
from datacat.wire import sse
from datacat.wire.problem import CODES, MEDIA_TYPE, Problem

NDJSON: Final = "application/x-ndjson"
_ASSETS: Final = "/docs/assets"


def problems(*statuses: int) -> dict[int, ResponseSpec]:
    """The problems that a handler may answer with, beside those that every one may."""
    return {
        status: ResponseSpec(
            Problem,
            media_type=MEDIA_TYPE,
            generate_examples=False,
            description="; ".join(
                f"`{code}`: {title}" for code, (of, title) in CODES.items() if of == status
            ),
        )
        for status in sorted({*statuses, 401, 403, 500})
    }


def answers(kind: Any, description: str) -> dict[int, ResponseSpec]:
    """What a handler answers when all is well."""
    return {200: ResponseSpec(kind, description=description, generate_examples=False)}


OK: Final = answers(Ok, "It is durable.")
CREATED: Final = answers(SessionCreated, "The session is there, new or as it was.")
SESSION: Final = answers(SessionView, "The session, streamed.")
SESSIONS: Final = answers(list[SessionView], "Every session, streamed.")
DOSSIER: Final = answers(DossierAnswer, "All that there is to see of how the session went.")
TAKEN: Final = answers(Answer, "What became of the records; they are durable.")

WRITE_PROBLEMS: Final = problems(400, 404, 413, 415, 422, 429, 503)
STREAM: Final = {
    200: ResponseSpec(
        str,
        media_type=sse.MEDIA_TYPE,
        generate_examples=False,
        description="Server-sent events: session, event, metric, state, problem; gap, and cut at the end.",
    )
}


def _schema(kind: Any) -> Schema:
    """Msgspec's JSON schema of a struct, written out where it is used."""
    described = msgspec.json.schema(kind)
    definitions = described.pop("$defs", {})
    if reference := described.pop("$ref", None):
        described |= definitions[reference.rpartition("/")[2]]
    properties: dict[str, Schema | Reference] = {
        name: _plain(each) for name, each in described.get("properties", {}).items()
    }
    return Schema(
        type=described["type"],
        title=described.get("title"),
        description=described.get("description"),
        properties=properties or None,
        required=described.get("required") or None,
    )


def _plain(described: dict[str, Any]) -> Schema:
    if not described:
        described = {"type": ["object", "null"]}  # the only thing that is kept as it came is data
    known = {
        "type": "type",
        "enum": "enum",
        "minLength": "min_length",
        "maxLength": "max_length",
        "maxItems": "max_items",
        "minimum": "minimum",
        "maximum": "maximum",
    }
    values: dict[str, Any] = {
        ours: described[theirs] for theirs, ours in known.items() if theirs in described
    }
    if "anyOf" in described:
        values["any_of"] = [_plain(each) for each in described["anyOf"]]
    if "items" in described:
        values["items"] = _plain(described["items"])
    return Schema(**values)


def _takes(required: bool, content: dict[str, Schema], *, example: Any) -> type[Operation]:
    examples: dict[str, Example | Reference] = {"example": Example(value=example)}
    body = RequestBody(
        content={
            media: OpenAPIMediaType(schema=schema, examples=examples) for media, schema in content.items()
        },
        required=required,
    )

    @dataclass
    class WithBody(Operation):
        def __post_init__(self) -> None:
            self.request_body = body

    return WithBody


_OBJECT: Final = Schema(type="object")  # type: ignore[arg-type]  # the enum's values are these words

TakesCreate = _takes(
    False, {"application/json": _schema(CreateBody)}, example={"product": "editor", "version": "2.3.1"}
)
TakesState = _takes(
    True,
    {"application/json": _OBJECT, MERGE_PATCH: _OBJECT},
    example={"window_state": {"open": ["w1", "w2"]}},
)
TakesEvent = _takes(
    True,
    {"application/json": _schema(EventBody)},
    example={"name": "saved", "level": "info", "data": {"path": "a.txt"}},
)
TakesMetric = _takes(
    True,
    {"application/json": _schema(MetricBody)},
    example={"name": "fps", "value": 59.8, "unit": "1", "tags": ["scene:menu"]},
)
TakesRecords = _takes(
    True,
    {NDJSON: Schema(type="string", description="One record a line, numbered from 1 without a gap.")},  # type: ignore[arg-type]  # as above
    example='{"seq":1,"time":1732380000123456,"type":"start","product":"editor"}\n'
    '{"seq":2,"time":1732380000223456,"type":"event","name":"saved","data":{"path":"a.txt"}}\n',
)


def config() -> OpenAPIConfig:
    """The document at ``/openapi.json`` and the page at ``/docs``, which asks nothing of the internet."""
    return OpenAPIConfig(
        title="datacat",
        version=__version__,
        summary="A flight recorder for running programs.",
        path="/docs",
        components=Components(
            security_schemes={
                "key": SecurityScheme(
                    type="http",
                    scheme="bearer",
                    description="Made by `datacat keys create`. Where no key was ever made, none is asked.",
                )
            }
        ),
        security=[{"key": []}, {}],
        use_handler_docstrings=True,
        tags=[
            Tag(
                "sessions",
                "One run of one program: its state, events, metrics and heartbeat. Of the id of a session that is "
                "read the first digits will do, four at least, where no other begins so.",
            ),
            Tag("verdicts", "What hung, what crashed, what fell silent, and how often."),
            Tag("live", "What happens, as it happens."),
            Tag("grafana", "What Grafana reads."),
            Tag("health", "Is the service there, and can it do its work?"),
        ],
        render_plugins=[
            SwaggerRenderPlugin(
                path="/",
                js_url=f"{_ASSETS}/swagger-ui-bundle.js",
                css_url=f"{_ASSETS}/swagger-ui.css",
                standalone_preset_js_url=f"{_ASSETS}/swagger-ui-standalone-preset.js",
                favicon="<link rel='icon' href='data:,'>",
            ),
        ],
    )


def assets() -> Router:
    """The page's scripts and styles, from the package that carries them."""
    package = find_spec("litestar_offline_docs")
    assert package is not None
    assert package.origin is not None
    return create_static_files_router(
        path=_ASSETS, directories=[Path(package.origin).parent / "static"], include_in_schema=False
    )


@get("/openapi.json", include_in_schema=False, sync_to_thread=False)
def document(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The document itself."""
    schema = request.app.openapi_schema.to_schema()
    return Response(msgspec.json.encode(schema), media_type="application/json")
