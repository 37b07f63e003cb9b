"""How many requests a second does the hub answer, and how long does the slowest of a hundred take?

A hub as `vserver start` starts it, on SQLite and, where there is one, on PostgreSQL; one and eight clients, each a
process with one connection that is kept alive. The floor is Flask with a JSON answer under the same gunicorn and
gevent, asked the same number of times with the same bytes by the same clients, in turns with the hub.
"""

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import postgres
from benchmarks.floor import cpu_seconds
from benchmarks.options import Options
from benchmarks.programs import ROOT, HubProcess, Programs
from benchmarks.report import Report, percentile
from benchmarks.twins import Twin
from benchmarks.wire import Wire, json_headers
from vruntime.atomic import make_private_folder, write_new

CLIENTS = (1, 8)
ROUNDS = 3
LISTS, JOBS = 160, 80  # of one round, by all clients together
STOP_WITHIN_S = 30
API = "/api/v1"


def measure(options: Options) -> Report:
    report = Report("hub")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vestal-bench-")))
        bare = stack.enter_context(bare_server())
        crowd = stack.enter_context(crowd_of(max(CLIENTS)))
        _measure_hub(report, "sqlite", folder / "sqlite", None, bare, crowd, options)
        programs = postgres.binaries()
        if programs is None:
            report.notes.append("PostgreSQL was not measured: there is no server on this machine")
        else:
            url = stack.enter_context(postgres.server(programs))
            _measure_hub(report, "postgresql", folder / "postgresql", url, bare, crowd, options)
    report.notes.append("a cycle is three requests: sync (claims one run), start, result with receipt and outcome")
    report.notes.append("cpu: what the serving processes use for one request or cycle, a database server not included")
    report.notes.append("clients, hub and database share the machine's cores; the floor has no database")
    return report


# --- who asks ---------------------------------------------------------------------------------------------------
class Client:
    """A process of `wire.py`."""

    def __init__(self) -> None:
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.wire"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def hear(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("a client has ended; its last words stand above")
        return line

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(STOP_WITHIN_S)


@contextmanager
def crowd_of(count: int) -> Iterator[list[Client]]:
    crowd = [Client() for _ in range(count)]
    try:
        yield crowd
    finally:
        for client in crowd:
            client.close()


@dataclass(frozen=True)
class Server:
    """Whom the clients ask; `pid`: the process above its workers."""

    url: str
    pid: int


@dataclass
class Slice:
    """What one or more rounds of one kind of work took."""

    spent: list[float] = field(default_factory=list)
    wall_s: float = 0.0
    cpu_s: float = 0.0  # of the server

    @property
    def rate(self) -> float:
        return len(self.spent) / self.wall_s

    @property
    def cpu_each_s(self) -> float:
        return self.cpu_s / len(self.spent)

    def run(self, server: int, crowd: Sequence[Client], orders: Sequence[Mapping[str, Any]]) -> None:
        """All clients at once, one order each.

        :param server: the process that is asked.
        """
        for client, order in zip(crowd, orders, strict=True):
            client.tell(json.dumps(order))
        for client in crowd:
            client.hear()  # connected
        before = cpu_seconds(server)
        for client in crowd:
            client.tell("go")
        answers = [json.loads(client.hear()) for client in crowd]
        self.cpu_s += cpu_seconds(server) - before
        self.spent += [took for answer in answers for took in answer["spent"]]
        self.wall_s += max(a["ended"] for a in answers) - min(a["began"] for a in answers)


# --- one database -----------------------------------------------------------------------------------------------
def _measure_hub(
    report: Report,
    name: str,
    folder: Path,
    database: str | None,
    bare: Server,
    crowd: Sequence[Client],
    options: Options,
) -> None:
    with Village(folder, max(CLIENTS), database) as village:
        for count in CLIENTS:
            options.say(f"{name}, {count} clients")
            for key, (hub, floor) in _rounds(village, crowd[:count], bare, options).items():
                label = f"{name}_{key}_{count}"
                report.add(f"{label}_rate", hub.rate, "1/s", floor.rate)
                report.add(f"{label}_p99", percentile(hub.spent, 99) * 1e3, "ms", percentile(floor.spent, 99) * 1e3)
                report.add(f"{label}_cpu", hub.cpu_each_s * 1e3, "ms", floor.cpu_each_s * 1e3)


