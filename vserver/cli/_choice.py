"""Which hub a command is about: NAME, --environment, --user or --system."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from vprotocol.errors import UsageError
from vruntime import contexts
from vruntime.contexts import Environment, Kind, Level
from vserver import deployment as deployments
from vserver.deployment import Deployment

Function = TypeVar("Function", bound=Callable[..., Any])

level_option = [
    click.option("--user", "level", flag_value=Level.USER, type=Level, help="Only configurations of this person."),
    click.option("--system", "level", flag_value=Level.SYSTEM, type=Level, help="Only those of this machine."),
]


def chosen_hub(function: Function) -> Function:
    """Adds the argument NAME and the options; the function gets `name`, `environment` and `level`."""
    environments = click.Choice([str(one) for one in Environment])
    decorators = [
        click.argument("name", required=False),
        click.option("--environment", "-e", type=environments, help="Which one, if the file holds several."),
        *level_option,
    ]
    for decorate in reversed(decorators):
        function = decorate(function)
    return function


def load(name: str | None, environment: str | None, level: Level | None) -> Deployment:
    """The hub that is meant; without a name the only one there is."""
    return deployments.load(name or _only(level), environment=environment, level=level)


def _only(level: Level | None) -> str:
    names = sorted({one.name for one in contexts.listing(Kind.SERVER, level)})
    if len(names) == 1:
        return names[0]
    if not names:
        raise contexts.ContextNotFound("There is no hub yet.", hint="`vserver new NAME` makes one.")
    raise UsageError(f"Which one? There are {', '.join(names)}.", hint="Give its name.")
