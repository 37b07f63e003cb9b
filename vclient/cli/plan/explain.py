"""vclient plan explain"""

from dataclasses import asdict

from vclient.cli._connection import connected
from vclient.cli._job_options import JobWanted, describes_job
from vclient.client import Client
from vclient.planning import StepExplained
from vruntime import cli


@cli.command()
@describes_job
@connected
def command(out: cli.Out, client: Client, wanted: JobWanted) -> None:
    """A dry run: who would run what, on which data, and who could read what. Nothing is sealed or sent."""
    steps = client.explain(wanted.what, wanted.method, **wanted.without_orders())

    def human() -> None:
        for step in steps:
            for line in _sentences(step):
                out.result(None, line)

    rows = [{**asdict(step), "limits": step.limits.model_dump()} for step in steps]
    out.result(rows, human)


def _sentences(step: StepExplained) -> list[str]:
    lines = [
        f"step {step.step}: {step.image} ({step.digest[:19]}…)",
        f"  runs at {_listed(step.organizations)}",
        f"  on {_listed(step.data) if step.data else 'no data'}",
        f"  for at most {step.limits.time_s} s, {step.limits.memory_bytes >> 20} MiB of memory",
    ]
    if step.after:
        lines.append(f"  after {_listed(step.after)}")
    lines += [f"  its `{output.name}` can be read by {_listed(output.readers)}" for output in step.outputs]
    if step.may_ask:
        lines.append(f"  may send up to {step.subtasks} subtasks to {_listed(step.may_ask)}")
    return lines


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names)
