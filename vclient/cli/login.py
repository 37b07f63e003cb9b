"""vclient login"""

import click

from vclient.cli._connection import connected, remember_hub
from vclient.client import Client
from vruntime import cli
from vruntime.wizard import Question, answerable, ask

QUESTIONS = (
    Question("username", "User name?"),
    Question("password", "Password?", secret=True, help="File that holds the password; - is standard input."),
)


@cli.command()
@answerable(QUESTIONS)
@click.option("--no-context", is_flag=True, help="Do not remember this hub's address.")
@connected
def command(out: cli.Out, client: Client, no_context: bool, **given: str | None) -> None:
    """Log in, and stay logged in on this machine."""
    answers = ask(QUESTIONS, given)
    client.login(answers["username"], answers["password"], remember=True)
    if not no_context:
        remember_hub(client)
    who = client.whoami()
    out.result({"hub": client.url, "user": who.name, "id": who.id}, f"Logged in at {client.url} as {who.name}.")
