"""Command-line manners that every program shares.

Output goes to stdout, talk to stderr. An error is one line, its hint the next. `--json` makes both machine-readable.
Exit codes are stable (`EXIT_CODES`). Nothing asks, and nothing draws progress, where there is no terminal.

A program is a `LazyGroup` over a package: each module is one command and holds it as `command`.

    main = program("vnode", "vnode.cli", "Run a Vestal node.")      # vnode/cli/__init__.py

    @command()                                                     # vnode/cli/list.py
    def command(out: Out) -> None:
        '''List the nodes.'''
        out.result(rows, human=lambda: out.table(...))
"""

import functools
import importlib
import json
import logging
import os
import pkgutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TextIO

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from vprotocol import errors
from vprotocol.errors import UsageError, VestalError
from vruntime.logs import SECRETS

log = logging.getLogger(__name__)

DEBUG_VARIABLE = "VESTAL_DEBUG"

OK = 0
UNEXPECTED = 1
INTERRUPTED = 130

# The most specific class of an error decides. Scripts rely on these numbers: add, never change.
EXIT_CODES: dict[type[BaseException], int] = {
    errors.UsageError: 2,
    errors.BadRequest: 3,
    errors.ConfigInvalid: 4,
    errors.NotFound: 5,
    errors.NotAuthenticated: 6,
    errors.Forbidden: 7,
    errors.Conflict: 8,
    errors.Unreachable: 9,
    errors.TlsFailed: 10,
    errors.DeadlineExceeded: 11,
    errors.Unavailable: 12,
    errors.RateLimited: 12,
    errors.VersionMismatch: 13,
    errors.TrustError: 20,
    errors.EnvelopeError: 21,
    errors.PolicyRefused: 22,
    errors.RunFailed: 30,
    errors.JobCancelled: 31,
    VestalError: UNEXPECTED,
}


class NoTerminal(UsageError):
    """This would have to ask a question, and there is no terminal to ask it on."""

    code = "no_terminal"


def exit_code(error: BaseException) -> int:
    """The exit code of `error`: that of its most specific class in the table."""
    return next((EXIT_CODES[cls] for cls in type(error).__mro__ if cls in EXIT_CODES), UNEXPECTED)


def has_terminal() -> bool:
    """Whether there is somebody to ask: input and talk are both a terminal."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


class Steps(Protocol):
    """A piece of long work that tells how far it is."""

    def advance(self, amount: float = 1) -> None: ...

    def total(self, amount: float | None) -> None: ...

    def describe(self, text: str) -> None: ...


class Out:
    """Where a command puts its answer (stdout) and its talk (stderr)."""

    def __init__(self, *, as_json: bool = False, stdout: TextIO | None = None, stderr: TextIO | None = None) -> None:
        self.as_json = as_json
        self._stdout = stdout
        self._stderr = stderr

    @property
    def stdout(self) -> TextIO:
        return self._stdout or sys.stdout  # looked up late, so that tests may capture it

    @property
    def stderr(self) -> TextIO:
        return self._stderr or sys.stderr

    def result(self, value: Any, human: Callable[[], None] | str | None = None) -> None:
        """Print the answer: `value` as JSON under `--json`, else what `human` prints or is."""
        if self.as_json:
            self.line(json.dumps(value, ensure_ascii=False, default=str))
        elif callable(human):
            human()
        else:
            self.line(printable(str(human if human is not None else value)))

    def line(self, text: str = "") -> None:
        """Print one line of output."""
        print(text, file=self.stdout, flush=True)

    def say(self, text: str) -> None:
        """Tell the person something that is not the answer."""
        print(printable(text), file=self.stderr, flush=True)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Print rows under headings; without a terminal as plain columns of full width."""
        table = Table(*columns, box=None, pad_edge=False, header_style="bold")
        for row in rows:
            table.add_row(*(Text(printable("" if cell is None else str(cell))) for cell in row))
        terminal = self.stdout.isatty()
        width = None if terminal else 10_000
        console = Console(file=self.stdout, width=width, highlight=False, no_color=not terminal)
        with console.capture() as captured:
            console.print(table)
        for line in captured.get().splitlines():
            self.line(line.rstrip())

    def confirm(self, question: str, *, option: str) -> None:
        """Ask before something that cannot be undone; `option` (such as `--yes`) answers in advance."""
        if not has_terminal():
            raise NoTerminal(f"This needs a yes: {question}", hint=f"Add {option} to go ahead without being asked.")
        click.confirm(question, abort=True, err=True)

    @contextmanager
    def progress(self, text: str, total: float | None = None, *, in_bytes: bool = False) -> Iterator[Steps]:
        """Show how far long work is, on a terminal only."""
        if self.as_json or not self.stderr.isatty():
            yield _Silent()
            return
        console = Console(file=self.stderr)
        amount = DownloadColumn() if in_bytes else MofNCompleteColumn()
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            amount,
            TimeRemainingColumn(),
            console=console,
            transient=True,
        ) as bars:
            yield _Bar(bars, text, total)


class _Silent:
    def advance(self, amount: float = 1) -> None:
        pass

    def total(self, amount: float | None) -> None:
        pass

    def describe(self, text: str) -> None:
        pass


