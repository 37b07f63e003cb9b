"""`vnode trust`: other organizations, and how well their identities are known. One command a file."""

from vruntime.cli import LazyGroup

command = LazyGroup(
    "trust",
    package="vnode.cli.trust",
    help="Known organizations: list them, compare their words, forget them.",
    short_help="Known organizations.",
)
