"""How much does Vestal add to running a container? From the client's call to the opened result, encrypted.

One round trip is paired with one floor: the same image driven directly (`containers.py`). Overhead is the difference
of each pair. The bursts run the same number of containers at once, on both sides.
"""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.containers import Floor
from benchmarks.floor import in_turns, seconds
from benchmarks.options import Options
from benchmarks.phases import CLIENT, Stopwatch, read_phases
from benchmarks.report import Report, milliseconds_table, percentile
from benchmarks.world import Ground, World

SEQUENCE = 30
BURST = 20
AT_ONCE = 20  # places on the node of the burst, and containers at once of its floor
CHILDREN = 3
RESULT_WITHIN_S = 120


def measure(options: Options) -> Report:
    report = Report("roundtrip")
    options.say("images")
    ground = Ground.docker()
    with tempfile.TemporaryDirectory(prefix="vestal-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the floor's containers look into it
        floor = Floor(ground.image.config_digest or "", folder / "floor", at_once=AT_ONCE)
        try:
            _sequence(report, folder, ground, floor, options)
            _burst(report, folder, ground, floor, options)
            _central(report, folder, ground, floor, options)
            _phases(report, folder, ground, options)
        finally:
            floor.close()
    return report


def _sequence(report: Report, folder: Path, ground: Ground, floor: Floor, options: Options) -> None:
    options.say("round trips in sequence")
    with World(folder / "sequence", ground) as world:
        turns = in_turns(
            lambda: echo(world),
            lambda: floor.run("echo", "x"),
            lambda: floor.run("echo", "x", lean=True),
            rounds=options.times(SEQUENCE),
            warm_up=3,
        )
    for name, direct, expected in (("", turns.floors[0], "<= 0.1"), ("_over_lean", turns.floors[1], None)):
        over = [whole - alone for whole, alone in zip(turns.measured, direct, strict=True)]
        key = f"sequential{name or '_overhead'}"
        report.add(f"{key}_p50", percentile(over, 50), "s", percentile(direct, 50), expected)
        report.add(f"{key}_p95", percentile(over, 95), "s", percentile(direct, 95))
    for percent in (50, 95):
        report.add(
            f"sequential_p{percent}", percentile(turns.measured, percent), "s", percentile(turns.floors[0], percent)
        )
    report.notes.append("overhead: a round trip minus the floor run beside it; below 0: faster than the floor")
    report.notes.append("lean floor: no network, removal not waited for")


def _burst(report: Report, folder: Path, ground: Ground, floor: Floor, options: Options) -> None:
    options.say(f"{BURST} jobs at once")
    with World(folder / "burst", ground, max_runs=AT_ONCE) as world:
        turns = in_turns(
            lambda: burst(world), lambda: floor.run_many(BURST, AT_ONCE), rounds=options.times(5), warm_up=1
        )
    # 80 % of what the engine does when it is driven directly.
    report.add("burst_20", turns.value_s, "s", turns.floor_s(), "<= 1.25 x floor")


def _central(report: Report, folder: Path, ground: Ground, floor: Floor, options: Options) -> None:
    options.say(f"a central function with {CHILDREN} children")
    with World(folder / "central", ground, nodes=CHILDREN) as world:
        turns = in_turns(lambda: central(world), lambda: _central_floor(floor), rounds=options.times(10), warm_up=2)
    report.add("central_3", turns.value_s, "s", turns.floor_s())


def _central_floor(floor: Floor) -> None:
    """The same containers: the three children at once, and around them one that waits (here: before them)."""
    floor.run("echo", "x")
    floor.run_many(CHILDREN, CHILDREN)


def _phases(report: Report, folder: Path, ground: Ground, options: Options) -> None:
    options.say("where the time goes")
    stopwatch = Stopwatch()
    stopwatch.watch(CLIENT)
    rounds = options.times(SEQUENCE)
    with World(folder / "phases", ground, traced=True) as world:
        echo(world)
        stopwatch.take()
        world.nodes[0].trace.write_text("")
        whole = [seconds(lambda: echo(world)) for _ in range(rounds)]
        found = stopwatch.take()
    in_order = {phase.name: found.get(phase.name, []) for phase in CLIENT} | {"whole round trip": whole}
    report.breakdowns.append(milliseconds_table("where the time goes: client", in_order))
    report.breakdowns.append(milliseconds_table("where the time goes: node", read_phases(world.nodes[0].trace)))


# --- the works --------------------------------------------------------------------------------------------------
def echo(world: World, value: str = "x") -> None:
    job = world.client.run(world.ground.image, "echo", [value], on=[world.nodes[0].organization], data=())
    if job.result(timeout_s=RESULT_WITHIN_S) != value:
        raise RuntimeError("the echo is another one")


def burst(world: World) -> None:
    with ThreadPoolExecutor(BURST) as pool:
        list(pool.map(lambda number: echo(world, f"{number}"), range(BURST)))


def central(world: World) -> None:
    job = world.client.run(
        world.ground.image, "echo_everywhere", ["x"], on=[world.nodes[0].organization], data=(), delegate=True
    )
    if job.result(timeout_s=RESULT_WITHIN_S) != ["x"] * CHILDREN:
        raise RuntimeError("the echoes are others")
