"""Questions that a person answers on a terminal and a script answers with options: each question is both.

    QUESTIONS = (Question("hub", "Address of the hub?"), Question("api_key", "API key?", secret=True))

    @command()
    @answerable(QUESTIONS)                          # adds --hub and --api-key-file
    def command(out, **given):
        answers = ask(QUESTIONS, given)

Without a terminal unanswered questions take their default; one without a default is an error naming the option.
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
import questionary

from vprotocol.errors import UsageError
from vruntime.cli import NoTerminal, has_terminal
from vruntime.logs import register_secret

MAX_SECRET_BYTES = 64 * 1024
Command = TypeVar("Command", bound=Callable[..., Any])
Answers = dict[str, Any]


class _NoDefault:
    def __repr__(self) -> str:
        return "NO_DEFAULT"


NO_DEFAULT = _NoDefault()


class AnswerInvalid(UsageError):
    """An answer does not fit its question."""

    code = "answer_invalid"


@dataclass(frozen=True, slots=True)
class Question:
    """One question.

    `check` returns the answer in its final form or raises `ValueError` with a sentence. `only_if` looks at the
    answers before it. A `secret` is typed unseen; its option names a file (`-` is standard input), because other
    people can read the arguments of a process. A secret that is `new` is typed twice.
    """

    name: str
    text: str
    default: Any = NO_DEFAULT
    choices: Sequence[str] = ()
    secret: bool = False
    new: bool = False
    yes_no: bool = False
    check: Callable[[str], Any] | None = None
    only_if: Callable[[Mapping[str, Any]], bool] | None = None
    help: str = ""

    @property
    def option(self) -> str:
        """The option that answers this question."""
        return f"--{self.name.replace('_', '-')}{'-file' if self.secret else ''}"

    @property
    def parameter(self) -> str:
        """The name under which click hands the option over."""
        return f"{self.name}_file" if self.secret else self.name


def answerable(questions: Iterable[Question]) -> Callable[[Command], Command]:
    """Give a command one option for each question."""

    def decorate(function: Command) -> Command:
        for question in reversed(tuple(questions)):
            function = _option(question)(function)
        return function

    return decorate


def _option(question: Question) -> Callable[[Command], Command]:
    explanation = question.help or question.text
    if question.yes_no:
        names = f"{question.option}/--no-{question.option.removeprefix('--')}"
        return click.option(names, question.parameter, default=None, help=explanation)
    kind = click.Choice(question.choices) if question.choices else click.STRING
    return click.option(question.option, question.parameter, type=kind, default=None, help=explanation)


def ask(
    questions: Iterable[Question],
    given: Mapping[str, Any],
    *,
    terminal: bool | None = None,
    prompt: Callable[[Question, Any], Any] | None = None,
) -> Answers:
    """Answer every question from `given` (by the name of its option's parameter), the terminal, or its default."""
    interactive = has_terminal() if terminal is None else terminal
    ask_person = prompt or _prompt
    answers: Answers = {}
    missing: list[Question] = []
    for question in questions:
        try:
            if question.only_if is None or question.only_if(answers):
                answers[question.name] = _answer(question, answers, given, ask_person if interactive else None)
        except _Unanswered:
            missing.append(question)
        except KeyError:
            if not missing:
                raise
            # It depends on an answer that is missing, and that one is reported.
    if missing:
        raise _missing(missing)
    return answers


class _Unanswered(Exception):
    """Neither an option, nor a person, nor a default answers."""


def _answer(
    question: Question, answers: Answers, given: Mapping[str, Any], person: Callable[[Question, Any], Any] | None
) -> Any:
    value = given.get(question.parameter)
    if value is not None:
        return _given(question, value)
    if person is not None:
        return _asked(question, answers, person)
    if question.default is NO_DEFAULT:
        raise _Unanswered
    return _default(question, answers)


def _missing(questions: Sequence[Question]) -> NoTerminal:
    options = ", ".join(question.option for question in questions)
    first = questions[0].text.rstrip("?")
    message = (
        f"Without a terminal nobody can be asked: {first}?"
        if len(questions) == 1
        else (f"Without a terminal nobody can be asked {len(questions)} questions.")
    )
    return NoTerminal(message, hint=f"Add {options}.", fields={"options": [one.option for one in questions]})


def _given(question: Question, value: Any) -> Any:
    text = _read_secret(question, value) if question.secret else value
    try:
        return _checked(question, text)
    except ValueError as error:
        raise AnswerInvalid(f"{question.option}: {error}", hint="Correct this option.") from error


def _asked(question: Question, answers: Answers, prompt: Callable[[Question, Any], Any]) -> Any:
    while True:
        default = None if question.default is NO_DEFAULT else _default(question, answers)
        try:
            return _checked(question, prompt(question, default))
        except ValueError as error:
            print(f"{error}", file=sys.stderr)


def _default(question: Question, answers: Answers) -> Any:
    return question.default(answers) if callable(question.default) else question.default


def _checked(question: Question, value: Any) -> Any:
    if question.secret and value:
        register_secret(value)
    if question.choices and value not in question.choices:
        raise ValueError(f"choose one of {', '.join(question.choices)}")
    if isinstance(value, str) and not value.strip() and question.default is NO_DEFAULT:
        raise ValueError("an answer is needed")
    return question.check(value) if question.check and isinstance(value, str) else value


def _read_secret(question: Question, path: str) -> str:
    try:
        if path == "-":
            raw = sys.stdin.buffer.read(MAX_SECRET_BYTES + 1)
        else:
            with Path(path).expanduser().open("rb") as file:
                raw = file.read(MAX_SECRET_BYTES + 1)
        text = raw.decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise AnswerInvalid(f"{question.option}: {path} cannot be read ({reason}).", hint="Name a text file.") from None
    if len(raw) > MAX_SECRET_BYTES:
        raise AnswerInvalid(f"{question.option}: {path} is too large for a secret.", hint="Name another file.")
    return text.rstrip("\r\n")


def _prompt(question: Question, default: Any) -> Any:
    if question.secret:
        asked = questionary.password(question.text)
    elif question.yes_no:
        asked = questionary.confirm(question.text, default=bool(default))
    elif question.choices:
        asked = questionary.select(question.text, choices=list(question.choices), default=default)
    else:
        asked = questionary.text(question.text, default="" if default is None else str(default))
    answer = asked.ask()
    if answer is None:  # Ctrl-C
        raise click.Abort
    if question.new and questionary.password("Once more?").ask() != answer:
        raise ValueError("the two are not the same")
    return answer
