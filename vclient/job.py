"""A job as its initiator sees it: wait, look, open, stop."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from vclient import waiting
from vclient.api import job as job_api
from vclient.checking import CheckedRun, Place, check_graph, failures, organization_names, signed_logs
from vclient.connection import Connection
from vclient.errors import Failure, JobFailed
from vclient.outcomes import Opener, Results, final_outputs, finals
from vclient.planning import longest_s
from vprotocol.errors import JobCancelled, PlanMismatch, UsageError
from vprotocol.ids import Fingerprint
from vprotocol.messages.job import JobView
from vprotocol.messages.run import RunView
from vprotocol.plan import SignedPlan, root_runs
from vprotocol.states import FINAL, RunState
from vruntime.transfer import Progress

WITH_RESULTS = ("runs", "payloads")
FEW_RUNS = 64  # so many come with each answer; of larger jobs only when they have ended


@dataclass(frozen=True)
class RunLog:
    """What an algorithm wrote while it ran. `text` is shown as it is: strip it before it meets a terminal."""

    step: str
    path: str
    organization: str
    state: RunState
    text: str


class Job:
    """One execution of a workflow. Everything that it opens was checked against the signed plan."""

    def __init__(self, connection: Connection, plan: SignedPlan, view: JobView) -> None:
        self._connection, self._plan, self._view = connection, plan, view

    @classmethod
    def find(cls, connection: Connection, job_id: str) -> Self:
        """A job that was submitted before.

        :raises PlanMismatch, SignatureInvalid: the hub shows another plan, or one that its issuer did not sign.
        """
        view = job_api.job(connection.http, job_id, include=("plan", *WITH_RESULTS))
        if view.plan is None:
            raise PlanMismatch("the hub shows the job without its plan")
        plan = SignedPlan.from_wire(view.plan.to_wire())
        if view.id != job_id or plan.plan.job != job_id:
            raise PlanMismatch("the hub shows another job than the one asked for")
        issuer = plan.plan.issuer
        own = connection.places.user_key.exists() and issuer.key == connection.key.id
        plan.verify(connection.key.public if own else connection.directory.user_key(issuer.organization, issuer.key))
        return cls(connection, plan, view)

    @property
    def id(self) -> str:
        return self._view.id

    @property
    def name(self) -> str:
        return self._view.name

    @property
    def plan(self) -> SignedPlan:
        """What was signed."""
        return self._plan

    @property
    def view(self) -> JobView:
        """The job as the hub last showed it."""
        return self._view

    @property
    def state(self) -> RunState:
        """As it was known last; `status()` asks."""
        return self._view.state

    @property
    def ended(self) -> bool:
        return self._view.state in FINAL

    def status(self) -> JobView:
        """Ask the hub for the present state, with all runs."""
        self._see(job_api.job(self._connection.http, self.id, include=WITH_RESULTS))
        return self._view

    def wait(self, timeout_s: float | None = None, progress: waiting.Progress | None = None) -> RunState:
        """Return the final state as soon as the job has ended; the hub holds the question until then.

        :param timeout_s: default: until the plan has expired and the last run's time is over.
        :param progress: called with a `JobView` whenever something has happened, and every 20 s when nothing has.
        :raises DeadlineExceeded: not ended in time; the job goes on.
        """
        few = len(root_runs(self._plan.plan)) <= FEW_RUNS
        self._see(
            waiting.wait(
                self._connection.http,
                self._connection.clock,
                self._view,
                timeout_s=self._longest_s() if timeout_s is None else timeout_s,
                include=WITH_RESULTS if few or progress is not None else (),
                progress=progress,
            )
        )
        return self._view.state

    def results(
        self,
        step: str | None = None,
        output: str | None = None,
        *,
        partial: bool = False,
        timeout_s: float | None = None,
    ) -> Results:
        """Wait, check every receipt, open the final outputs: decoded values by organization.

        JSON becomes Python objects, anything else bytes. If several final outputs are meant, they come by
        `step.output`, and then by organization.

        :param partial: what is there of a job that failed; otherwise that is an error.
        :raises JobFailed: with `failures` and the `partial` results. JobCancelled.
        :raises TrustError: the hub or a node shows what was not signed or is not sealed for this place.
        """
        self.wait(timeout_s)
        chosen = final_outputs(self._plan, step, output)
        runs = self._checked()
        found = finals(self._plan, runs, chosen)
        opener = Opener(self._connection, self._plan)
        opened: dict[str, dict[str, Any]] = {f"{s}.{o}": {} for s, o in chosen}
        for one in found:
            opened[f"{one.step}.{one.output}"][one.organization] = opener.value(one)
        values: Mapping[str, Any] = next(iter(opened.values())) if len(chosen) == 1 else opened
        failed = failures(self._plan, runs, self._runs())
        if len(found) < sum(len(self._on(one)) for one, _ in chosen) and not partial:
            self._fail(failed, values)
        return Results(values, failed)

    def result(self, step: str | None = None, output: str | None = None, *, timeout_s: float | None = None) -> Any:
        """The one value of a job (or step) that has one.

        :raises UsageError: there are several. Everything that `results` raises.
        """
        values = self.results(step, output, timeout_s=timeout_s)
        if len(final_outputs(self._plan, step, output)) != 1 or len(values) != 1:
            raise UsageError("the job has several results", hint="Use results(), or name step and output.")
        return next(iter(values.values()))

    def save(
        self,
        path: Path | str,
        step: str | None = None,
        organization: str | int | None = None,
        output: str | None = None,
        progress: Progress | None = None,
    ) -> Path:
        """Stream one final output to a file, at constant memory; the file appears whole and checked, or not at all.

        :param progress: called with (bytes fetched, bytes in all).
        :raises UsageError: several outputs are meant. Everything that `results` raises.
        """
        self.wait()
        chosen = final_outputs(self._plan, step, output)
        runs = self._checked()
        found = [
            one
            for one in finals(self._plan, runs, chosen)
            if organization is None or one.fingerprint == self._fingerprint(organization)
        ]
        if not found:
            self._fail(failures(self._plan, runs, self._runs()), {})
        if len(found) > 1:
            listed = ", ".join(one.label for one in found)
            raise UsageError("several outputs are meant", hint=f"Name step, output or organization: {listed}.")
        target = Path(path)
        Opener(self._connection, self._plan).save(found[0], target, progress)
        return target

    def failures(self) -> tuple[Failure, ...]:
        """Every run that ended otherwise than completed, subtasks included, and why."""
        return failures(self._plan, self._checked(), self._runs())

    def logs(self, *, everything: bool = False) -> list[RunLog]:
        """The logs of the runs that failed, or of all that have one. Only the initiator can open them."""
        names = organization_names(self._plan)
        opener = Opener(self._connection, self._plan)
        return [
            RunLog(
                step=log.view.path.partition("[")[0],
                path=log.view.path,
                organization=names[log.view.fingerprint],
                state=log.view.state,
                text=opener.log(log).decode("utf-8", "replace"),
            )
            for log in signed_logs(self._plan, self._runs(), self._connection.directory.node_key, everything=everything)
        ]

    def cancel(self) -> JobView:
        """Stop it; containers that run are stopped too."""
        self._see(job_api.cancel(self._connection.http, self.id))
        return self._view

    def __repr__(self) -> str:
        return f"<Job {self.id} {self.name!r} {self.state.value}>"

    # --- inside -------------------------------------------------------------------------------------------------
    def _see(self, view: JobView) -> None:
        if view.id != self._view.id:
            raise PlanMismatch("the hub shows another job than the one asked for")
        self._view = view

    def _runs(self) -> tuple[RunView, ...]:
        if self._view.runs is None:
            self.status()
        if self._view.runs is None:
            raise PlanMismatch("the hub shows the job without its runs")
        return self._view.runs

    def _checked(self) -> dict[Place, CheckedRun]:
        return check_graph(self._plan, self._runs(), self._connection.directory.node_key)

    def _on(self, step: str) -> tuple[Fingerprint, ...]:
        found = self._plan.plan.step(step)
        return () if found is None else found.on

    def _fingerprint(self, wanted: str | int) -> Fingerprint:
        for fingerprint, name in organization_names(self._plan).items():
            known = self._plan.plan.organization(fingerprint)
            if known is not None and wanted in (name, fingerprint, known.id, str(known.id)):
                return fingerprint
        raise UsageError(f"{wanted} takes no part in this job")

    def _fail(self, failed: tuple[Failure, ...], values: Mapping[str, Any]) -> None:
        """:raises JobFailed, JobCancelled: what is missing has a reason."""
        if not failed:
            raise PlanMismatch("the hub says that the job has ended, and shows neither its results nor why")
        if all(one.state is RunState.CANCELLED for one in failed):
            raise JobCancelled(f"the job {self.id} was cancelled")
        raise JobFailed(failed, values)

    def _longest_s(self) -> float:
        plan = self._plan.plan
        return max(0.0, plan.expires_at - self._connection.clock.now()) + longest_s(plan)
