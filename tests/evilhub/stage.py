"""What the attacks play on: a federation behind the lying hub, with witnesses at nodes and in algorithms."""

import base64
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.evilhub.evil import WAIT_S, EvilHub
from tests.federation import URL, Federation, ask, order_of
from tests.hub_world import PASSWORD
from vclient.client import Client
from vclient.job import Job
from vclient.workflow import Workflow, gather, order
from vnode.executors.scripted import Sandbox
from vprotocol.keys import KeyKind, PrivateKey
from vprotocol.signed import DocumentType, Signed

DECISIONS = ("refused", "failed")


class Stage:
    """Two organizations, a node each; `ran` counts what algorithms were really executed, by image."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.ran: dict[str, int] = {}
        self.decisions: list[tuple[int, str, dict[str, Any]]] = []  # node, decision, facts
        self._changed = threading.Condition()
        self.evil = EvilHub()
        script = {"echo": self.echo, "give": self.give, "add": self.add, "central": self.central, "wait": self.wait}
        self.world = Federation(folder, script, size=2, adapter=self.evil, **options)
        for index in range(2):
            self.witness(index)
        self.clients = 0

    def close(self) -> None:
        self.world.__exit__()

    # --- algorithms -------------------------------------------------------------------------------------------------
    def _count(self, name: str) -> None:
        with self._changed:
            self.ran[name] = self.ran.get(name, 0) + 1
            self._changed.notify_all()

    def executions(self) -> int:
        with self._changed:
            return sum(count for name, count in self.ran.items() if " at " not in name)

    def echo(self, sandbox: Sandbox) -> int:
        self._count("echo")
        sandbox.write_output(json.dumps(order_of(sandbox)["kwargs"]).encode())
        return 0

    def give(self, sandbox: Sandbox) -> int:
        me = _subject(sandbox)["organization_id"]
        self._count("give")
        self._count(f"give at {me}")
        sandbox.write_output(json.dumps(me).encode())
        return 0

    def add(self, sandbox: Sandbox) -> int:
        self._count("add")
        index = json.loads(sandbox.files[f"{sandbox.layout.inputs_folder}/index.json"])["parts"]["items"]
        values = [json.loads(sandbox.files[f"{sandbox.layout.inputs_folder}/{item['file']}"]) for item in index]
        sandbox.write_output(json.dumps(sum(values)).encode())
        return 0

    def wait(self, sandbox: Sandbox) -> int:
        self._count("wait")
        sandbox.killed.wait(WAIT_S)
        return 0

    def central(self, sandbox: Sandbox) -> int:
        """Asks both organizations to `give`; a proxy that refuses ends it with code 3 and the error as its log."""
        if order_of(sandbox)["method"] == "give":
            return self.give(sandbox)
        content = base64.b64encode(json.dumps({"method": "give", "args": [], "kwargs": {}}).encode()).decode()
        targets = [{"id": number, "input": content} for number in self.world.organizations]
        status, task = ask(sandbox, "POST", "/task", {"name": "ask", "organizations": targets})
        if status == 201:
            path = f"/task/{task['id']}/status"
            status, answer = ask(sandbox, "GET", path)
            while status == 200 and answer["status"] in ("pending", "initializing", "active"):
                status, answer = ask(sandbox, "GET", path)
            if status == 200:
                status, answer = ask(sandbox, "GET", f"/result?task_id={task['id']}")
        if status not in (200, 201):
            sandbox.log += json.dumps(answer if task.get("id") else task).encode()
            return 3
        found = [item["result"] and json.loads(base64.b64decode(item["result"])) for item in answer["data"]]
        sandbox.write_output(json.dumps(sorted(found, key=str)).encode())
        return 0

    # --- flows ------------------------------------------------------------------------------------------------------
    def single(self, client: Client | None = None, **kwargs: Any) -> Job:
        """One run, at the first organization."""
        return (client or self.world.client).run(self.world.image("echo"), "m", kwargs=kwargs, on="initiator")

    def both(self, client: Client | None = None) -> Job:
        return (client or self.world.client).run(self.world.image("give"), "give")

    def two_steps(self) -> Job:
        """`part` at both, gathered by `finish` at the first."""
        flow = Workflow("sum")
        part = flow.step("part", self.world.image("give"), on="all", data=("default",))
        flow.step("finish", self.world.image("add"), on="initiator", inputs={"parts": gather(part)})
        return self.world.client.run(flow, orders={"part": order("give"), "finish": order("add")})

    def asking(self) -> Job:
        return self.world.client.run(self.world.image("central"), "central", on="initiator", delegate=True)

    def newcomer(self, folder: Path | None = None) -> Client:
        """The researcher again, in a new process that remembers no list; with `folder` in a copy of all she knows."""
        if folder is not None:
            shutil.copytree(self.world.client.folder, folder)
        client = Client(URL, folder=folder or self.world.client.folder, session=self.world.session())
        client.login("ada", PASSWORD)
        return client

    # --- witnesses --------------------------------------------------------------------------------------------------
    def witness(self, index: int) -> None:
        """Hear every decision that this node writes into its audit."""
        audit = self.world.nodes[index].audit
        write = audit.write

        def heard(decision: str, run: str, **facts: Any) -> None:
            write(decision, run, **facts)
            with self._changed:
                self.decisions.append((index, decision, facts))
                self._changed.notify_all()

        audit.write = heard  # type: ignore[method-assign]

    def until(self, true: Callable[[], Any]) -> None:
        """Woken by every decision and execution."""
        with self._changed:
            assert self._changed.wait_for(true, WAIT_S), self.decisions[-5:]

    def await_refusal(self, node: int, after: int) -> str:
        """The reason of the first refusal of this node since `after` decisions."""

        def found() -> list[str]:
            heard = self.decisions[after:]
            return [str(facts["reason"]) for index, what, facts in heard if index == node and what in DECISIONS]

        self.until(found)
        return found()[0]

    @contextmanager
    def handing_over(self, node: int, edit: Callable[[dict[str, Any]], Any], *, path: str = "") -> Iterator[None]:
        """Edit the first assignment for this node (of this path), and then hand out nothing until the block ends, so
        that nothing honest can be mistaken for what the lie has done."""
        told = threading.Event()

        def lie(answer: dict[str, Any]) -> None:
            if "runs" not in answer:
                return
            chosen = [run for run in answer["runs"] if run["path"].startswith(path)]
            if told.is_set() or not chosen:
                answer["runs"] = [run for run in answer["runs"] if run not in chosen]
                return
            told.set()
            edit(chosen[0])
            answer["runs"] = [chosen[0]]

        with self.evil.telling(node, "/node/sync$", lie):
            yield
            assert told.is_set()


def _subject(sandbox: Sandbox) -> dict[str, Any]:
    part = sandbox.files[sandbox.layout.token_file].decode().split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))["sub"]


# --- tools of the forger --------------------------------------------------------------------------------------------
STRANGER = PrivateKey.generate(KeyKind.NODE)
STRANGE_USER = PrivateKey.generate(KeyKind.USER)


def flipped(text: str, at: int = -20) -> str:
    """Base64 with one bit of its content changed."""
    data = bytearray(base64.b64decode(text))
    data[at] ^= 1
    return base64.b64encode(bytes(data)).decode()


def opened(document: dict[str, Any]) -> dict[str, Any]:
    return json.loads(base64.b64decode(document["body"]))


def edited(document: dict[str, Any], **changes: Any) -> None:
    """Change what was signed, and keep the signature."""
    body = json.dumps({**opened(document), **changes}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    document["body"] = base64.b64encode(body.encode()).decode()


def forged(document: dict[str, Any], key: PrivateKey = STRANGER, *, claim: bool = True, **changes: Any) -> None:
    """Change what was signed, and sign it anew with a stranger's key, under the old key's name if `claim`."""
    named = document["key"]
    edited(document, **changes)
    kind = DocumentType(document["type"])
    signed = Signed.sign(kind, base64.b64decode(document["body"]), key).to_wire()
    document.update(signed, key=named if claim else signed["key"])
