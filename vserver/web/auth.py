"""Who calls: the bearer token of the request, one indexed query."""

from flask import request
from sqlalchemy.orm import Session

from vprotocol.errors import NotAuthenticated
from vserver.accounts import tokens
from vserver.authz import Principal


def authenticated(session: Session, now: float) -> Principal:
    """:raises NotAuthenticated: no bearer token, or one that does not hold."""
    return tokens.principal_of(session, bearer_token(), now)


def bearer_token() -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotAuthenticated("This needs a token.", hint="Log in first, then send `Authorization: Bearer TOKEN`.")
    return token.strip()


def caller_address() -> str:
    """Where the request comes from; behind a trusted reverse proxy what that proxy says (see `app.py`)."""
    return request.remote_addr or "unknown"
