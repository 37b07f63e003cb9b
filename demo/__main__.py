"""`script/demo`."""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

from rich.console import Console

from demo.programs import DemoFailed
from demo.story import Options, tell
from demo.talk import Talk
from vprotocol.errors import VestalError

FEWEST_NODES, MOST_NODES = 2, 20
OK, FAILED, INTERRUPTED = 0, 1, 130
STARTED_VARIABLE = "VESTAL_DEMO_STARTED"  # unix seconds at which script/demo began


def main() -> int:
    options, as_json = _options()
    signal.signal(signal.SIGTERM, _interrupt)
    talk = Talk()
    folder = Path(tempfile.mkdtemp(prefix="vestal-demo-"))
    folder.chmod(0o755)  # a node in a container is somebody else; what is private inside has its own lock
    try:
        report = tell(options, folder, talk, _already_s())
    except DemoFailed as error:
        return _failed(talk, str(error), error.details)
    except VestalError as error:
        return _failed(talk, str(error), error.hint or "")
    except KeyboardInterrupt:
        talk.say("interrupted; everything that was started has been ended")
        return INTERRUPTED
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    report.show(Console(stderr=as_json))
    if as_json:
        sys.stdout.write(report.to_json() + "\n")
    return OK if report.holds else FAILED


def _options() -> tuple[Options, bool]:
    parser = argparse.ArgumentParser(
        prog="script/demo",
        description="A hub, some hospitals and a researcher on this machine; three analyses of real data; "
        "and a search of everything the hub saw of them.",
    )
    parser.add_argument("--executor", choices=("auto", "docker", "process"), default="auto")
    parser.add_argument("--nodes", type=_count, default=3, metavar="N", help=f"{FEWEST_NODES} to {MOST_NODES}")
    parser.add_argument("--keep", action="store_true", help="leave everything running and say how to reach it")
    parser.add_argument("--json", action="store_true", help="the last line of the output is one object")
    given = parser.parse_args()
    return Options(given.executor, given.nodes, given.keep), given.json


def _count(text: str) -> int:
    if not text.isdecimal() or not FEWEST_NODES <= int(text) <= MOST_NODES:
        raise argparse.ArgumentTypeError(f"a number from {FEWEST_NODES} to {MOST_NODES}")
    return int(text)


def _already_s() -> float:
    started = os.environ.get(STARTED_VARIABLE, "")
    return max(0.0, time.time() - float(started)) if started.replace(".", "", 1).isdecimal() else 0.0


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _failed(talk: Talk, sentence: str, details: str) -> int:
    if details:
        talk.console.print(details, markup=False, soft_wrap=True)
    talk.console.print(f"the demo failed: {sentence}", markup=False, style="red", soft_wrap=True)
    return FAILED


if __name__ == "__main__":
    sys.exit(main())
