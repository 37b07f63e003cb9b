"""The organization's identity at this node: made here when there is none, and compared with the hub's at every start.

A difference is an error that explains itself, never a silent overwrite.
"""

import json
import logging
from dataclasses import dataclass
from pathlib import Path

from vnode.reporter import Hub
from vnode.vault import new_keys
from vprotocol.errors import IdentityChanged, KeyFileInvalid, KeyLogInvalid, TrustError
from vprotocol.keylog import KeyLog
from vprotocol.words import base32, spoken
from vruntime.atomic import write_atomically
from vruntime.clock import Clock
from vruntime.file_lock import locked

log = logging.getLogger(__name__)

CERTIFIED_FOR_S = 10 * 365 * 86_400
RENEW_HEAD_AFTER_S = 86_400 // 2


@dataclass(frozen=True)
class KeyPlaces:
    """Where a node's keys are, and what it knows: its own key log, and others' (which other programs change too)."""

    organization_key: Path
    node_key: Path
    root: Path  # made beside the organization key; may be moved offline afterwards
    key_log: Path
    trust_store: Path

    @classmethod
    def at(cls, data_folder: Path, organization_key: Path | None, node_key: Path | None) -> "KeyPlaces":
        keys, known = data_folder / "keys", data_folder / "known"
        organization = organization_key or keys / "organization.key"
        return cls(
            organization_key=organization,
            node_key=node_key or keys / "node.key",
            root=organization.parent / "root.key",
            key_log=known / "key-log.json",
            trust_store=known / "organizations.json",
        )


def open_identity(places: KeyPlaces, name: str, node_name: str, clock: Clock) -> KeyLog:
    """This organization's key log: read from the node's own file, or made new with all its keys.

    :raises KeyFileInvalid: some of the key files exist and others do not.
    """
    now = int(clock.now())
    if places.key_log.exists():
        return read_key_log(places.key_log)
    if places.organization_key.exists():
        raise KeyFileInvalid(
            f"{places.organization_key} exists, and {places.key_log} does not",
            hint="Copy key-log.json from the organization's other node, or from a backup; keys alone are not enough.",
        )
    root, organization, node = new_keys(places.root, places.organization_key, places.node_key, name)
    identity = (
        KeyLog.create(root, name, now)
        .certify(root, organization.public, "organization key", now, now + CERTIFIED_FOR_S)
        .certify(root, node.public, f"node {node_name}", now, now + CERTIFIED_FOR_S)
        .sign_head(node, now)
    )
    write_key_log(places.key_log, identity)
    fingerprint = identity.fingerprint
    log.warning("a new identity was made for %s: %s (%s)", name, spoken(fingerprint), base32(fingerprint))
    return identity


def agree_with_hub(hub: Hub, organization_id: int, own: KeyLog) -> KeyLog:
    """The newest log that both sides can stand behind; the hub is brought up to it.

    :raises IdentityChanged: the hub shows another identity or history for this organization.
    """
    shown = hub.key_log(organization_id)
    if shown is None:
        hub.upload_key_log(organization_id, own)
        return own
    if shown.fingerprint != own.fingerprint:
        raise IdentityChanged(
            f"the hub shows another identity for {own.name}. "
            f"Here: {spoken(own.fingerprint)}. At the hub: {spoken(shown.fingerprint)}.",
            hint="Nothing was overwritten. If this node was set up anew by mistake, give it the organization's key "
            "files; otherwise ask the operator of the hub who uploaded the other identity.",
            fields={"here": own.fingerprint, "hub": shown.fingerprint},
        )
    shorter, longer = (own, shown) if own.number <= shown.number else (shown, own)
    longer.check_continues(shorter.fingerprint, shorter.number, shorter.entries[-1].hash)
    if own.number > shown.number or _head_issued_at(own) > _head_issued_at(shown):
        hub.upload_key_log(organization_id, own)
    return longer


def read_key_log(path: Path) -> KeyLog:
    """:raises KeyLogInvalid: damaged; with what to do."""
    try:
        return KeyLog.from_wire(json.loads(path.read_bytes()))
    except (OSError, ValueError, TrustError) as fault:
        raise KeyLogInvalid(f"{path} cannot be used: {fault}", hint="Restore it from a backup.") from None


def write_key_log(path: Path, identity: KeyLog) -> None:
    """Replace the file, unless another program has written a longer log meanwhile: entries are never taken back.

    :raises KeyLogInvalid, IdentityChanged: what is there is damaged, or is another history.
    """
    with locked(path):
        if path.exists():
            there = read_key_log(path)
            if there.number > identity.number:
                there.check_continues(identity.fingerprint, identity.number, identity.entries[-1].hash)
                return
            identity.check_continues(there.fingerprint, there.number, there.entries[-1].hash)
        write_atomically(path, json.dumps(identity.to_wire(), indent=1).encode())


def _head_issued_at(identity: KeyLog) -> int:
    return identity.head_body.issued_at if identity.head_body else 0
