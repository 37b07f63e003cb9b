"""Waiting for a job: the hub holds each question until something has happened, so nothing is polled."""

from collections.abc import Callable, Sequence

from vclient.api import job as job_api
from vprotocol.errors import DeadlineExceeded
from vprotocol.messages.job import JobView
from vprotocol.states import FINAL
from vruntime.clock import Clock, Deadline
from vruntime.http import Http

HELD_S = 20.0  # most proxies cut silent connections at 30 or 60 seconds
OUTAGE_S = 300.0  # a hub that is away for less than this, such as for an upgrade, is waited for
GRACE_S = 15.0

Progress = Callable[[JobView], None]


def wait(
    http: Http,
    clock: Clock,
    view: JobView,
    *,
    timeout_s: float,
    include: Sequence[str] = (),
    progress: Progress | None = None,
) -> JobView:
    """The job when it has ended.

    :param progress: called with the job whenever something has happened to it, and after each time nothing has.
    :raises DeadlineExceeded: it has not ended within `timeout_s`; it goes on all the same. Unreachable: no hub.
    """
    deadline = Deadline.after(clock, timeout_s)
    while view.state not in FINAL:
        remaining_s = deadline.remaining_s()
        if remaining_s <= 0:
            raise DeadlineExceeded(
                f"the job {view.id} has not ended within {timeout_s:g} seconds (it is {view.state.value})",
                hint="It goes on: wait again, look at job.status(), or cancel it.",
            )
        # Who does not want to hear of every step is answered once, when it has ended.
        since = None if progress is None else view.version
        view = job_api.held(
            http,
            view.id,
            wait_s=min(HELD_S, remaining_s),
            since=since,
            include=include,
            deadline_s=min(OUTAGE_S, remaining_s + GRACE_S),
        )
        if progress is not None:
            progress(view)
    return view
