"""What runs in an algorithm container: read the order, do it, write the result, say nothing about the data.

`python -m algorithm_base MODULE`, or the environment variable PKG_NAME instead of MODULE. Exit 0: the result is
written. Exit 1: the algorithm failed. Exit 2: there was nothing that could be run (no module, no such method, wrong
arguments, not started by a node).
"""

import importlib
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from types import FrameType, ModuleType, TracebackType
from typing import Any

from algorithm_base.environment import Container, Environment
from algorithm_base.errors import AlgorithmError, ContractError, OrderError
from algorithm_base.named_inputs import read_index
from algorithm_base.peers import Peers
from algorithm_base.perform import Order, Surroundings, perform
from algorithm_base.progress_report import Throttled
from algorithm_base.registry import method_named

DONE, FAILED, NOT_RUNNABLE = 0, 1, 2


def main(arguments: Sequence[str] | None = None, variables: Mapping[str, str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    variables = os.environ if variables is None else variables
    module_name = arguments[0] if arguments else variables.get("PKG_NAME", "")
    package = module_name.partition(".")[0]
    _keep_other_threads_quiet(package)
    try:
        _run(module_name, variables)
    except BaseException as error:  # the top of the process: nothing may reach Python's own traceback printer
        print(describe(error, package), file=sys.stderr, flush=True)
        return NOT_RUNNABLE if isinstance(error, ContractError | OrderError) else FAILED
    return DONE


def _run(module_name: str, variables: Mapping[str, str]) -> None:
    container = Container.from_environment(Environment(variables))
    order = Order.parse(container.input_file.read_bytes())
    method = method_named(order.method, _load(module_name))
    perform(method, order, _surroundings(container))


def _load(module_name: str) -> ModuleType:
    if not module_name:
        raise ContractError(
            "which algorithm? Say so with `python -m algorithm_base MODULE`, or set PKG_NAME in the image"
        )
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing == module_name or module_name.startswith(missing + "."):
            raise ContractError(
                f"the image has no module '{module_name}': install the algorithm's package in it"
            ) from None
        raise


def _surroundings(container: Container) -> Surroundings:
    return Surroundings(
        sources=container.sources,
        inputs=read_index(container.inputs_folder),
        peers=lambda: _peers(container),
        report=Throttled(lambda percent: _send_progress(container, percent)),
        output_file=container.output_file,
        outputs_folder=container.outputs_folder,
    )


# urllib takes longer to import than many a method to run: only those that use it pay for it.


def _peers(container: Container) -> Peers:
    from algorithm_base.proxy_door import ProxyDoor, ProxyHttp

    if container.proxy is None:
        raise ContractError("this run has no proxy, so it cannot ask other organizations")
    return Peers(ProxyDoor(ProxyHttp(container.proxy), container.proxy.token_file))


def _send_progress(container: Container, percent: int) -> None:
    from algorithm_base.proxy_door import ProxyHttp, send_progress

    if container.proxy is not None:
        send_progress(ProxyHttp(container.proxy), percent)


def describe(error: BaseException, package: str) -> str:
    """An error without data: its text if the author declared it safe, else its class and the place."""
    if isinstance(error, AlgorithmError):
        return f"{type(error).__name__}: {error}"
    return (
        f"{type(error).__name__} at {place_of(error.__traceback__, package)} (its text is withheld: it may hold data)"
    )


def place_of(traceback: TracebackType | None, package: str) -> str:
    """`file:line` of the innermost frame in the algorithm's own code, else of the innermost frame in ours."""
    frames: list[tuple[FrameType, int]] = []
    while traceback is not None:
        frames.append((traceback.tb_frame, traceback.tb_lineno))
        traceback = traceback.tb_next
    for owner in (package, "algorithm_base"):
        for frame, line in reversed(frames):
            if str(frame.f_globals.get("__name__", "")).partition(".")[0] == owner:
                return f"{_file_of(frame)}:{line}"
    return "an unknown place"


def _file_of(frame: FrameType) -> str:
    """Where the code stands inside its package: nothing about the image's folders."""
    file = PurePath(frame.f_code.co_filename).name
    names = str(frame.f_globals["__name__"]).split(".")
    return "/".join([*(names if file == "__init__.py" else names[:-1]), file])


def _keep_other_threads_quiet(package: str) -> None:
    """Python prints what threads and destructors raise by itself, values included; not here."""

    def from_thread(failed: threading.ExceptHookArgs) -> None:
        if failed.exc_value is not None:
            print(describe(failed.exc_value, package), file=sys.stderr, flush=True)

    def unraisable(failed: Any) -> None:
        if failed.exc_value is not None:
            print(describe(failed.exc_value, package), file=sys.stderr, flush=True)

    threading.excepthook = from_thread
    sys.unraisablehook = unraisable
