"""How every command finds its hub and its folder."""

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from vclient.client import Client
from vclient.settings import context_named, name_for
from vprotocol.errors import UsageError
from vruntime.atomic import write_atomically
from vruntime.contexts import Kind, Level, folders

Command = TypeVar("Command", bound=Callable[..., Any])


def connected(function: Command) -> Command:
    """Give a command `--hub`, `--context`, `--folder`, and the `client` that they mean."""

    @click.option("--hub", envvar="VESTAL_HUB", help="Address of the hub, such as https://hub.example.org.")
    @click.option("--context", envvar="VESTAL_CONTEXT", help="Name of a client configuration.")
    @click.option(
        "--folder",
        envvar="VESTAL_FOLDER",
        type=click.Path(file_okay=False, path_type=Path),
        help="Where keys, tokens and known organizations are kept.",
    )
    @functools.wraps(function)
    def run(*args: Any, hub: str | None, context: str | None, folder: Path | None, **given: Any) -> Any:
        with open_client(hub, context, folder) as client:
            return function(*args, client=client, **given)

    return run  # type: ignore[return-value]


def open_client(hub: str | None, context: str | None, folder: Path | None) -> Client:
    """:raises UsageError: it is not clear which hub is meant."""
    options: dict[str, Any] = {} if folder is None else {"folder": folder}
    if hub is not None and context is None:
        return Client(hub, **options)
    if context_named(context) is None:
        raise UsageError(
            "which hub?", hint="Add --hub ADDRESS, set VESTAL_HUB, or log in once: `vclient login --hub ADDRESS`."
        )
    return Client.from_context(context, **options)


def remember_hub(client: Client) -> None:
    """Write the hub's context file if there is none, so that later commands need no `--hub`."""
    path = folders(Kind.CLIENT, Level.USER).config / f"{name_for(client.url)}.yaml"
    if path.exists():
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)

    text = (
        f"# A Vestal client. More keys: username, trust, first_contact, min_suite, collaborations.\n"
        f"hub:\n  url: {_quoted(client.url)}\n"
    )
    write_atomically(path, text.encode(), 0o644)


def _quoted(text: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'
