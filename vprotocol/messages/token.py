"""Logging in and staying logged in."""

from typing import Annotated

from pydantic import Field, SecretStr

from vprotocol.messages.wire import Message, Relation, UnixSeconds

Password = Annotated[SecretStr, Field(min_length=1, max_length=1024)]
Opaque = Annotated[SecretStr, Field(min_length=1, max_length=200)]


class UserLogin(Message):
    username: Annotated[str, Field(min_length=1, max_length=80)]
    password: Password


class NodeLogin(Message):
    api_key: Opaque


class TokenRefresh(Message):
    refresh_token: Opaque


class TokenPair(Message):
    """Send `access_token` as `Authorization: Bearer ...`; trade `refresh_token` for the next pair before it ends."""

    access_token: str
    refresh_token: str
    access_expires_at: UnixSeconds
    refresh_expires_at: UnixSeconds
    principal: Relation


class Whoami(Message):
    """Who the token belongs to, and what they may do."""

    kind: str  # user, node
    id: int
    name: str
    self_: str = Field(alias="self")
    organization: Relation | None
    collaborations: tuple[Relation, ...]
    permissions: tuple[str, ...]