class _Bar:
    def __init__(self, bars: Progress, text: str, total: float | None) -> None:
        self._bars = bars
        self._task = bars.add_task(printable(text), total=total)

    def advance(self, amount: float = 1) -> None:
        self._bars.advance(self._task, amount)

    def total(self, amount: float | None) -> None:
        self._bars.update(self._task, total=amount)

    def describe(self, text: str) -> None:
        self._bars.update(self._task, description=printable(text))


def printable(text: str) -> str:
    """`text` without control characters: what comes from elsewhere must not move the cursor of a terminal."""
    return "".join(char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in text)


def command(name: str | None = None, **settings: Any) -> Callable[[Callable[..., Any]], click.Command]:
    """A click command with `--json`; the function gets its `Out` as `out`."""

    def decorate(function: Callable[..., Any]) -> click.Command:
        @functools.wraps(function)
        def run(*args: Any, as_json: bool, **options: Any) -> Any:
            return function(*args, out=Out(as_json=as_json), **options)

        with_json: Callable[..., Any] = click.option("--json", "as_json", is_flag=True, help="Print one JSON value.")(
            run
        )
        return click.command(name or _command_name(function), cls=click.Command, **settings)(with_json)

    return decorate


def _command_name(function: Callable[..., Any]) -> str:
    # A command is called like its file; `import_.py` is `import`, `show_words.py` is `show-words`.
    own = function.__name__
    return _public_name(function.__module__.rsplit(".", 1)[-1] if own in ("command", "_") else own)


def _public_name(module: str) -> str:
    return module.rstrip("_").replace("_", "-")


class LazyGroup(click.Group):
    """A group whose commands are the modules of `package`; a module is imported when its command is used.

    Each module holds its command (which may be a group again) as `command`.
    """

    def __init__(self, *args: Any, package: str, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._package = package

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted({*super().list_commands(context), *self._modules()})

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name in self.commands or name not in (modules := self._modules()):
            return super().get_command(context, name)
        found = importlib.import_module(f"{self._package}.{modules[name]}").command
        if not isinstance(found, click.Command):
            raise TypeError(f"{self._package}.{modules[name]}.command is not a click command")
        return found

    def _modules(self) -> dict[str, str]:
        folders = importlib.import_module(self._package).__path__
        names = (module.name for module in pkgutil.iter_modules(folders) if not module.name.startswith("_"))
        return {_public_name(name): name for name in names}


def program(
    name: str, package: str, description: str, *, version: str | None = None
) -> Callable[[Sequence[str] | None], None]:
    """The entry point of a program whose commands are the modules of `package`."""
    group = LazyGroup(name, package=package, help=description, context_settings={"help_option_names": ["-h", "--help"]})
    if version is not None:
        click.version_option(version, prog_name=name)(group)

    def main(arguments: Sequence[str] | None = None) -> None:
        sys.exit(run(group, arguments, name))

    main.group = group  # type: ignore[attr-defined]  # for tests and for documentation
    return main


def run(group: click.Command, arguments: Sequence[str] | None = None, name: str | None = None) -> int:
    """Run a command line and return its exit code; every error ends as one line and its hint."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in given
    try:
        answer = group.main(given, prog_name=name, standalone_mode=False)
        sys.stdout.flush()
        return answer if isinstance(answer, int) and not isinstance(answer, bool) else OK
    except VestalError as error:
        return _fail(error, as_json)
    except click.ClickException as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # click >= 8.2; its message is the help text
            print(error.format_message(), file=sys.stderr)
            return EXIT_CODES[UsageError]
        return _fail(UsageError(error.format_message(), hint=_usage_hint(error)), as_json)
    except (click.Abort, KeyboardInterrupt):
        print("Stopped.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read us (such as `head`) has enough; keep Python from complaining again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except Exception as error:
        return _unexpected(error, as_json)


def _usage_hint(error: click.ClickException) -> str | None:
    context = getattr(error, "ctx", None)
    return f"See {context.command_path} --help." if context is not None else UsageError.hint


def _fail(error: VestalError, as_json: bool) -> int:
    show_error(error, as_json=as_json)
    log.debug("the command failed", exc_info=error)
    return exit_code(error)


def show_error(error: VestalError, *, as_json: bool = False, stderr: TextIO | None = None) -> None:
    """Print an error the way every command does."""
    stream = stderr or sys.stderr
    if as_json:
        print(SECRETS.redact(json.dumps(error.to_wire(), ensure_ascii=False, default=str)), file=stream)
        return
    print(SECRETS.redact(printable(f"error: {error}")), file=stream)
    if error.hint:
        print(SECRETS.redact(printable(f"hint: {error.hint}")), file=stream)


def _unexpected(error: Exception, as_json: bool) -> int:
    if os.environ.get(DEBUG_VARIABLE):
        raise error
    log.debug("the command failed unexpectedly", exc_info=error)
    # The text of a foreign exception may hold anything, data included: its class is enough to look it up.
    wrapped = VestalError(
        f"This should not have happened ({type(error).__name__}).",
        hint=f"Repeat it with {DEBUG_VARIABLE}=1 in the environment to see where, and report that.",
    )
    show_error(wrapped, as_json=as_json)
    return UNEXPECTED
