"""`vnode image list`: what may be named in plans without a registry."""

from contextlib import closing
from typing import Any

from vnode.cli._choice import Choice, chosen_node
from vnode.config import NodeSettings, pattern_matches
from vnode.executors.leftovers import Engine
from vnode.executors.process_image import process_image
from vruntime.cli import Out
from vruntime.cli import command as cli_command

COLUMNS = ("name", "config_digest", "allowed")


@cli_command("list", short_help="Show local images and their digests.")
@chosen_node
def command(choice: Choice, out: Out) -> None:
    """Show the images on this machine by name and config digest (what a plan needs), and whether policy allows them."""
    settings = choice.load().settings
    rows = [{**image, "allowed": allowed(settings, image)} for image in _images(settings)]

    def human() -> None:
        out.table(COLUMNS, [[row["name"], row["config_digest"], "yes" if row["allowed"] else "no"] for row in rows])

    out.result(rows, human)


def allowed(settings: NodeSettings, image: dict[str, Any]) -> bool:
    patterns = settings.policy.images
    return patterns is None or any(pattern_matches(one, image["name"], image["config_digest"]) for one in patterns)


def _images(settings: NodeSettings) -> list[dict[str, Any]]:
    if settings.executor == "process":
        found = [process_image(one.name, one.package, one.path) for one in settings.process_images]
        return [{"name": one.name, "config_digest": one.digest, "size_bytes": None} for one in found]
    with closing(Engine()) as engine:
        return [
            {"name": one.name, "config_digest": one.config_digest, "size_bytes": one.size_bytes}
            for one in engine.images()
        ]
