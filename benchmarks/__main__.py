"""`python -m benchmarks NAME [--json]`; started by script/bench."""

import argparse
import importlib
import signal
import sys

from rich.console import Console

from benchmarks.options import Options
from benchmarks.report import Report

BENCHES = {
    "seal": "sealing and opening beside AES-256-GCM and SHA-256",
    "hub": "requests per second and p99 of the hub",
    "roundtrip": "from the client's call to the opened result (needs Docker)",
    "payload": "a 2 GiB result from node to client",
}


def main(arguments: list[str] | None = None) -> int:
    listed = "\n".join(f"  {name:<10} {text}" for name, text in BENCHES.items())
    parser = argparse.ArgumentParser(
        prog="script/bench", description=f"Measures one thing:\n{listed}", formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("name", choices=BENCHES, metavar="NAME")
    parser.add_argument("--json", action="store_true", help="the last line of stdout is one JSON object")
    parser.add_argument(
        "--quick", action="store_true", help="try the bench itself: small and few; the figures mean little"
    )
    wanted = parser.parse_args(arguments)
    report: Report = importlib.import_module(f"benchmarks.{wanted.name}").measure(Options(quick=wanted.quick))
    if wanted.json:
        report.explain(Console(stderr=True))
        print(report.json_line(), flush=True)
    else:
        report.show(Console())
    return 0  # a missed expectation is an answer, not a failure


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended also then
    sys.exit(main())
