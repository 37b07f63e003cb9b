"""Measuring beside a floor: on a machine that others use too, only what ran in turns can be compared."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median


@dataclass(frozen=True)
class Turns:
    """Durations in seconds of the measured thing and of its floors, one of each a round."""

    measured: tuple[float, ...]
    floors: tuple[tuple[float, ...], ...]

    @property
    def value_s(self) -> float:
        return median(self.measured)

    def floor_s(self, number: int = 0) -> float:
        return median(self.floors[number])


def in_turns(measured: Callable[[], object], *floors: Callable[[], object], rounds: int, warm_up: int = 1) -> Turns:
    """Run the measured thing and its floors alternately, `rounds` times after `warm_up` that do not count."""
    works: Sequence[Callable[[], object]] = (measured, *floors)
    spent: list[list[float]] = [[] for _ in works]
    for number in range(-warm_up, rounds):
        for work, found in zip(works, spent, strict=True):
            took = seconds(work)
            if number >= 0:
                found.append(took)
    return Turns(tuple(spent[0]), tuple(tuple(one) for one in spent[1:]))


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def peak_bytes(pid: int | str = "self") -> int:
    """The greatest resident memory that a process has had (VmHWM: unlike ru_maxrss it starts anew with a program)."""
    return _status(pid, "VmHWM")


def resident_bytes(pid: int | str = "self") -> int:
    return _status(pid, "VmRSS")


def children(pid: int) -> list[int]:
    """The processes below one, at any depth."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            found += [child, *children(child)]
    return found


def cpu_seconds(pid: int) -> float:
    """What a process and those below it have used so far, however busy the machine was with others."""
    total = 0
    for one in (pid, *children(pid)):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])  # user and system time; the names of the fields stand in proc(5)
    return total / os.sysconf("SC_CLK_TCK")


def reset_peak() -> None:
    """From here on `peak_bytes` of this process counts anew."""
    Path("/proc/self/clear_refs").write_text("5")


def cores() -> int:
    return len(os.sched_getaffinity(0))


def _status(pid: int | str, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"process {pid} has no {name}: it has ended")
