"""The proxy's web application. Nothing beyond the contract's list exists here."""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Flask, Response, g, jsonify, request
from werkzeug.exceptions import HTTPException

from proxy import translate
from proxy.desk import Caller, Desk, Gate
from vprotocol.errors import (
    BadRequest,
    DeadlineExceeded,
    DelegationExceeded,
    Forbidden,
    NotAuthenticated,
    NotFound,
    TooLarge,
    TrustError,
    Unavailable,
    Unreachable,
    VestalError,
)
from vruntime.http import new_key

log = logging.getLogger(__name__)

HOLD_S = 50.0  # how long a status is held; the SDK and the tools ask again
REQUEST_LIMIT_BYTES = 2**30
VERSION = "4.15.0"  # what the tools expect of a server; nothing depends on it

_STATUS: dict[type[VestalError], int] = {
    NotAuthenticated: 401,
    Forbidden: 403,
    DelegationExceeded: 403,
    NotFound: 404,
    TooLarge: 413,
    BadRequest: 400,
    TrustError: 502,
    Unreachable: 503,
    Unavailable: 503,
    DeadlineExceeded: 504,
    VestalError: 500,
}

View = Callable[..., Any]


def create_app(gate: Gate, desk: Desk) -> Flask:
    """:param gate: who presents a token. :param desk: what is done for them."""
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = REQUEST_LIMIT_BYTES
    app.config["MAX_FORM_MEMORY_SIZE"] = 0
    app.register_error_handler(Exception, _as_response)
    _add_open_routes(app)
    _add_plan_routes(app, gate)
    _add_subtask_routes(app, gate, desk)
    return app


def _admitted(gate: Gate) -> Callable[[View], View]:
    def decorate(view: View) -> View:
        @wraps(view)
        def wrapped(**arguments: Any) -> Any:
            scheme, _, token = request.headers.get("Authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not token:
                raise NotAuthenticated("the token of TOKEN_FILE is missing")
            g.caller = gate.admit(token.strip(), request.environ.get("REMOTE_ADDR") or None)
            return view(g.caller, **arguments)

        return wrapped

    return decorate


def _add_open_routes(app: Flask) -> None:
    app.add_url_rule("/health", view_func=lambda: {"status": "ok"}, endpoint="health")
    app.add_url_rule("/version", view_func=lambda: {"version": VERSION}, endpoint="version")


def _add_plan_routes(app: Flask, gate: Gate) -> None:
    """What is answered from the plan, without asking anybody."""
    admitted = _admitted(gate)

    @app.get("/organization")
    @admitted
    def organizations(caller: Caller) -> Any:
        return translate.page([translate.organization(item) for item in caller.members])

    @app.get("/organization/<int:number>")
    @admitted
    def organization(caller: Caller, number: int) -> Any:
        return translate.organization(translate.member(caller, number))

    @app.get("/collaboration/<int:number>")
    @admitted
    def collaboration(caller: Caller, number: int) -> Any:
        if number != caller.collaboration_id:
            raise NotFound("an algorithm sees its own collaboration only")
        return translate.collaboration(caller)

    @app.get("/study")
    @admitted
    def studies(caller: Caller) -> Any:
        return translate.page([])

    @app.get("/node/<int:number>")
    @admitted
    def node(caller: Caller, number: int) -> Any:
        if number != caller.node_id:
            raise NotFound("an algorithm sees its own node only")
        return translate.node(caller)

    @app.get("/blobstream/status")
    @admitted
    def blobstream(caller: Caller) -> Any:
        return {"blob_store_enabled": False}

    @app.get("/vpn/algorithm/addresses")
    @admitted
    def addresses(caller: Caller) -> Any:
        return {"addresses": []}


def _add_subtask_routes(app: Flask, gate: Gate, desk: Desk) -> None:
    admitted = _admitted(gate)

    @app.post("/task")
    @admitted
    def create(caller: Caller) -> Any:
        asked = translate.subtask_request(_json(), request.headers.get("Idempotency-Key") or new_key())
        return translate.task(desk.create(caller, asked)), 201

    @app.get("/task/<int:number>")
    @admitted
    def task(caller: Caller, number: int) -> Any:
        return translate.task(desk.task(caller, number, HOLD_S))

    @app.get("/task/<int:number>/status")
    @admitted
    def status(caller: Caller, number: int) -> Any:
        return {"status": translate.status(desk.task(caller, number, HOLD_S).state)}

    @app.get("/result")
    @admitted
    def results(caller: Caller) -> Any:
        return translate.page(translate.results(desk.results(caller, _number("task_id"))))

    @app.get("/result/<int:number>")
    @admitted
    def result(caller: Caller, number: int) -> Any:
        task_id = _task_of_run(desk, caller, number)
        found = next(run for run in desk.results(caller, task_id).runs if run.id == number)
        return translate.result(found)

    @app.get("/run")
    @admitted
    def runs(caller: Caller) -> Any:
        return translate.page(translate.runs(desk.task(caller, _number("task_id"), 0)))

    @app.get("/run/<int:number>")
    @admitted
    def run(caller: Caller, number: int) -> Any:
        task_id = _task_of_run(desk, caller, number)
        found = next(item for item in desk.task(caller, task_id, 0).runs if item.id == number)
        return translate.run(task_id, found)

    @app.put("/progress")
    @admitted
    def progress(caller: Caller) -> Any:
        desk.progress(caller, translate.percent(_json()))
        return {}, 200


def _task_of_run(desk: Desk, caller: Caller, run_id: int) -> int:
    for task_id in desk.children(caller):
        if any(run.id == run_id for run in desk.task(caller, task_id, 0).runs):
            return task_id
    raise NotFound(f"run {run_id} is not one of this algorithm's own children")


def _json() -> Any:
    body = request.get_json(force=True, silent=True)
    if body is None:
        raise BadRequest("the request's body is not JSON")
    return body


def _number(name: str) -> int:
    try:
        return int(request.args[name])
    except (KeyError, ValueError):
        raise BadRequest(f"`{name}` is missing or not a number") from None


def _as_response(error: Exception) -> Response:
    """An error body is JSON with `msg`: the tools read nothing else."""
    if isinstance(error, VestalError):
        status = next(_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)
        body = {"msg": str(error), "code": error.code, "hint": error.hint}
    elif isinstance(error, HTTPException):
        status, body = error.code or 500, {"msg": error.description, "code": "http_error", "hint": None}
    else:
        log.exception("the proxy made a mistake")
        status, body = 500, {"msg": "the node made a mistake", "code": "internal_error", "hint": None}
    response = jsonify(body)
    response.status_code = status
    return response
