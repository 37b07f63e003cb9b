"""vclient administrator"""

from vclient.cli._connection import connected, remember_hub
from vclient.client import Client
from vprotocol.messages.user import SHORTEST_PASSWORD
from vruntime import cli
from vruntime.wizard import Question, answerable, ask


def _long_enough(password: str) -> str:
    if len(password) < SHORTEST_PASSWORD:
        raise ValueError(f"a password has at least {SHORTEST_PASSWORD} characters")
    return password


QUESTIONS = (
    Question("username", "User name of the administrator?"),
    Question(
        "password",
        f"Password? (at least {SHORTEST_PASSWORD} characters)",
        secret=True,
        new=True,
        check=_long_enough,
        help="File that holds the new password; - is standard input.",
    ),
    Question(
        "code",
        "Code that `vserver start` printed?",
        secret=True,
        check=str.strip,
        help="File that holds the code that `vserver start` printed; - is standard input.",
    ),
)


@cli.command(short_help="Make a new hub's first administrator.")
@answerable(QUESTIONS)
@connected
def command(out: cli.Out, client: Client, **given: str | None) -> None:
    """Make a new hub's first administrator, with the code that `vserver start` printed, and log in.

    From any machine that reaches the hub. Later administrators are made by the first one.
    """
    answers = ask(QUESTIONS, given)
    made = client.make_first_administrator(answers["code"], answers["username"], answers["password"])
    client.login(answers["username"], answers["password"], remember=True)
    remember_hub(client)
    out.result(
        {"hub": client.url, "user": made.username, "id": made.id},
        f"{made.username} administers {client.url} and is logged in.",
    )
