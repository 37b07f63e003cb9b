"""What the demo says at the end: tables for people, one object for programs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table

from demo.comparison import Comparison
from demo.needles import Secret
from demo.search import Searched

FINDINGS_SHOWN = 20


@dataclass(frozen=True)
class Part:
    """One question: how its answer compares, and how long it took."""

    comparison: Comparison
    seconds: float
    rounds: int | None = None

    def to_json(self) -> dict[str, Any]:
        compared = "max_relative_difference" if self.comparison.relative else "max_difference"
        rounds = {} if self.rounds is None else {"rounds": self.rounds}
        return {compared: self.comparison.difference, **rounds, "seconds": round(self.seconds, 3)}


@dataclass(frozen=True)
class HubSaw:
    """`sealed`: the search of the real hub; `control`: of one where nothing was sealed."""

    searched: Sequence[Secret]
    not_searched: Sequence[Secret]
    sealed: Searched
    control: Searched
    visible: Sequence[str]

    @property
    def control_missed(self) -> list[Secret]:
        return [secret for secret in self.searched if secret not in self.control.secrets]

    @property
    def holds(self) -> bool:
        return bool(self.searched) and not self.sealed.findings and not self.control_missed

    def to_json(self) -> dict[str, Any]:
        return {
            "searched": len(self.searched),
            "control_found": len(self.control.secrets),
            "findings": len(self.sealed.findings),
            "visible": list(self.visible),
        }


@dataclass(frozen=True)
class Report:
    executor: str
    nodes: int
    parts: dict[str, Part]
    hub_saw: HubSaw
    setup_seconds: float
    seconds: float
    where_time_went: Sequence[tuple[str, float]] = field(default=())

    @property
    def holds(self) -> bool:
        return all(part.comparison.holds for part in self.parts.values()) and self.hub_saw.holds

    def to_json(self) -> str:
        return json.dumps(
            {
                "executor": self.executor,
                "sealed": True,
                "nodes": self.nodes,
                "parts": {name: part.to_json() for name, part in self.parts.items()},
                "hub_saw": self.hub_saw.to_json(),
                "setup_seconds": round(self.setup_seconds, 3),
                "seconds": round(self.seconds, 3),
            }
        )

    def show(self, console: Console) -> None:
        for part in self.parts.values():
            console.print(_compared(part))
        console.print(_seen(self.hub_saw))
        verdict = "[green]Everything holds.[/green]" if self.holds else "[red]Something does not hold, see above.[/red]"
        times = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in self.where_time_went)
        console.print(f"{verdict} Set-up {self.setup_seconds:.1f} s, then {self.seconds:.1f} s ({times}).")


def _compared(part: Part) -> Table:
    comparison = part.comparison
    kind = "relative" if comparison.relative else "absolute"
    mark = "[green]equal[/green]" if comparison.holds else "[red]DIFFERENT[/red]"
    rounds = "" if part.rounds is None else f", {part.rounds} rounds"
    table = Table(
        title=f"{comparison.title} ({part.seconds:.1f} s{rounds})",
        caption=f"{mark}: largest {kind} difference {comparison.difference:.1e}, allowed {comparison.limit:.0e}",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("")
    for title in ("federated", "on the joined data", "difference"):
        table.add_column(title, justify="right")
    for line in comparison.lines:
        difference = abs(line.federated - line.pooled)
        table.add_row(line.name, f"{line.federated:.15g}", f"{line.pooled:.15g}", f"{difference:.1e}")
    return table


def _seen(saw: HubSaw) -> Panel:
    found, missed = saw.sealed, saw.control_missed
    lines = [
        f"{len(saw.searched)} secrets ({_kinds(saw.searched)}) were looked for in {found.pieces} rows, files and "
        f"requests ({found.bytes_total / 1e6:.1f} MB with {found.layers} decoded layers).",
        "[green]None is there.[/green]" if not found.findings else f"[red]{len(found.findings)} FINDINGS[/red]",
        *(f"[red]  {finding}[/red]" for finding in found.findings[:FINDINGS_SHOWN]),
        f"Control: in a hub where the same jobs ran unsealed, the same search finds {len(saw.control.secrets)} of "
        f"{len(saw.searched)}." + ("" if not missed else f" [red]Missed: {', '.join(map(str, missed[:5]))}[/red]"),
    ]
    if saw.not_searched:
        values = ", ".join(str(secret.value) for secret in saw.not_searched[:8])
        lines.append(f"Not looked for, too short to mean anything: {len(saw.not_searched)} ({values}, ...).")
    lines += ["", "What the hub does see:", *(f"  {sentence}" for sentence in saw.visible)]
    return Panel(Group(*lines), title="What the hub saw", title_align="left")


def _kinds(secrets: Sequence[Secret]) -> str:
    kinds = sorted({secret.kind for secret in secrets})
    return ", ".join(f"{sum(secret.kind == kind for secret in secrets)} {kind}s" for kind in kinds)
