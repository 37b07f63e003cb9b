"""Writing the organization's key log: certify and revoke with the root, then a fresh head, then the hub."""

from collections.abc import Callable
from pathlib import Path

from vnode.containment import hub_from_here
from vnode.deployment import Deployment
from vnode.identity import KeyPlaces, agree_with_hub, read_key_log, write_key_log
from vnode.reporter import Hub
from vprotocol.errors import ConfigInvalid, KeyFileInvalid, NotFound
from vprotocol.ids import KeyId
from vprotocol.keylog import KeyLog
from vprotocol.keys import KeyKind, PrivateKey, PublicKey
from vruntime.clock import Clock
from vruntime.keyfiles import read_key
from vruntime.version import VERSION

DAY_S = 86_400


class NoIdentity(NotFound):
    """This node has no identity yet."""

    code = "no_identity"
    hint = "`vnode start` makes one, or `vnode keys new` without a hub."


def own_log(places: KeyPlaces) -> KeyLog:
    """:raises NoIdentity: there is none."""
    if not places.key_log.exists():
        raise NoIdentity(fields={"key_log": str(places.key_log)})
    return read_key_log(places.key_log)


def door(node: Deployment, clock: Clock) -> Hub:
    """The hub, as this node; on this machine itself if the node's container calls it by the name for that."""
    return Hub.connect(hub_from_here(node.settings.hub), clock, f"vnode/{VERSION}")


def certify(
    places: KeyPlaces, root: Path, key: PublicKey, subject: str, not_after: int, clock: Clock, hub: Hub | None
) -> KeyLog:
    """One more entry: this key is ours until `not_after`."""
    now = int(clock.now())
    return _append(places, root, lambda log, secret: log.certify(secret, key, subject, now, not_after), now, hub)


def revoke(places: KeyPlaces, root: Path, key_id: KeyId, reason: str, clock: Clock, hub: Hub | None) -> KeyLog:
    """One more entry: this key is no longer ours."""
    now = int(clock.now())
    return _append(places, root, lambda log, secret: log.revoke(secret, key_id, now, reason), now, hub)


def _append(
    places: KeyPlaces, root: Path, entry: Callable[[KeyLog, PrivateKey], KeyLog], now: int, hub: Hub | None
) -> KeyLog:
    """:param hub: where to bring it; none: this node brings it there when it next runs.

    The hub's log is asked for first: two logs that were each written without knowing the other never join again.
    """
    log = own_log(places)
    secret = _open_root(root, log)
    organization = None if hub is None else _organization(hub)
    if hub is not None and organization is not None:
        log = agree_with_hub(hub, organization, log)
    # By the root, which is at hand: a node key could not sign a head that says that this node key was revoked.
    changed = entry(log, secret).sign_head(secret, now)
    write_key_log(places.key_log, changed)
    if hub is not None and organization is not None:
        hub.upload_key_log(organization, changed)
    return changed


def _open_root(path: Path, log: KeyLog) -> PrivateKey:
    root = read_key(path, KeyKind.ROOT)
    if root.public.id != log.root.id:
        raise KeyFileInvalid(f"{path} holds the root of another organization than {log.name}")
    return root


def _organization(hub: Hub) -> int:
    me = hub.whoami()
    if me.kind != "node" or me.organization is None:
        raise ConfigInvalid("hub.api_key is not that of a node", hint="Use the key that was shown at its creation.")
    return int(me.organization.id)
