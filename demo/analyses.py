"""The three questions, as a researcher would put them."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from demo.programs import DemoFailed, last_lines
from vclient import Client, Workflow, gather
from vclient.errors import JobFailed
from vclient.images import ImageRef
from vclient.job import Job
from vclient.workflow import order
from vprotocol.messages.job import JobView

TARGET = "diagnosis"
POSITIVE = "malignant"
# Any positive penalty would do; one with many digits can be searched for afterwards.
RIDGE = 9.869604401089358
# Newton's steps square the error: after one smaller than this, what is left is far below the 1e-6 that is demanded.
TOLERANCE = 1e-5
WITHIN_S = 120.0
METHODS = ("central_moments", "partial_moments", "combine_moments", "central_logistic", "partial_newton")

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Answer:
    """What a job gave, and how long it took from the order to the opened result."""

    value: dict[str, Any]
    seconds: float


def central_moments(client: Client, image: ImageRef, columns: list[str], progress: Progress) -> Answer:
    """Mean and standard deviation by a central function that asks the others."""
    return _timed(
        lambda: client.run(
            image,
            "central_moments",
            kwargs={"columns": columns},
            on="initiator",
            delegate=True,
            labels={"demo": "central"},
        ),
        progress,
    )


def workflow_moments(client: Client, image: ImageRef, columns: list[str], progress: Progress) -> Answer:
    """The same in two steps, all → gather → initiator: no central function."""
    workflow = Workflow("moments in two steps")
    part = workflow.step("part", image, on="all", data=["default"])
    workflow.step("finish", image, on="initiator", inputs={"parts": gather(part)})
    orders = {"part": order("partial_moments", columns=columns), "finish": order("combine_moments")}
    return _timed(lambda: client.run(workflow, orders=orders, labels={"demo": "workflow"}), progress)


def central_logistic(client: Client, image: ImageRef, columns: list[str], progress: Progress) -> Answer:
    """Logistic regression over rounds, until nothing moves."""
    arguments = {"target": TARGET, "positive": POSITIVE, "columns": columns, "ridge": RIDGE, "tolerance": TOLERANCE}
    return _timed(
        lambda: client.run(
            image,
            "central_logistic",
            kwargs=arguments,
            on="initiator",
            delegate=True,
            labels={"demo": "logistic"},
        ),
        progress,
    )


def _timed(submit: Callable[[], Job], progress: Progress) -> Answer:
    before_s = time.monotonic()
    job = submit()

    def show(view: JobView) -> None:
        runs = view.runs or ()
        percent = max((run.progress or 0 for run in runs), default=0)
        progress(f"{sum(view.counts.values())} runs so far" + (f", {percent} %" if percent else ""))

    try:
        job.wait(WITHIN_S, progress=show)
        return Answer(job.result(timeout_s=WITHIN_S), time.monotonic() - before_s)
    except JobFailed as error:
        said = "\n".join(f"--- log of {log.path} at {log.organization}\n{last_lines(log.text)}" for log in job.logs())
        raise DemoFailed(str(error), said) from error
