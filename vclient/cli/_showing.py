"""How jobs and results look on a terminal."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from vclient.job import Job
from vprotocol.messages.job import JobView
from vprotocol.states import FINAL, RunState
from vruntime.cli import Out, Steps


def job_line(view: JobView) -> dict[str, Any]:
    return {
        "id": view.id,
        "name": view.name,
        "state": view.state.value,
        "created_at": view.created_at,
        "finished_at": view.finished_at,
        "images": list(view.images),
        "labels": dict(view.labels),
        "counts": {state.value: count for state, count in view.counts.items()},
    }


def job_details(job: Job) -> dict[str, Any]:
    view = job.view
    names = {one.fingerprint: one.name for one in job.plan.plan.organizations}
    return {
        **job_line(view),
        "runs": [
            {
                "path": run.path,
                "organization": names.get(run.fingerprint, str(run.organization_id)),
                "state": run.state.value,
                "reason": run.reason.value if run.reason else None,
                "note": run.note,
                "attempt": run.attempt,
                "progress": run.progress,
            }
            for run in view.runs or ()
        ],
    }


def show_job(out: Out, job: Job) -> None:
    details = job_details(job)

    def human() -> None:
        out.say(f"{details['id']} {details['name']}: {details['state']}")
        out.table(
            ("PATH", "ORGANIZATION", "STATE", "WHY", "ATTEMPT"),
            (
                (run["path"], run["organization"], run["state"], run["note"] or run["reason"], run["attempt"])
                for run in details["runs"]
            ),
        )

    out.result(details, human)


def watch(out: Out, job: Job, timeout_s: float | None = None) -> RunState:
    """Wait with a bar on a terminal; who is waited for in vain is named."""
    total = sum(len(step.on) for step in job.plan.plan.steps)
    with out.progress(f"{job.name}", total) as steps:
        progress = _counting(out, job, steps)
        progress(job.status())
        return job.wait(timeout_s, progress)


def _counting(out: Out, job: Job, steps: Steps) -> Any:
    done = 0
    said: set[str] = set()
    names = {one.fingerprint: one.name for one in job.plan.plan.organizations}

    def progress(view: JobView) -> None:
        nonlocal done
        waiting = {f"{names.get(run.fingerprint, run.fingerprint)}: {run.note}" for run in view.runs or () if run.note}
        for sentence in sorted(waiting - said):
            out.say(f"waiting for {sentence}")
        said.update(waiting)
        ended = sum(1 for run in view.runs or () if run.state in FINAL and "#" not in run.path)
        steps.advance(ended - done)
        steps.describe(f"{view.name}: {view.state.value}")
        done = ended

    return progress


def plain(value: Any) -> Any:
    """A result as JSON values: bytes as base64."""
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode("ascii")}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return value


def show_results(out: Out, job_id: str, values: Mapping[str, Any]) -> None:
    def human() -> None:
        for name, value in values.items():
            text = f"{len(value)} bytes; use `vclient job save`" if isinstance(value, bytes) else _text(plain(value))
            out.result(None, f"{name}: {text}")

    out.result({"job": job_id, "results": plain(values)}, human)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
