"""A result of 2 GiB from a node to its researcher's disk: how long, and how much memory do hub, node and client need?

The image writes the bytes; the node takes them from its container, seals and uploads them; the client downloads, checks
and opens them into a file. The floor is a plain upload and download of as many bytes over loopback HTTP, from a file to
a file to a file on the same disk, in turns with the measured.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import docker
from docker.errors import DockerException

from benchmarks.floor import children, peak_bytes, reset_peak
from benchmarks.options import Options
from benchmarks.phases import CLIENT, Stopwatch, read_phases
from benchmarks.programs import ROOT
from benchmarks.report import Report, milliseconds_table
from benchmarks.world import Ground, World

MIB, GIB = 1024**2, 1024**3
MB = 10**6
ROUNDS = 2
WITHIN_S = 900
ONE = b"1"  # of which the result consists


def measure(options: Options) -> Report:
    size_bytes = 64 * MIB if options.quick else 2 * GIB
    report = Report("payload")
    stopwatch = Stopwatch()
    stopwatch.watch(CLIENT)
    ground = _ground()
    node = {"policy": {"trust": "first-contact", "max": {"output": 2 * size_bytes, "scratch": 8 * GIB}}}
    with tempfile.TemporaryDirectory(prefix="vestal-bench-") as name:
        folder = Path(name)
        # Recording costs nothing here: the phases take seconds.
        with World(folder / "world", ground, node=node, traced=True) as world, plain_server(folder / "stored") as plain:
            found = _rounds(world, plain, folder, size_bytes, options)
            peaks = {"hub": _peak_of_hub(world), "node": peak_bytes(world.nodes[0].pid)}
        phases = read_phases(world.nodes[0].trace)
    report.add("seconds", median(found.seconds), "s", median(found.floor_seconds))
    report.add("rate", size_bytes / median(found.seconds) / MB, "MB/s", size_bytes / median(found.floor_seconds) / MB)
    report.add("hub_peak", peaks["hub"] / MB, "MB", found.server_peak / MB, "<= 200")
    report.add("node_peak", peaks["node"] / MB, "MB", found.mover_peak / MB, "<= 200")
    report.add("client_peak", found.client_peak / MB, "MB", found.mover_peak / MB, "<= 200")
    report.breakdowns.append(milliseconds_table("where the time goes: client", stopwatch.take()))
    report.breakdowns.append(milliseconds_table("where the time goes: node", phases))
    report.notes.append(f"{size_bytes // MIB} MiB, executor {ground.executor}; peaks are those of the whole process")
    report.notes.append("the floor moves the bytes twice; Vestal also writes, seals, hashes, checks and opens them")
    return report


def _ground() -> Ground:
    try:
        engine = docker.from_env(timeout=10)
        engine.close()
    except DockerException:
        return Ground.processes()
    return Ground.docker()


@dataclass
class Found:
    seconds: list[float] = field(default_factory=list)
    floor_seconds: list[float] = field(default_factory=list)
    client_peak: int = 0
    mover_peak: int = 0
    server_peak: int = 0


def _rounds(world: World, plain: tuple[str, int], folder: Path, size_bytes: int, options: Options) -> Found:
    found = Found()
    result, back = folder / "result", folder / "back"
    for number in range(1, ROUNDS + 1):
        options.say(f"round {number} of {ROUNDS}: {size_bytes // MIB} MiB through Vestal")
        reset_peak()
        began = time.perf_counter()
        transfer(world, size_bytes, result)
        found.seconds.append(time.perf_counter() - began)
        found.client_peak = max(found.client_peak, peak_bytes())
        _check(result, size_bytes)
        options.say(f"round {number} of {ROUNDS}: plainly")
        moved = _plainly(plain[0], result, back)
        found.floor_seconds.append(moved["seconds"])
        found.mover_peak = max(found.mover_peak, int(moved["peak_bytes"]))
        for file in (result, back):
            file.unlink()
    found.server_peak = peak_bytes(plain[1])
    return found


def transfer(world: World, size_bytes: int, result: Path) -> None:
    job = world.client.run(
        world.ground.image,
        "ones",
        [size_bytes],
        on=[world.nodes[0].organization],
        data=(),
        output=size_bytes,
        scratch=2 * size_bytes,
    )
    job.save(result)


def _check(result: Path, size_bytes: int) -> None:
    with result.open("rb") as file:
        whole = all(chunk == ONE * len(chunk) for chunk in iter(lambda: file.read(MIB), b""))
        if file.tell() != size_bytes or not whole:
            raise RuntimeError("the result is not what was asked for")


def _peak_of_hub(world: World) -> int:
    pid = world.hub.pid
    return max(peak_bytes(one) for one in (pid, *children(pid)))


# --- the floor --------------------------------------------------------------------------------------------------
@contextmanager
def plain_server(file: Path) -> Iterator[tuple[str, int]]:
    """Its address and process."""
    command = [sys.executable, "-m", "benchmarks.plain_http", "serve", str(file)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip(), process.pid
        finally:
            process.terminate()


def _plainly(url: str, source: Path, target: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.plain_http", "move", url, str(source), str(target)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=WITHIN_S)
    moved: dict[str, float] = json.loads(done.stdout)
    return moved
