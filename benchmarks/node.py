"""A node in a process of its own, as `vnode start --foreground` runs it; on request with a record of where time goes.

    python -m benchmarks.node NAME [TRACE_FILE]

It writes one JSON line to stdout when its hub has answered.
"""

import sys
from pathlib import Path

from benchmarks.phases import record_node_phases
from vnode import deployment as deployments
from vnode.launch import surroundings
from vnode.serving import serve, told_through
from vruntime.clock import SystemClock
from vruntime.contexts import Level
from vruntime.logs import start_logging
from vruntime.version import VERSION


def main(name: str, trace: str | None = None) -> int:
    if trace is not None:
        record_node_phases(Path(trace))
    node = deployments.load(name, level=Level.USER)
    start_logging(file=node.log_file)
    with deployments.alone(node, VERSION, SystemClock()):
        around = surroundings(node.settings, node.folder, inside_container=False)
        serve(node.settings, around, told_through(sys.stdout.fileno()))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
