"""vclient workflow check"""

from pathlib import Path

import click

from vclient.planning import check_workflow, finals_of
from vclient.workflow import Workflow
from vruntime import cli


@cli.command()
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path))
def command(out: cli.Out, path: Path) -> None:
    """Check a workflow file, and say in which order its steps run. Needs no hub."""
    definition = Workflow.load(path).definition()
    ordered = check_workflow(definition)
    finals = finals_of(definition, {})
    value = {
        "name": definition.name,
        "steps": list(ordered),
        "opened": {step: list(names) for step, names in finals.items() if names},
    }
    out.result(value, f"{definition.name}: {' → '.join(ordered)}")
