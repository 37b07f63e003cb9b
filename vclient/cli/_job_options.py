"""The options that say what a job is: shared by `run` and `plan explain`."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from vclient.cli._values import json_value, named_value, orders, where
from vclient.workflow import Workflow
from vprotocol.errors import UsageError

Command = TypeVar("Command", bound=Callable[..., Any])
_OF_A_STEP = ("data", "delegate", "timeout", "memory", "output_limit", "on", "tag", "arg", "args")

_OPTIONS = (
    click.option("--workflow", type=click.Path(dir_okay=False, path_type=Path), help="YAML or JSON file."),
    click.option("--orders", help="JSON, or @FILE: step → {method, args, kwargs}."),
    click.option("--on", multiple=True, help="all (the usual), initiator, or an organization; repeat it for several."),
    click.option("--data", multiple=True, help="Label of a data source; the usual one is `default`."),
    click.option("--arg", multiple=True, help="NAME=VALUE, an argument of the method. The value is JSON or a text."),
    click.option("--args", help="JSON list of arguments by position, or @FILE."),
    click.option("--delegate", is_flag=True, help="Let the algorithm ask the other members."),
    click.option("--timeout", help="Such as 90s, 10m, 2h."),
    click.option("--memory", help="Such as 512MiB, 4GiB."),
    click.option("--output-limit", help="Such as 50MiB."),
    click.option("--tag", multiple=True, help="That a node must carry."),
    click.option("--collaboration", help="Title, number or 128-bit name."),
    click.option("--project", help="128-bit name."),
    click.option("--name", help="Of the job; the hub sees it."),
    click.option("--valid-for", default="1d", show_default=True, help="How long nodes may begin with it."),
    click.option("--images", type=click.Path(dir_okay=False, path_type=Path), help="Lock file: name → digest."),
    click.option("--label", multiple=True, help="NAME=VALUE; the hub sees it."),
    click.option("--priority", type=click.IntRange(0, 9)),
)


@dataclass(frozen=True)
class JobWanted:
    """What was written on the command line, as `Client.run` takes it."""

    what: Any
    method: str | None
    settings: dict[str, Any]

    def without_orders(self) -> dict[str, Any]:
        return {name: value for name, value in self.settings.items() if name not in ("orders", "args", "kwargs")}


def describes_job(function: Command) -> Command:
    """Give a command the arguments and options that describe a job, as `wanted`."""

    @click.argument("image", required=False)
    @click.argument("method", required=False)
    @functools.wraps(function)
    def run(*args: Any, image: str | None, method: str | None, **given: Any) -> Any:
        described = {name: given.pop(name) for name in _NAMES}
        return function(*args, wanted=_wanted(image, method, described), **given)

    for option in reversed(_OPTIONS):
        run = option(run)
    return run  # type: ignore[return-value]


_NAMES = (
    *("workflow", "orders", "on", "data", "arg", "args", "delegate", "timeout", "memory", "output_limit", "tag"),
    *("collaboration", "project", "name", "valid_for", "images", "label", "priority"),
)


def _wanted(image: str | None, method: str | None, given: dict[str, Any]) -> JobWanted:
    settings: dict[str, Any] = {
        "collaboration": given["collaboration"],
        "project": given["project"],
        "name": given["name"],
        "valid_for": given["valid_for"],
        "images": given["images"],
        "labels": dict(_label(one) for one in given["label"]) or None,
        "priority": given["priority"],
    }
    if given["workflow"] is not None:
        if image is not None or any(given[name] for name in _OF_A_STEP):
            raise UsageError("a workflow says itself what each step is; leave image, method and step options away")
        wanted_orders = None
        if given["orders"] is not None:
            wanted_orders = orders(json_value(given["orders"], "--orders"))
        return JobWanted(Workflow.load(given["workflow"]), None, _given({**settings, "orders": wanted_orders}))
    if image is None:
        raise UsageError("what is to run?", hint="Give IMAGE and METHOD, or --workflow FILE.")
    if given["orders"] is not None:
        raise UsageError("--orders belongs to --workflow; an image takes METHOD, --arg and --args")
    return JobWanted(image, method, _given({**settings, **_step(given)}))


def _step(given: dict[str, Any]) -> dict[str, Any]:
    args = [] if given["args"] is None else json_value(given["args"], "--args")
    if not isinstance(args, list):
        raise UsageError("--args is a JSON list")
    return {
        "args": args,
        "kwargs": dict(named_value(one) for one in given["arg"]),
        "on": where(given["on"]),
        "data": given["data"] or None,
        "delegate": given["delegate"] or None,
        "timeout": given["timeout"],
        "memory": given["memory"],
        "output": given["output_limit"],
        "tags": given["tag"] or None,
    }


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError("--label is written NAME=VALUE")
    return name, value


def _given(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value is not None}
