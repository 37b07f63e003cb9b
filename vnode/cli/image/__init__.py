"""`vnode image`: images on this machine. One command a file."""

from vruntime.cli import LazyGroup

command = LazyGroup(
    "image", package="vnode.cli.image", help="Images that are here.", short_help="Images that are here."
)
