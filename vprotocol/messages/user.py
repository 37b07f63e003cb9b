"""People, and the roles that say what they may do."""

from typing import Annotated

from pydantic import Field, SecretStr, StringConstraints

from vprotocol.messages.token import Opaque, Password
from vprotocol.messages.wire import Entity, Message, Relation, UnixSeconds, WireId

Username = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,79}$")]
SHORTEST_PASSWORD = 12
NewPassword = Annotated[SecretStr, Field(min_length=SHORTEST_PASSWORD, max_length=1024)]
RoleNames = Annotated[tuple[str, ...], Field(max_length=50)]


class NewUser(Message):
    username: Username
    password: NewPassword
    organization_id: WireId | None = None
    roles: RoleNames = ()


class FirstAdministrator(Message):
    """`code` was printed once when the hub was started for the first time."""

    code: Opaque
    username: Username
    password: NewPassword


class UserChange(Message):
    """What is not given stays."""

    roles: RoleNames | None = None
    enabled: bool | None = None


class PasswordChange(Message):
    """`current` may be left out by those who may edit users of others."""

    current: Password | None = None
    new: NewPassword


class User(Entity):
    id: int
    username: str
    organization: Relation | None
    roles: tuple[str, ...]
    enabled: bool
    created_at: UnixSeconds


class Role(Entity):
    id: int
    name: str
    permissions: tuple[str, ...]
