"""The whole demo, from an empty folder to a verdict."""

import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from demo import analyses, comparison, ground, pooled
from demo.analyses import Answer
from demo.confidential import secrets
from demo.federation import Federation, Plan
from demo.needles import Needle, Secret, needles
from demo.programs import ROOT
from demo.report import HubSaw, Part, Report
from demo.search import Searched, search
from demo.talk import Talk
from demo.visible import visible
from examples.split import write_parts

WDBC = ROOT / "examples" / "data" / "wdbc.csv"
TITLES = {
    "central": "a. Mean and standard deviation, by a central function",
    "workflow": "b. The same as a two-step workflow",
    "logistic": "c. Logistic regression, diagnosis on all features",
}
ASKED = {
    "central": analyses.central_moments,
    "workflow": analyses.workflow_moments,
    "logistic": analyses.central_logistic,
}


@dataclass(frozen=True)
class Options:
    executor: str  # auto, docker or process
    nodes: int
    keep: bool


@dataclass(frozen=True)
class Data:
    """Every hospital's share, and all of it together: only the demo ever has that."""

    files: tuple[Path, ...]
    parts: tuple[pooled.Table, ...]

    @classmethod
    def dealt(cls, folder: Path, count: int) -> "Data":
        files = tuple(write_parts(WDBC, folder, count))
        return cls(files, tuple(pooled.read(file, analyses.TARGET) for file in files))

    @property
    def whole(self) -> pooled.Table:
        return pooled.joined(self.parts)


def tell(options: Options, folder: Path, talk: Talk, setup_before_s: float = 0.0) -> Report:
    """Set up, ask, compare, search.

    :param setup_before_s: what the virtual environment took, before this program could begin.
    :raises DemoFailed: something did not work; its details are the last words of whoever knows why.
    """
    before_s = time.monotonic()
    chosen = ground.choose(options.executor)
    talk.say(_about(chosen, options.nodes))
    data = Data.dealt(folder / "data", options.nodes)
    if chosen == "docker":
        with talk.step("images") as update:
            here = ground.containers(update)
    else:
        here = ground.processes()
    with ExitStack() as kept:
        federation = Federation(folder / "federation", Plan(here, data.files), talk)
        if options.keep:
            federation.__enter__()
        else:
            kept.enter_context(federation)
        control = kept.enter_context(_control_federation(folder / "control", data, talk))
        ready_s = time.monotonic()
        times = _Times()
        talk.heading("Three questions")
        try:
            answers = _asked(federation, here, data, talk)
            times.mark("questions")
            searched, not_searched = secrets(data.parts, data.whole)
            spelled = needles(searched)
            times.mark("pooled answers")
            found, seen = _looked_at(federation, searched, spelled, talk)
            times.mark("search")
        except BaseException as error:
            raise federation.explained(error) from error
        controlled = _control(control, data, spelled, talk)
        times.mark("control run")
        report = Report(
            executor=chosen,
            nodes=options.nodes,
            parts=_compared(answers, data),
            hub_saw=HubSaw(searched, not_searched, found, controlled, seen),
            setup_seconds=setup_before_s + ready_s - before_s,
            seconds=time.monotonic() - ready_s,
            where_time_went=times.marks,
        )
        if options.keep:
            talk.heading("Everything is left running.")
            for line in federation.how_to_reach():
                talk.say(line)
    return report


class _Times:
    def __init__(self) -> None:
        self.marks: list[tuple[str, float]] = []
        self._last_s = time.monotonic()

    def mark(self, name: str) -> None:
        now_s = time.monotonic()
        self.marks.append((name, now_s - self._last_s))
        self._last_s = now_s


def _about(executor: str, nodes: int) -> str:
    how = "algorithms in isolated containers" if executor == "docker" else "no containers: algorithms are NOT isolated"
    return f"{nodes} hospitals, each with its share of 569 patients; {how}"


def _asked(federation: Federation, here: ground.Ground, data: Data, talk: Talk) -> dict[str, Answer]:
    columns = list(data.whole.columns)
    answers = {}
    for name, ask in ASKED.items():
        with talk.step(TITLES[name]) as update:
            answers[name] = ask(federation.client, here.image, columns, update)
    return answers


def _looked_at(
    federation: Federation, searched: list[Secret], spelled: list[Needle], talk: Talk
) -> tuple[Searched, list[str]]:
    with talk.step(f"searching what the hub has for {len(searched)} secrets in {len(spelled)} spellings"):
        files = federation.hub.files()
        return search(files.pieces(), spelled), visible(files.database)


def _control_federation(folder: Path, data: Data, talk: Talk) -> Federation:
    """A throw-away one where nothing is sealed.

    Its algorithms are processes, whatever the real one's are: what a hub is sent does not depend on how they run.
    """
    talk.heading("For control, a throw-away hub and nodes where nothing is sealed")
    return Federation(folder, Plan(ground.processes(), data.files, encrypted=False), talk)


def _control(federation: Federation, data: Data, spelled: list[Needle], talk: Talk) -> Searched:
    """The same questions once more: does the search find what is there?"""
    talk.heading("The control: the same questions, unsealed")
    try:
        _asked(federation, ground.processes(), data, talk)
        with talk.step("searching what that hub has"):
            return search(federation.hub.files().pieces(), spelled)
    except BaseException as error:
        raise federation.explained(error) from error


def _compared(answers: dict[str, Answer], data: Data) -> dict[str, Part]:
    whole = data.whole
    truth = pooled.moments(whole.values)
    fit = pooled.logistic(whole.values, [text == analyses.POSITIVE for text in whole.texts], analyses.RIDGE)
    parts = {
        name: Part(comparison.moments(TITLES[name], answers[name].value, whole.columns, truth), answers[name].seconds)
        for name in ("central", "workflow")
    }
    logistic = answers["logistic"]
    parts["logistic"] = Part(
        comparison.logistic(TITLES["logistic"], logistic.value, whole.columns, fit),
        logistic.seconds,
        rounds=int(logistic.value["rounds"]),
    )
    return parts
