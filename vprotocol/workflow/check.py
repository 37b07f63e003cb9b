"""Does a graph of steps and connections make sense? Used on workflows before they are resolved, and on signed plans."""

from collections.abc import Iterable, Mapping, Sequence

from vprotocol.errors import WorkflowInvalid

Edge = tuple[str, str]  # from step, to step


def check_edges(steps: Iterable[str], edges: Iterable[Edge]) -> None:
    """:raises WorkflowInvalid: an edge names a step that does not exist, or leads to itself."""
    known = set(steps)
    for source, target in edges:
        for end in (source, target):
            if end not in known:
                raise WorkflowInvalid(f"a connection names the step `{end}`, which does not exist")
        if source == target:
            raise WorkflowInvalid(f"the step `{source}` is connected to itself")


def check_acyclic(steps: Sequence[str], edges: Iterable[Edge]) -> tuple[str, ...]:
    """The steps in an order in which each comes after all it needs.

    :raises WorkflowInvalid: with the steps of a cycle.
    """
    needs: dict[str, set[str]] = {step: set() for step in steps}
    for source, target in edges:
        needs[target].add(source)
    ordered: list[str] = []
    while needs:
        ready = [step for step in steps if step in needs and not needs[step]]
        if not ready:
            raise WorkflowInvalid(f"the connections form a cycle: {' → '.join(_cycle(needs))}")
        ordered += ready
        for step in ready:
            del needs[step]
        for rest in needs.values():
            rest.difference_update(ready)
    return tuple(ordered)


def check_inputs(targets: Iterable[tuple[str, str | None]]) -> None:
    """:raises WorkflowInvalid: two connections end in the same input of a step."""
    seen: set[tuple[str, str]] = set()
    for step, name in targets:
        if name is None:
            continue
        if (step, name) in seen:
            raise WorkflowInvalid(f"two connections end in the input `{name}` of step `{step}`")
        seen.add((step, name))


def _cycle(needs: Mapping[str, set[str]]) -> list[str]:
    step = min(needs)
    seen: list[str] = []
    while step not in seen:
        seen.append(step)
        step = min(needs[step])
    return [*seen[seen.index(step) :], step][::-1]
