"""`vnode keys new`: make a node's keys before its first start."""

import json
from pathlib import Path

import click

from vnode.cli import _shown
from vnode.cli._choice import Choice, chosen_node
from vnode.cli._key_log import own_log
from vnode.deployment import Deployment
from vnode.identity import open_identity
from vprotocol.errors import AlreadyExists, KeyFileInvalid
from vprotocol.key_request import KeyRequest
from vprotocol.keys import KeyKind, PrivateKey
from vruntime.atomic import write_new
from vruntime.cli import Out
from vruntime.cli import command as cli_command
from vruntime.clock import SystemClock
from vruntime.keyfiles import write_key


@cli_command("new", short_help="Make an identity, or a further node's key.")
@chosen_node
@click.option(
    "--request",
    "request_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where the request goes that the organization's root certifies; default: beside the node key.",
)
def command(choice: Choice, request_file: Path | None, out: Out) -> None:
    """Make the keys of the node NAME (or the only one).

    Without an organization key: a new identity, with root, organization key and node key. With one: a node key, and
    a request to certify it (`vnode keys certify` where the root is). The first `vnode start` makes an identity too.
    """
    node = choice.load()
    if node.places.organization_key.exists():
        _node_key(node, request_file, out)
    else:
        _identity(node, out)


def _identity(node: Deployment, out: Out) -> None:
    if node.settings.private_key is not None and node.places.key_log.exists():
        raise KeyFileInvalid(f"{node.places.organization_key} (private_key) is not there", hint="Copy it there.")
    name = node.settings.organization or node.settings.name
    log = open_identity(node.places, name, node.name, SystemClock())
    out.result(_shown.identity(log), f"{log.name}: {_shown.identity(log)['words']}")
    out.say(f"Move the root away from this machine when you can: {node.places.root}")
    out.say("It is needed again to certify keys, and nothing can replace it.")


def _node_key(node: Deployment, request_file: Path | None, out: Out) -> None:
    if node.places.node_key.exists():
        raise AlreadyExists(f"The node has its key already: {node.places.node_key}")
    own_log(node.places)  # without the organization's key log the node could not start
    target = request_file or node.places.node_key.with_suffix(".request.json")
    key = PrivateKey.generate(KeyKind.NODE)
    request = KeyRequest.make(f"node {node.name}", key)
    write_key(node.places.node_key, key, f"node {node.name}")
    write_new(target, json.dumps(request.to_wire()).encode())
    out.result({"key_id": request.key_id, "request": str(target)}, str(target))
    out.say("Where the root is: vnode keys certify " + str(target))
