"""The how-to says only what the programs understand."""

import re
import shlex
from pathlib import Path

import click
import pytest

from tests.unit.vclient.federation import DIGEST
from vclient import Workflow, gather, order
from vclient.cli import main
from vclient.planning import check_workflow
from vruntime.yaml_source import parse_yaml

PAGE = (Path(__file__).parents[3] / "docs" / "how-to" / "first-analysis.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


COMMANDS = [
    line.removeprefix("$ ") for block in blocks("console") for line in block.splitlines() if line.startswith("$ ")
]


def test_there_are_commands():
    assert len(COMMANDS) >= 9


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_and_its_options_exist(line):
    name, *arguments = shlex.split(line)
    assert name == "vclient"
    context, command = click.Context(main.group), main.group
    while isinstance(command, click.Group):
        found = command.get_command(context, arguments.pop(0))
        assert found is not None, line
        command = found
    command.make_parser(click.Context(command)).parse_args(arguments)


def test_the_workflow_file_is_the_python_workflow():
    image = f"registry.example.org/statistics@{DIGEST}"
    text = next(block for block in blocks("yaml") if "steps:" in block)
    from_file = Workflow.parse(parse_yaml(text.replace("sha256:4f6c…", DIGEST)).data)
    wf = Workflow("mean")
    part = wf.step("part", image, on="all", data=["default"])
    wf.step("finish", image, on="initiator", inputs={"parts": gather(part)})
    assert from_file.definition().steps == wf.definition().steps
    assert check_workflow(from_file.definition()) == ("part", "finish")


def test_the_python_on_the_page_compiles():
    for block in blocks("python"):
        compile(block, "first-analysis.md", "exec")
    assert order("partial_moments", columns=["age"]).kwargs == {"columns": ["age"]}
