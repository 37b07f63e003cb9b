"""The base of every resource: one request, one unit of work, inside the error mapping.

A method says what it does with `@operation(...)`; the base does the rest in this order: read the body (that may wait
for the network, so it comes before any transaction), open a session, find out who calls, refuse who may not at all,
recall the answer of a repeated call, run the method, turn its return value into a response, commit.

A method returns a message, a page, None (204) or a finished `Response`.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ClassVar, TypeVar, cast

from flask import Response, current_app, g, request
from flask_restful import Resource
from sqlalchemy import Select
from sqlalchemy.orm import Session

from vprotocol.errors import PreconditionFailed, UnsupportedMediaType
from vprotocol.messages import Message
from vserver import authz
from vserver.authz import Principal
from vserver.hub import Hub
from vserver.web import auth, idempotency, paging
from vserver.web.idempotency import StoredAnswer
from vserver.web.links import Endpoint, Links, link
from vserver.web.operation import Operation, Work

Body = TypeVar("Body", bound=Message)
Call = Callable[..., Any]


def current_hub() -> Hub:
    return cast(Hub, current_app.extensions["vestal"])


def unit_of_work(method: Call) -> Call:
    """Outside of this an error has already become a response, and half-done writes would be committed with it."""
    operation: Operation = method.operation  # type: ignore[attr-defined]

    @wraps(method)
    def perform(*args: Any, **kwargs: Any) -> Response:
        hub = current_hub()
        work = _work_of(operation)
        if work is Work.OWN:
            if not operation.public:
                with hub.database.read() as session:
                    _identify(session, hub, operation)
            g.operation = operation
            return _respond(method(*args, **kwargs), operation)
        body = request.get_data() if work is Work.WRITE else b""
        with _session(hub, work) as g.session:
            if not operation.public:
                _identify(g.session, hub, operation)
            if work is Work.WRITE:
                if not operation.public:
                    hub.writes.take(g.principal.label)
                return _once(g.session, hub, operation, body, lambda: method(*args, **kwargs))
            return _respond(method(*args, **kwargs), operation)

    return perform


def _work_of(operation: Operation) -> Work:
    if operation.work is not None:
        return operation.work
    return Work.READ if request.method in ("GET", "HEAD") else Work.WRITE


@contextmanager
def _session(hub: Hub, work: Work) -> Iterator[Session]:
    with hub.database.write() if work is Work.WRITE else hub.database.read() as session:
        yield session


def _identify(session: Session, hub: Hub, operation: Operation) -> None:
    g.principal = auth.authenticated(session, hub.now())
    if operation.needs is not None:
        authz.require_some(g.principal, *operation.needs)


def _once(session: Session, hub: Hub, operation: Operation, body: bytes, call: Call) -> Response:
    """Run a writing call; a POST that carries an Idempotency-Key runs once and is answered the same ever after."""
    key = request.headers.get("Idempotency-Key")
    if key is None or request.method != "POST" or operation.public:
        return _flushed(session, call, operation)
    key, caller = idempotency.checked_key(key), g.principal.label
    wanted = idempotency.request_hash(request.method, request.full_path, body)
    stored = idempotency.recalled(session, caller, key, wanted)
    if stored is not None:
        return _replayed(stored)
    response = _flushed(session, call, operation)
    session.add(
        StoredAnswer(
            principal=caller,
            key=key,
            request_hash=wanted,
            status=response.status_code,
            body=idempotency.without_secrets(response.get_data(), operation.secrets),
            location=response.headers.get("Location"),
            created_at=hub.now(),
        )
    )
    return response


def _flushed(session: Session, call: Call, operation: Operation) -> Response:
    answer = call()
    session.flush()  # what the database refuses is this call's error, not one after its answer was made
    return _respond(answer, operation)


def _replayed(stored: StoredAnswer) -> Response:
    response = Response(stored.body, stored.status, mimetype="application/json")
    response.headers["Idempotent-Replay"] = "true"
    if stored.location:
        response.headers["Location"] = stored.location
    return response


def _respond(answer: Any, operation: Operation) -> Response:
    if isinstance(answer, Response):
        return answer
    if answer is None:
        return Response(status=204)
    body = answer.to_json() if isinstance(answer, Message) else json.dumps(answer, separators=(",", ":")).encode()
    response = Response(body, operation.status, mimetype=operation.media_type)
    if "etag" in g:
        response.headers["ETag"] = g.etag
        if request.method in ("GET", "HEAD") and request.if_none_match.contains(g.etag.strip('"')):
            return Response(status=304, headers={"ETag": g.etag})
    if operation.status == 201 and isinstance(answer, Message) and hasattr(answer, "self_"):
        response.headers["Location"] = answer.self_
    return response


class HubResource(Resource):
    """Subclasses name their place in the table of paths and declare each verb with `@operation`."""

    method_decorators: ClassVar[list[Call]] = [unit_of_work]
    place: ClassVar[Endpoint]  # not `endpoint`: flask-restful writes its own there

    @property
    def hub(self) -> Hub:
        return current_hub()

    @property
    def session(self) -> Session:
        """The session of this request (not there for `Work.OWN`)."""
        return cast(Session, g.session)

    @property
    def principal(self) -> Principal:
        """Who calls (not there for public operations)."""
        return cast(Principal, g.principal)

    @property
    def links(self) -> Links:
        return Links(self.hub.operations, self.principal)

    def body(self, message: type[Body]) -> Body:
        """The request's body.

        :raises UnsupportedMediaType: not declared as JSON. :raises BadMessage: not of this shape.
        """
        if not request.is_json:
            raise UnsupportedMediaType()
        return message.from_json(request.get_data())

    def write(self, call: Callable[[], Any]) -> Response:
        """For `Work.OWN`: run `call` in one writing unit of work, repeated calls recalled, as for any other write."""
        body = request.get_data()
        with self.hub.database.write() as g.session:
            return _once(g.session, self.hub, g.operation, body, call)

    def page(
        self, listing: paging.Listing, statement: Select[Any], view: Callable[[list[Any]], list[Any]]
    ) -> dict[str, Any]:
        """A page of `statement`, as the query parameters of this request ask for it."""
        asked = paging.Asked.parse(listing, request.args)
        return paging.page(self.session, statement, asked, link(self.place, **(request.view_args or {})), view)

    def tag(self, version: int) -> None:
        """Send this version as the answer's ETag."""
        g.etag = etag(version)

    def check_unchanged(self, version: int) -> None:
        """:raises PreconditionFailed: the caller has read another version than this one (If-Match)."""
        if "If-Match" in request.headers and not request.if_match.contains(str(version)):
            raise PreconditionFailed(fields={"etag": etag(version)})


def etag(version: int) -> str:
    return f'"{version}"'
