"""/organization: who takes part, and their public identities."""

from collections.abc import Iterator

from vclient.api.pages import every
from vprotocol.keylog import KeyLog
from vprotocol.messages.organization import Organization
from vruntime.http import Http


def organizations(http: Http, *, collaboration_id: int | None = None) -> Iterator[Organization]:
    return every(http, "/organization", Organization, {"collaboration_id": collaboration_id})


def organization(http: Http, organization_id: int) -> Organization:
    return Organization.from_wire(http.get(f"/organization/{organization_id}"))


def key_log(http: Http, organization_id: int) -> KeyLog:
    """:raises KeyLogInvalid: what the hub shows is not a key log."""
    return KeyLog.from_wire(http.get(f"/organization/{organization_id}/public_key"))
