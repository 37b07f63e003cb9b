"""OpenAPI 3.1, written from the declarations that parse and decide real calls."""

import re
from typing import Any

from pydantic.json_schema import models_json_schema

from vprotocol import errors
from vprotocol.messages import Message, PageLinks
from vserver.version import VERSION
from vserver.web.errors import status_of
from vserver.web.links import PREFIX, Endpoint, Operations
from vserver.web.operation import Operation
from vserver.web.paging import DEFAULT_LIMIT, MAX_LIMIT, Listing

_PATH_SCHEMAS: dict[str, dict[str, Any]] = {
    "id": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
    "hex32": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    "hex64": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    "segment": {"type": "integer", "minimum": 0},
    "int": {"type": "integer", "minimum": 0},
}
_ERROR_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "hint", "fields", "request_id"],
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "hint": {"type": ["string", "null"]},
                "fields": {"type": "object"},
                "request_id": {"type": ["string", "null"]},
            },
        }
    },
}


def document(operations: Operations) -> dict[str, Any]:
    """The description of every registered resource."""
    paths: dict[str, Any] = {}
    for endpoint, verbs in operations.items():
        path = PREFIX + re.sub(r"<\w+:(\w+)>", r"{\1}", endpoint.value)
        paths[path] = {verb.lower(): _operation(endpoint, verb, spec) for verb, spec in verbs.items()}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Vestal hub", "version": VERSION, "license": {"name": "Apache-2.0"}},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": {**_schemas(operations), "Error": {**_ERROR_SCHEMA, "x-codes": _codes()}},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(endpoint: Endpoint, verb: str, spec: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": f"{verb.lower()}_{endpoint.name.lower()}",
        "summary": spec.summary,
        "tags": [endpoint.value.strip("/").split("/")[0] or "entrance"],
        "parameters": [*_path_parameters(endpoint), *_query_parameters(spec.listing), *_header_parameters(verb, spec)],
        "responses": {**_success(spec), **_failures(verb, spec)},
    }
    if spec.body is not None:
        content = {"application/json": {"schema": _reference(spec.body)}}
        described["requestBody"] = {"required": True, "content": content}
    described["security"] = [] if spec.public else [{"token": []}]
    if spec.needs is not None:
        described["x-permission"] = ":".join(part.value for part in spec.needs)
    return described


def _path_parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": _PATH_SCHEMAS.get(kind, {"type": "string"})}
        for kind, name in re.findall(r"<(\w+):(\w+)>", endpoint.value)
    ]


def _query_parameters(listing: Listing | None) -> list[dict[str, Any]]:
    if listing is None:
        return []
    sorts = [sign + name for name in ("id", *listing.sorts) for sign in ("", "-")]
    own: list[tuple[str, dict[str, Any], str]] = [
        ("limit", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}, "page size"),
        ("cursor", {"type": "string"}, "from the links of a page"),
        ("sort", {"type": "string", "enum": sorts, "default": listing.default_sort}, "order"),
        ("fields", {"type": "string"}, "only these fields, separated by commas; id and self always come"),
    ]
    filters = [(name, dict(spec.schema), spec.help) for name, spec in listing.filters.items()]
    return [
        {"name": name, "in": "query", "required": False, "schema": schema, "description": help}
        for name, schema, help in [*filters, *own]
    ]


def _header_parameters(verb: str, spec: Operation) -> list[dict[str, Any]]:
    if verb != "POST" or spec.public:
        return []
    schema = {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[ -~]+$"}
    return [{"name": "Idempotency-Key", "in": "header", "required": False, "schema": schema}]


def _success(spec: Operation) -> dict[str, Any]:
    if spec.answer is None and spec.listing is None:
        empty = spec.status == 204
        body: dict[str, Any] = {} if empty else {"content": {spec.media_type: {"schema": {}}}}
        return {str(spec.status): {"description": "done", **body}}
    schema = _page_of(spec.listing.view) if spec.listing is not None else _reference(spec.answer)
    return {str(spec.status): {"description": spec.summary, "content": {spec.media_type: {"schema": schema}}}}


def _failures(verb: str, spec: Operation) -> dict[str, Any]:
    possible: set[type[errors.VestalError]] = {errors.InternalError, errors.Unavailable, errors.NotFound, *spec.errors}
    if not spec.public:
        possible |= {errors.NotAuthenticated, errors.RateLimited}
    if spec.needs is not None:
        possible.add(errors.Forbidden)
    if spec.body is not None:
        possible |= {errors.BadMessage, errors.UnsupportedMediaType, errors.TooLarge}
    if spec.listing is not None or verb != "GET":
        possible.add(errors.BadRequest)
    if verb != "GET":
        possible |= {errors.Conflict, errors.PreconditionFailed, errors.TooLarge}
    by_status: dict[str, list[str]] = {}
    for cls in possible:
        by_status.setdefault(str(status_of(cls)), []).append(cls.code)
    reference = {"$ref": "#/components/schemas/Error"}
    return {
        status: {"description": ", ".join(sorted(codes)), "content": {"application/json": {"schema": reference}}}
        for status, codes in sorted(by_status.items())
    }


def _page_of(view: type[Message]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["data", "links", "total"],
        "properties": {
            "data": {"type": "array", "items": {"anyOf": [_reference(view), {"type": "object"}]}},
            "links": _reference(PageLinks),
            "total": {"type": "integer", "minimum": 0},
        },
    }


def _reference(message: type[Message] | None) -> dict[str, Any]:
    return {} if message is None else {"$ref": f"#/components/schemas/{message.__name__}"}


def _schemas(operations: Operations) -> dict[str, Any]:
    used: dict[type[Message], None] = {PageLinks: None}
    for verbs in operations.values():
        for spec in verbs.values():
            for message in (spec.body, spec.answer, spec.listing.view if spec.listing is not None else None):
                if message is not None:
                    used[message] = None
    models = [(message, "validation") for message in used]
    _, schema = models_json_schema(models, by_alias=True, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    return dict(schema.get("$defs", {}))


def _codes() -> dict[str, Any]:
    return {
        code: {"status": status_of(cls), "message": (cls.__doc__ or "").strip().splitlines()[0], "hint": cls.hint}
        for code, cls in sorted(errors.by_code().items())
    }
