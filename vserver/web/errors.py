"""The one place where an error becomes a response."""

import json
import logging
from typing import Any

from flask import Response, g, request
from flask_restful import Api
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, TimeoutError
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.exceptions import HTTPException

from vprotocol import errors as e

log = logging.getLogger(__name__)

# The nearest class in an error's ancestry decides.
STATUS: dict[type[e.VestalError], int] = {
    e.BadRequest: 400,
    e.TooLarge: 413,
    e.UnsupportedMediaType: 415,
    e.NotAuthenticated: 401,
    e.Forbidden: 403,
    e.NotFound: 404,
    e.MethodNotAllowed: 405,
    e.Conflict: 409,
    e.PreconditionFailed: 412,
    e.TrustError: 422,
    e.VersionMismatch: 426,
    e.RateLimited: 429,
    e.InternalError: 500,
    e.Unavailable: 503,
    e.DeadlineExceeded: 504,
    e.VestalError: 500,
}
_FROM_STATUS: dict[int, type[e.VestalError]] = {
    400: e.BadRequest,
    401: e.NotAuthenticated,
    403: e.Forbidden,
    404: e.NotFound,
    405: e.MethodNotAllowed,
    409: e.Conflict,
    412: e.PreconditionFailed,
    413: e.TooLarge,
    415: e.UnsupportedMediaType,
    429: e.RateLimited,
    503: e.Unavailable,
}


def status_of(error: type[e.VestalError]) -> int:
    return next(STATUS[cls] for cls in error.__mro__ if cls in STATUS)


def to_response(error: Exception) -> Response:
    """The answer for any error, in the one shape; what was not foreseen is logged and says only its request id."""
    known = _known(error)
    status = status_of(type(known))
    response = Response(_json(known.to_wire(g.get("request_id"))), status, mimetype="application/json")
    if isinstance(error, HTTPException):
        for name, value in error.get_headers():
            if name in ("Allow", "Retry-After"):
                response.headers[name] = value
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    if "retry_after_s" in known.fields:
        response.headers["Retry-After"] = str(known.fields["retry_after_s"])
    return response


def _known(error: Exception) -> e.VestalError:
    match error:
        case e.VestalError():
            if status_of(type(error)) == 500:
                log.exception("an error that is not meant for callers left a resource")
            return error
        case HTTPException():
            return _from_http(error)
        case StaleDataError():
            return e.Conflict()
        case IntegrityError():
            # Services look first and say which name is taken; this is the race between looking and writing.
            log.info("a constraint of the database refused a change", extra={"path": request.path})
            return e.Conflict("Somebody else has just made the same, or removed what this needs.")
        case OperationalError() | TimeoutError():
            log.exception("the database does not answer")
            return e.Unavailable()
        case DBAPIError() if error.connection_invalidated:
            log.exception("the database closed the connection")
            return e.Unavailable()
    log.exception("unexpected error")
    return e.InternalError()


def _from_http(error: HTTPException) -> e.VestalError:
    status = error.code or 500
    cls = _FROM_STATUS.get(status, e.BadRequest if status < 500 else e.InternalError)
    match status:
        case 404:
            return e.NotFound(f"There is nothing at {request.path}.", hint="Start from /api/v1 and follow its links.")
        case 405:
            return e.MethodNotAllowed(f"{request.path} does not take {request.method}.")
        case 413:
            return e.TooLarge("The request is larger than this hub accepts.")
    return cls()


def _json(body: Any) -> bytes:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False, default=str).encode()


class HubApi(Api):
    """flask-restful takes its endpoints' errors for itself; hand them back to the one mapping."""

    def handle_error(self, error: Exception) -> Response:
        return to_response(error)
