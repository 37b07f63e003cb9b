"""`vnode`: one command a file."""

from vruntime.cli import program
from vruntime.version import VERSION

main = program(
    "vnode",
    "vnode.cli",
    "The node of Vestal: it runs algorithms beside your data, and only sealed answers leave it.",
    version=VERSION,
)
