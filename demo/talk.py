"""What is said while it works: to stderr, as a moving line on a terminal and as plain lines elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

Update = Callable[[str], None]


class Talk:
    """Thread-safe as far as rich is: one step is shown at a time."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)
        self._started_s = time.monotonic()

    def say(self, text: str) -> None:
        self.console.print(f"[dim]{self._elapsed_s():5.1f} s[/dim]  {escape(text)}", soft_wrap=True)

    def heading(self, text: str) -> None:
        self.console.print(f"\n[bold]{escape(text)}[/bold]")

    @contextmanager
    def step(self, text: str) -> Iterator[Update]:
        """Something that takes a while; the caller may tell how far it is."""
        before_s = time.monotonic()
        with self.console.status(escape(text)) as status:
            yield lambda more: status.update(escape(f"{text}: {more}"))
        self.say(f"{text} ({time.monotonic() - before_s:.1f} s)")

    def _elapsed_s(self) -> float:
        return time.monotonic() - self._started_s
