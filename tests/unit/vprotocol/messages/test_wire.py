"""How every message is read and written."""

import json

import pytest
from pydantic import ValidationError

from vprotocol.errors import BadMessage
from vprotocol.messages import Page
from vprotocol.messages.collaboration import NewCollaboration
from vprotocol.messages.organization import Organization
from vprotocol.messages.token import UserLogin
from vprotocol.messages.user import NewUser

RELATION = {"id": 3, "link": "/api/v1/organization/3/public_key", "methods": ["GET"]}
ORGANIZATION = {
    "id": 3,
    "self": "/api/v1/organization/3",
    "methods": ["GET"],
    "links": {"list": "/api/v1/organization", "other": RELATION},
    "name": "A",
    "fingerprint": None,
    "created_at": 1.5,
    "public_key": RELATION,
    "collaborations": "/c",
    "nodes": "/n",
    "users": "/u",
}


def test_what_is_read_is_written_the_same() -> None:
    message = Organization.from_wire(ORGANIZATION)
    assert message.to_wire() == json.loads(message.to_json()) == ORGANIZATION
    assert message.self_ == "/api/v1/organization/3"


def test_unknown_fields_are_ignored_and_never_written() -> None:
    message = Organization.from_wire({**ORGANIZATION, "colour": "red"})
    assert message == Organization.from_wire(ORGANIZATION)
    assert "colour" not in message.to_wire()


def test_a_message_does_not_change() -> None:
    with pytest.raises(ValidationError):
        Organization.from_wire(ORGANIZATION).name = "B"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"name": "0" * 32}, "/display_name"),
        ({"name": "0" * 31, "display_name": "x"}, "/name"),
        ({"name": "0" * 32, "display_name": "x", "encrypted": "yes"}, "/encrypted"),
        ({"name": "0" * 32, "display_name": "x", "organizations": [1, True]}, "/organizations/1"),
        ({"name": "0" * 32, "display_name": "x", "organizations": [0]}, "/organizations/0"),
        ({"name": "0" * 32, "display_name": "x", "organizations": {"1": 2}}, "/organizations"),
        ([], "/"),
    ],
)
def test_a_wrong_field_is_named(body: object, where: str) -> None:
    with pytest.raises(BadMessage) as wrong:
        NewCollaboration.from_wire(body)
    assert where in wrong.value.fields
    assert where in str(wrong.value)


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b'{"a": NaN}', b"[" * 100_000])
def test_what_is_no_json_is_said_so(raw: bytes) -> None:
    with pytest.raises(BadMessage):
        NewCollaboration.from_json(raw)


def test_a_password_is_neither_shown_nor_repeated() -> None:
    login = UserLogin.from_wire({"username": "ada", "password": "hunter2"})
    assert "hunter2" not in f"{login!r} {login} {login.to_wire()}"
    assert login.password.get_secret_value() == "hunter2"
    with pytest.raises(BadMessage) as wrong:
        NewUser.from_wire({"username": "ada", "password": "hunter2"})
    assert "hunter2" not in f"{wrong.value} {wrong.value.fields}"


def test_pages_hold_messages() -> None:
    links = {"self": "/o", "first": "/o", "prev": None, "next": None}
    page = Page[Organization].from_wire({"data": [ORGANIZATION], "links": links, "total": 1})
    assert page.data[0].name == "A"
    assert page.links.next is None
