"""`vserver`: one command a file."""

from vruntime.cli import program
from vserver.version import VERSION

main = program(
    "vserver",
    "vserver.cli",
    "The hub of Vestal: it knows who takes part, hands out runs and keeps sealed payloads that it cannot open.",
    version=VERSION,
)
