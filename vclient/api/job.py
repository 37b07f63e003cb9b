"""/job: submitting, waiting, cancelling."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from vclient.api.pages import every
from vprotocol.messages.job import JobSubmit, JobView
from vruntime.http import Http, new_key


def submit(http: Http, message: JobSubmit) -> JobView:
    return JobView.from_wire(http.post("/job", message.to_wire(), once=new_key()))


def jobs(http: Http, **filters: Any) -> Iterator[JobView]:
    return every(http, "/job", JobView, filters)


def job(http: Http, job_id: str, *, include: Sequence[str] = ()) -> JobView:
    return JobView.from_wire(http.get(f"/job/{job_id}", params=_including(include)))


def held(
    http: Http, job_id: str, *, wait_s: float, since: int | None, include: Sequence[str] = (), deadline_s: float
) -> JobView:
    """The job as soon as it has changed since `since` (without it: has ended), at the latest after `wait_s`."""
    params = {"wait": max(1, math.ceil(wait_s)), "since": since, **_including(include)}
    return JobView.from_wire(
        http.long_poll("GET", f"/job/{job_id}", wait_s=wait_s, deadline_s=deadline_s, params=params)
    )


def cancel(http: Http, job_id: str) -> JobView:
    return JobView.from_wire(http.patch(f"/job/{job_id}", {"cancel": True}, once=new_key()))


def _including(include: Sequence[str]) -> dict[str, str]:
    return {"include": ",".join(include)} if include else {}
