"""Which node a command is about: NAME, --environment, --user, --system or --config."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from vnode import deployment as deployments
from vnode.deployment import Deployment
from vprotocol.errors import UsageError
from vruntime import contexts
from vruntime.contexts import Environment, Kind, Level

Function = TypeVar("Function", bound=Callable[..., Any])

level_options = (
    click.option("--user", "level", flag_value=Level.USER, type=Level, help="Only configurations of this person."),
    click.option("--system", "level", flag_value=Level.SYSTEM, type=Level, help="Only those of this machine."),
)


@dataclass(frozen=True)
class Choice:
    """What was said about which node is meant."""

    name: str | None
    environment: str | None
    level: Level | None
    config: Path | None

    def load(self, *, variables_needed: bool = False) -> Deployment:
        """The node that is meant; without a name the only one there is.

        :param variables_needed: True where the node is started or the hub is spoken to.
        """
        if self.config is not None and self.name is not None:
            raise UsageError("NAME and --config both say which node is meant.", hint="Give one of them.")
        name = str(self.config.absolute()) if self.config else self.name or _only(self.level)
        return deployments.load(name, environment=self.environment, level=self.level, variables_needed=variables_needed)


def chosen_node(function: Function) -> Any:
    """Adds the argument NAME and the options; the function gets a `Choice` as `choice`."""
    return click.argument("name", required=False)(_with_choice(function))


def chosen_by_options(function: Function) -> Any:
    """Adds `--node NAME`, for commands whose arguments are something else, and the other options."""
    decorate = click.option("--node", "name", metavar="NAME", help="Which node, if there are several.")
    return decorate(_with_choice(function))


def _with_choice(function: Function) -> Any:
    """Adds the options; the function gets a `Choice` as `choice`."""

    def run(name: str | None, environment: str | None, level: Level | None, config: Path | None, **rest: Any) -> Any:
        return function(choice=Choice(name, environment, level, config), **rest)

    run.__name__, run.__module__, run.__doc__ = function.__name__, function.__module__, function.__doc__
    run.__dict__.update(function.__dict__)  # the options that were added before
    decorators = (
        click.option(
            "--environment",
            "-e",
            type=click.Choice([str(one) for one in Environment]),
            help="Which one, if the file holds several.",
        ),
        *level_options,
        click.option(
            "--config", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="A configuration file."
        ),
    )
    decorated: Any = run
    for decorate in reversed(decorators):
        decorated = decorate(decorated)
    return decorated


def _only(level: Level | None) -> str:
    names = sorted({one.name for one in contexts.listing(Kind.NODE, level)})
    if len(names) == 1:
        return names[0]
    if not names:
        raise contexts.ContextNotFound("There is no node yet.", hint="`vnode new NAME` makes one.")
    raise UsageError(
        f"Which one? There are {', '.join(names)}.",
        hint="Give its name, or where a command takes no NAME, --node NAME.",
    )
