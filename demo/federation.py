"""A hub, some hospitals and a researcher, all real, made from nothing and ended in order."""

import os
import secrets
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from demo import leftovers, researcher
from demo.ground import Ground
from demo.hub import Hub
from demo.nodes import Hospital
from demo.programs import DemoFailed, Programs, at_once, last_lines
from demo.talk import Talk
from vclient import Client
from vprotocol.errors import VestalError


@dataclass(frozen=True)
class Plan:
    """What kind of federation. `data`: one file a hospital."""

    ground: Ground
    data: tuple[Path, ...]
    encrypted: bool = True


class Federation:
    """Use it as a context: whatever was started is ended, also half-way and on Ctrl-C."""

    def __init__(self, folder: Path, plan: Plan, talk: Talk) -> None:
        self.folder, self._plan, self._talk = folder, plan, talk
        self.programs = Programs(folder)
        self.hub = Hub(self.programs, plan.ground.address)
        token = secrets.token_hex(3)
        letters = "abcdefghijklmnopqrstuvwxyz"
        self.hospitals = [
            Hospital(f"Hospital {letters[number].upper()}", f"demo-{token}-{letters[number]}", data, self.programs)
            for number, data in enumerate(plan.data)
        ]
        self._client: Client | None = None
        self._hub_started = False
        self._nodes_started: list[Hospital] = []

    @property
    def client(self) -> Client:
        assert self._client is not None, "the federation was started"
        return self._client

    def __enter__(self) -> "Federation":
        try:
            self._start()
        except BaseException as error:
            explained = self.explained(error)
            self.stop()
            raise explained from error
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # --- starting -----------------------------------------------------------------------------------------------
    def _start(self) -> None:
        encrypted = self._plan.encrypted
        with self._talk.step("a hub, and everybody's accounts"):
            homes = {hospital.node: hospital.organization for hospital in self.hospitals}
            access = self.hub.make([each.organization for each in self.hospitals], homes, encrypted=encrypted)
            self._hub_started = True
            self.hub.start()
        with self._talk.step(f"{len(self.hospitals)} nodes, each with keys of its own"):
            for each in self.hospitals:
                key = access.api_keys[each.node]
                each.configure(self._plan.ground, self.hub.url, key, access.collaboration, sealed=encrypted)
            self._nodes_started = list(self.hospitals)
            at_once(lambda each: each.start(), self.hospitals)
        words = self._words_compared() if encrypted else {}
        with self._talk.step("a researcher, whose key her hospital certifies"):
            folder = self.folder / "researcher"
            self._client = researcher.client(self.hub.url, folder, access.collaboration, encrypted=encrypted)
            heard = {each.organization: said for each, said in words.items()}
            researcher.join(self._client, access.password, self.hospitals[0], heard)

    def _words_compared(self) -> dict[Hospital, str]:
        with self._talk.step("everybody compares everybody's ten words (here the demo does, for its own parties)"):
            words = dict(zip(self.hospitals, at_once(lambda each: each.words(), self.hospitals), strict=True))
            at_once(lambda each: self._verify_others(each, words), self.hospitals)
        return words

    @staticmethod
    def _verify_others(hospital: Hospital, words: dict[Hospital, str]) -> None:
        for other, said in words.items():
            if other is not hospital:
                hospital.verify(other, said)

    # --- ending -------------------------------------------------------------------------------------------------
    def stop(self) -> None:
        """End everything that was started. What cannot be ended in order is killed, and said."""
        # A second Ctrl-C would leave things behind: it is heeded when everything has ended.
        before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            self._stop()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self) -> None:
        self.programs.interrupt()
        if self._client is not None:
            self._client.close()
        at_once(self._stop_node, self._nodes_started)
        if self._hub_started:
            self._attempt("the hub", self.hub.stop, self._kill_hub)
        if self._plan.ground.executor == "docker" and self._nodes_started:
            for left in leftovers.remove([each.node for each in self._nodes_started]):
                self._talk.say(f"could not be removed: {left}")
        self._client, self._hub_started, self._nodes_started = None, False, []

    def _stop_node(self, hospital: Hospital) -> None:
        self._attempt(hospital.node, hospital.stop, hospital.kill)

    def _attempt(self, name: str, stop: Callable[[], None], kill: Callable[[], None]) -> None:
        try:
            stop()
        except DemoFailed as error:
            if "not_running" not in error.details and "does not run" not in error.details:
                self._talk.say(f"{name} did not end in order: {error}: {last_lines(error.details, 1)}")
            kill()

    def _kill_hub(self) -> None:
        if self.hub.pid and f"{self.folder}".encode() in _command_line(self.hub.pid):
            os.kill(self.hub.pid, signal.SIGKILL)

    # --- when something has failed ------------------------------------------------------------------------------
    def explained(self, error: BaseException) -> BaseException:
        """The error with the last log lines of hub and nodes, which are gone when the federation has ended."""
        if not isinstance(error, DemoFailed | VestalError | OSError):
            return error
        hint = getattr(error, "hint", None) or ""
        said = str(error) if isinstance(error, DemoFailed) else f"{type(error).__name__}: {error} {hint}".strip()
        words = [self.hub.last_words(), *(each.last_words() for each in self._nodes_started)]
        details = getattr(error, "details", "")
        return DemoFailed(said, "\n".join(filter(None, [*words, details])))

    def how_to_reach(self) -> list[str]:
        """For whoever keeps it running."""
        home = f"VESTAL_HOME={self.folder}"
        stop = [f"{home} vnode stop --all --user", f"{home} vserver stop demo --user"]
        return [
            f"the hub: {self.hub.url}   (log: {home} vserver attach demo --user)",
            *(f"{each.organization}: {home} vnode attach {each.node} --user" for each in self.hospitals),
            f"the researcher: vclient jobs --hub {self.hub.url} --folder {self.folder / 'researcher'}",
            f"  (log in first, as ada; the password is in {self.folder / 'researcher.password'})",
            f"to end it all: {'; '.join(stop)}",
        ]


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""