def _rounds(
    village: "Village", crowd: Sequence[Client], bare: Server, options: Options
) -> dict[str, tuple[Slice, Slice]]:
    found = {key: (Slice(), Slice()) for key in ("list", "submit", "cycle")}
    lists, jobs = (max(2, options.times(total) // len(crowd)) for total in (LISTS, JOBS))
    for number in range(-1, options.times(ROUNDS)):
        slices = found if number >= 0 else {key: (Slice(), Slice()) for key in found}  # the first only warms up
        listing = [["GET", f"{API}/job", json_headers(village.researcher_token), None]] * lists
        _turn(slices["list"], crowd, [village.server, bare], [listing] * len(crowd))
        submits = [village.submits(index, jobs) for index in range(len(crowd))]
        _turn(slices["submit"], crowd, [village.server, bare], submits)
        slices["cycle"][0].run(village.server.pid, crowd, [village.cycles(index, jobs) for index in range(len(crowd))])
        floor = Slice()
        three = [["POST", path, *submits[0][0][2:]] for path in ("/sync", "/start", "/result")]
        floor.run(bare.pid, crowd, [{"url": bare.url, "requests": three * jobs}] * len(crowd))
        slices["cycle"][1].spent += [sum(floor.spent[at : at + 3]) for at in range(0, len(floor.spent), 3)]
        slices["cycle"][1].wall_s += floor.wall_s
        slices["cycle"][1].cpu_s += floor.cpu_s
    return found


def _turn(
    slices: tuple[Slice, Slice], crowd: Sequence[Client], servers: Sequence[Server], requests: Sequence[list[Any]]
) -> None:
    for found, server in zip(slices, servers, strict=True):
        found.run(server.pid, crowd, [{"url": server.url, "requests": one} for one in requests])


class Village:
    """A hub with organizations that have keys, a node and jobs, and no node that really runs."""

    def __init__(self, folder: Path, size: int, database: str | None) -> None:
        self._folder, self._size, self._database = make_private_folder(folder), size, database
        self._hub = HubProcess(Programs(folder))
        self._twins: list[Twin] = []
        self._node_tokens: list[str] = []
        self.researcher_token, self._collaboration = "", secrets.token_hex(16)

    @property
    def server(self) -> Server:
        return Server(self._hub.url, self._hub.pid)

    def __enter__(self) -> "Village":
        try:
            self._start()
        except BaseException:
            self._hub.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._hub.stop()

    def _start(self) -> None:
        password = secrets.token_urlsafe(18)
        write_new(self._folder / "password", password.encode() + b"\n")
        names = [f"Hospital {number}" for number in range(self._size)]
        everybody = {
            "organizations": [{"name": name} for name in names],
            "collaborations": [{"display_name": "Bench", "name": self._collaboration, "organizations": names}],
            "users": [
                {"username": "ada", "organization": names[0], "roles": ["Researcher"], "password_file": "password"}
            ],
            "nodes": [{"name": f"node-{number}", "organization": name} for number, name in enumerate(names)],
        }
        settings = {} if self._database is None else {"database": self._database}
        keys = self._hub.make(everybody, **settings, access_token_s=86_400.0)
        self._hub.start()
        wire, now = Wire(self._hub.url), int(time.time())
        for number, name in enumerate(names):
            token = wire.call("POST", f"{API}/token/node", None, {"api_key": keys[f"node-{number}"]})["access_token"]
            organization = wire.call("GET", f"{API}/whoami", token)["organization"]["id"]
            twin = Twin.new(organization, name, now)
            wire.call("PUT", f"{API}/organization/{organization}/public_key", token, twin.log.to_wire())
            self._twins.append(twin)
            self._node_tokens.append(token)
        body = {"username": "ada", "password": password}
        self.researcher_token = wire.call("POST", f"{API}/token/user", None, body)["access_token"]
        wire.close()

    def submits(self, index: int, count: int) -> list[Any]:
        """Requests that submit jobs for one organization."""
        headers, now = json_headers(self.researcher_token), int(time.time())
        twin, target = self._twins[0], self._twins[index]
        jobs = [twin.job(self._collaboration, target, now).decode() for _ in range(count)]
        return [["POST", f"{API}/job", headers, job] for job in jobs]

    def cycles(self, index: int, count: int) -> dict[str, Any]:
        keys = {"node": self._twins[index].node.seed.hex(), "reader": self._twins[0].user.seed.hex()}
        return {"url": self._hub.url, "cycles": {"token": self._node_tokens[index], "count": count, **keys}}


@contextmanager
def bare_server() -> Iterator[Server]:
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.bare"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield Server(process.stdout.readline().strip(), process.pid)
        finally:
            process.terminate()
            process.wait(STOP_WITHIN_S)
