"""What a hub does see, read from its own database: everything that `docs/what-the-hub-saw.md` says is visible."""

import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vprotocol.plan import Plan, SignedPlan


def visible(database: Path) -> list[str]:
    """One sentence a kind of thing."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)
    try:
        return [sentence for about in ABOUT for sentence in about(connection)]
    finally:
        connection.close()


def _participants(hub: sqlite3.Connection) -> Iterable[str]:
    yield _said("participants", _column(hub, "SELECT name FROM organization ORDER BY id"))
    yield _said("collaborations", _column(hub, "SELECT display_name FROM collaboration ORDER BY id"))
    yield _said("users", _column(hub, "SELECT username FROM user ORDER BY id"))
    yield _said("nodes", _column(hub, "SELECT name FROM node ORDER BY id"))


def _jobs(hub: sqlite3.Connection) -> Iterable[str]:
    yield _said("names of jobs", _column(hub, "SELECT name FROM job ORDER BY created_at"))
    plans = _plans(hub)
    images = {f"{image.name}@{image.config_digest}" for plan in plans for image in plan.images.values()}
    yield _said("images", sorted(images))
    yield _said("names of steps", _column(hub, "SELECT DISTINCT step FROM task ORDER BY 1"))
    labels = {f"{name}={value}" for name, value in hub.execute("SELECT name, value FROM job_label")}
    yield _said("labels of jobs", sorted(labels))
    yield _said(
        "labels of data sources", sorted({label for plan in plans for step in plan.steps for label in step.data})
    )
    yield f"graphs: {sum(len(plan.connections) for plan in plans)} connections between steps"


def _plans(hub: sqlite3.Connection) -> list[Plan]:
    """A plan is stored as it was signed: that is how the hub knows whom to ask."""
    return [SignedPlan.from_wire(json.loads(stored)).plan for stored in _column(hub, "SELECT plan FROM job")]


def _runs(hub: sqlite3.Connection) -> Iterable[str]:
    tasks, runs = _one(hub, "SELECT count(*) FROM task"), _one(hub, "SELECT count(*) FROM run")
    yield f"who ran what when: {tasks} tasks as {runs} runs, each with its organization, its times and its limits"
    states = hub.execute("SELECT state, count(*) FROM run GROUP BY state ORDER BY state")
    yield _said("states", (f"{count} {state}" for state, count in states))
    yield _said("reasons", _column(hub, "SELECT DISTINCT reason FROM run WHERE reason IS NOT NULL"))
    yield "progress: whole percentages of runs"


def _payloads(hub: sqlite3.Connection) -> Iterable[str]:
    kinds = hub.execute("SELECT kind, count(*), min(total_bytes), max(total_bytes) FROM payload GROUP BY kind")
    for kind, count, least, most in kinds:
        yield f"sizes: {count} {kind}s of {least} to {most} bytes"
    yield _said("suites", _column(hub, "SELECT DISTINCT suite FROM payload ORDER BY 1"))


ABOUT = (_participants, _jobs, _runs, _payloads)


def _column(hub: sqlite3.Connection, query: str) -> list[Any]:
    return [value for (value,) in hub.execute(query)]


def _one(hub: sqlite3.Connection, query: str) -> Any:
    return hub.execute(query).fetchone()[0]


def _said(what: str, items: Iterable[Any]) -> str:
    return f"{what}: {', '.join(map(str, items)) or 'none'}"
