"""From what a researcher wants to what is signed: a workflow, the accepted members and the orders in, a plan out. Pure.

Whoever is named in a plan was resolved here, over the client's own list of members: the hub has no say in it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from vclient.images import ImageLabels, Images
from vprotocol.errors import UsageError, WorkflowInvalid
from vprotocol.ids import HEX_256, Fingerprint
from vprotocol.messages.orders import Order
from vprotocol.plan import (
    Delegation,
    Limits,
    Party,
    Plan,
    PlanConnection,
    PlanOrder,
    PlanOrganization,
    PlanStep,
    validation_sentences,
)
from vprotocol.workflow.check import check_acyclic, check_edges, check_inputs
from vprotocol.workflow.definition import DEFAULT_OUTPUT, Connection, SameAs, Step, TagSelector, Target, Workflow
from vprotocol.workflow.patterns import Pattern, readers

Orders = Mapping[str, Order | Mapping[str | int, Order]]
Targets = Mapping[str, tuple[Fingerprint, ...]]


@dataclass(frozen=True)
class Circumstances:
    """Everything that a plan needs beside the workflow: who asks whom, when, and under which names."""

    job: str
    collaboration: str
    issuer: Party
    members: tuple[PlanOrganization, ...]  # accepted here
    issued_at: int  # unix seconds
    expires_at: int
    images: Images
    suite: int = 2
    project: str | None = None
    name: str | None = None  # of the job; default: the workflow's
    download: bool = True
    scratch: str = "shared"
    priority: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    def member(self, wanted: str | int) -> PlanOrganization:
        """The member of that number, fingerprint or name.

        :raises UsageError: nobody, or several.
        """
        found = [one for one in self.members if _is_called(one, wanted)]
        if len(found) == 1:
            return found[0]
        known = ", ".join(f"{one.name} ({one.id})" for one in self.members)
        if found:
            raise UsageError(f"several members are called {wanted}", hint=f"Name one by its number: {known}.")
        raise UsageError(f"{wanted} is not an accepted member of this collaboration", hint=f"Members: {known}.")


def check_workflow(workflow: Workflow) -> tuple[str, ...]:
    """What can be said about a workflow before anybody is named in it: its steps in an order in which they can run.

    :raises WorkflowInvalid: with a sentence that names the place.
    """
    steps = list(workflow.steps)
    edges = [(connection.source.step, connection.target.step) for connection in workflow.connections]
    check_edges(steps, edges)
    ordered = check_acyclic(steps, edges)
    check_inputs((connection.target.step, connection.target.name) for connection in workflow.connections)
    for connection in workflow.connections:
        if (connection.target.name is None) != (connection.pattern is Pattern.NONE):
            raise WorkflowInvalid(
                f"connection {connection.source} → {connection.target}: "
                "an input is named (`to: step.input`) by every pattern but `none`"
            )
    if workflow.repeat is not None:
        raise WorkflowInvalid("loops (`repeat`) are not supported by this version")
    for name, step in workflow.steps.items():
        if step.order != "parallel":
            raise WorkflowInvalid(f"step `{name}`: `order: {step.order}` is not supported by this version")
        if isinstance(step.on, TagSelector):
            raise WorkflowInvalid(
                f"step `{name}`: choosing organizations by tags is not supported by this version",
                hint="Name them in `on`; `requires: {tags: [...]}` chooses among an organization's nodes.",
            )
    return ordered


def targets_of(workflow: Workflow, circumstances: Circumstances) -> Targets:
    """Where each step runs.

    :raises WorkflowInvalid, UsageError: a target that does not exist, or nobody at all.
    """
    check_workflow(workflow)
    found: dict[str, tuple[Fingerprint, ...]] = {}
    for name in workflow.steps:
        found[name] = _step_targets(workflow, name, circumstances, ())
        if not found[name]:
            raise WorkflowInvalid(f"step `{name}` would run nowhere", hint="Accept members of the collaboration first.")
    return found


def orders_by_step(
    orders: Orders, targets: Targets, circumstances: Circumstances
) -> dict[str, list[tuple[Order, tuple[Fingerprint, ...]]]]:
    """For each step its different orders, and who gets each: equal orders are sealed once for all.

    :raises UsageError: an order is missing, or is for a step or organization that does not take part.
    """
    if unknown := set(orders) - set(targets):
        raise UsageError(f"there is no step `{sorted(unknown)[0]}` to order anything from")
    found = {}
    for step, organizations in targets.items():
        given = orders.get(step)
        if given is None:
            raise UsageError(f"step `{step}` has no order", hint=f"orders={{'{step}': order(method, ...)}}")
        if isinstance(given, Order):
            found[step] = [(given, organizations)]
            continue
        found[step] = _grouped(step, given, organizations, circumstances)
    return found


def plan_of(
    workflow: Workflow,
    circumstances: Circumstances,
    orders: Mapping[str, Sequence[PlanOrder]],
    *,
    targets: Targets | None = None,
    finals: Mapping[str, Sequence[str]] | None = None,
) -> Plan:
    """The plan, checked.

    :param orders: the sealed orders of each step.
    :param finals: step → outputs that the initiator opens; default: the output of each step that feeds no other.
    :raises WorkflowInvalid: the patterns do not fit, an output is named wrongly, or anything else contradicts itself.
    """
    where = targets_of(workflow, circumstances) if targets is None else targets
    labels = ImageLabels()
    wanted = finals_of(workflow, finals or {})
    steps = tuple(
        _plan_step(name, step, circumstances, labels, where, orders[name], wanted[name])
        for name, step in workflow.steps.items()
    )
    connections = tuple(_plan_connection(one, where) for one in workflow.connections)
    involved = _involved(circumstances, steps, connections)
    try:
        return Plan(
            job=circumstances.job,
            collaboration=circumstances.collaboration,
            project=circumstances.project,
            name=circumstances.name or workflow.name,
            issuer=circumstances.issuer,
            issued_at=circumstances.issued_at,
            expires_at=circumstances.expires_at,
            suite=circumstances.suite,
            organizations=tuple(one for one in circumstances.members if one.fingerprint in involved),
            images=labels.images,
            steps=steps,
            connections=connections,
            readers=(circumstances.issuer,),
            download=circumstances.download,
            scratch=circumstances.scratch,
            priority=workflow.priority if circumstances.priority is None else circumstances.priority,
            labels={**workflow.labels, **circumstances.labels},
        )
    except ValidationError as fault:
        raise WorkflowInvalid(validation_sentences(fault)) from None


def finals_of(workflow: Workflow, named: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """The outputs of each step that the initiator opens.

    :raises WorkflowInvalid: of a step that does not exist, or nothing at all.
    """
    if unknown := set(named) - set(workflow.steps):
        raise WorkflowInvalid(f"there is no step `{sorted(unknown)[0]}` whose output could be opened")
    feeding = {one.source.step for one in workflow.connections if one.pattern is not Pattern.NONE}
    found = {
        step: tuple(dict.fromkeys(named[step])) if step in named else () if step in feeding else (DEFAULT_OUTPUT,)
        for step in workflow.steps
    }
    if not any(found.values()):
        raise WorkflowInvalid("no output of this workflow would be opened by anybody")
    return found


# --- who -------------------------------------------------------------------------------------------------------------
def _is_called(member: PlanOrganization, wanted: str | int) -> bool:
    if isinstance(wanted, int):
        return member.id == wanted
    if HEX_256.fullmatch(wanted):
        return member.fingerprint == wanted
    return wanted == member.name or (wanted.isdecimal() and int(wanted) == member.id)


def _step_targets(
    workflow: Workflow, name: str, circumstances: Circumstances, asked: tuple[str, ...]
) -> tuple[Fingerprint, ...]:
    on = workflow.steps[name].on
    if not isinstance(on, SameAs):
        return resolve(on, circumstances, f"step `{name}`")
    if on.step not in workflow.steps:
        raise WorkflowInvalid(f"step `{name}` runs on the `same as {on.step}`, which does not exist")
    if name in asked:
        raise WorkflowInvalid(f"the targets form a cycle: {' → '.join((*asked, name))}")
    return _step_targets(workflow, on.step, circumstances, (*asked, name))


def resolve(on: Target, circumstances: Circumstances, where: str) -> tuple[Fingerprint, ...]:
    """The organizations that a target means, in the order of the members (or as they were listed)."""
    if on == "all":
        return tuple(member.fingerprint for member in circumstances.members)
    if on == "initiator":
        issuer = circumstances.issuer.organization
        if all(member.fingerprint != issuer for member in circumstances.members):
            raise UsageError(
                f"{where} runs at the initiator, whose organization is no member of this collaboration",
                hint="Name another organization in `on`.",
            )
        return (issuer,)
    if isinstance(on, TagSelector | SameAs):
        raise WorkflowInvalid(f"{where}: this target is not supported here")
    found = tuple(circumstances.member(one).fingerprint for one in on)
    if len(set(found)) != len(found):
        raise UsageError(f"{where} names an organization twice")
    return found


def _involved(
    circumstances: Circumstances, steps: Iterable[PlanStep], connections: Iterable[PlanConnection]
) -> frozenset[Fingerprint]:
    """A plan names only whom it concerns: nodes that demand verified identities judge every name in it."""
    found = {circumstances.issuer.organization}
    for step in steps:
        found.update(step.on, step.delegation.organizations if step.delegation else ())
    for connection in connections:
        found.update(connection.recipients)
    return frozenset(found)


# --- orders ----------------------------------------------------------------------------------------------------------
def _grouped(
    step: str, given: Mapping[str | int, Order], organizations: Sequence[Fingerprint], circumstances: Circumstances
) -> list[tuple[Order, tuple[Fingerprint, ...]]]:
    by_organization: dict[Fingerprint, Order] = {}
    for wanted, order in given.items():
        member = circumstances.member(wanted)
        if member.fingerprint not in organizations:
            raise UsageError(f"step `{step}` does not run at {member.name}, and an order for it was given")
        if member.fingerprint in by_organization:
            raise UsageError(f"step `{step}` has two orders for {member.name}")
        by_organization[member.fingerprint] = order
    for fingerprint in organizations:
        if fingerprint not in by_organization:
            raise UsageError(f"step `{step}` has no order for {circumstances.member(fingerprint).name}")
    groups: dict[bytes, tuple[Order, list[Fingerprint]]] = {}
    for fingerprint in organizations:
        order = by_organization[fingerprint]
        groups.setdefault(order.encode(), (order, []))[1].append(fingerprint)
    return [(order, tuple(members)) for order, members in groups.values()]


# --- steps and connections -------------------------------------------------------------------------------------------
def _plan_step(
    name: str,
    step: Step,
    circumstances: Circumstances,
    labels: ImageLabels,
    targets: Targets,
    orders: Sequence[PlanOrder],
    final: tuple[str, ...],
) -> PlanStep:
    limits = _limits(step)
    try:
        return PlanStep(
            name=name,
            image=labels.label(circumstances.images.find(step.image)),
            on=targets[name],
            orders=tuple(orders),
            data=step.data,
            tags=step.requires.tags,
            limits=limits,
            needs=step.needs,
            fail=step.fail,
            trigger=step.trigger,
            final=final,
            delegation=_delegation(name, step, circumstances, labels, limits),
        )
    except ValidationError as fault:
        raise WorkflowInvalid(f"step `{name}`: {validation_sentences(fault)}") from None


def _limits(step: Step) -> Limits:
    given: dict[str, Any] = {
        "time_s": step.timeout,
        "memory_bytes": step.memory,
        "output_bytes": step.output,
        "scratch_bytes": step.scratch,
        "attempts": step.retry.attempts,
    }
    return Limits(**{name: value for name, value in given.items() if value is not None})


def _delegation(
    name: str, step: Step, circumstances: Circumstances, labels: ImageLabels, limits: Limits
) -> Delegation | None:
    asked = step.delegate
    if asked is None:
        return None
    images = circumstances.images
    return Delegation(
        images=tuple(dict.fromkeys(labels.label(images.find(one)) for one in asked.images or [step.image])),
        organizations=resolve(asked.on, circumstances, f"the delegation of step `{name}`"),
        data=step.data if asked.data is None else asked.data,
        children=asked.children,
        depth=asked.depth,
        until=circumstances.expires_at,
        limits=limits,
    )


def _plan_connection(connection: Connection, targets: Targets) -> PlanConnection:
    source, target = connection.source, connection.target
    try:
        recipients = readers(connection.pattern, targets[source.step], targets[target.step])
    except WorkflowInvalid as fault:
        raise WorkflowInvalid(f"connection {source} → {target}: {fault}") from None
    return PlanConnection(
        from_step=source.step,
        from_output=source.name or DEFAULT_OUTPUT,
        to_step=target.step,
        to_input=target.name,
        pattern=connection.pattern,
        recipients=recipients,
    )


# --- explaining ------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class OutputExplained:
    name: str
    readers: tuple[str, ...]  # names of organizations, and "you"


@dataclass(frozen=True)
class StepExplained:
    """Who runs a step, on what, and who can read what comes out of it."""

    step: str
    organizations: tuple[str, ...]
    image: str
    digest: str
    data: tuple[str, ...]
    limits: Limits
    after: tuple[str, ...]
    outputs: tuple[OutputExplained, ...]
    may_ask: tuple[str, ...]  # organizations that its algorithm may send subtasks to
    subtasks: int


def explain(plan: Plan) -> tuple[StepExplained, ...]:
    """A plan in the terms of people."""
    names = {organization.fingerprint: organization.name for organization in plan.organizations}
    return tuple(_explained(plan, step, names) for step in plan.steps)


def _explained(plan: Plan, step: PlanStep, names: Mapping[Fingerprint, str]) -> StepExplained:
    outgoing = [one for one in plan.connections if one.from_step == step.name and one.to_input]
    outputs = dict.fromkeys([*step.final, *(one.from_output for one in outgoing)])
    image = plan.images[step.image]
    delegation = step.delegation
    return StepExplained(
        step=step.name,
        organizations=tuple(names[one] for one in step.on),
        image=image.name,
        digest=image.config_digest,
        data=step.data,
        limits=step.limits,
        after=tuple(dict.fromkeys(one.from_step for one in plan.connections if one.to_step == step.name)),
        outputs=tuple(
            OutputExplained(
                name,
                (
                    *(("you",) if name in step.final else ()),
                    *dict.fromkeys(
                        names[reader] for one in outgoing if one.from_output == name for reader in one.recipients
                    ),
                ),
            )
            for name in outputs
        ),
        may_ask=tuple(names[one] for one in delegation.organizations) if delegation else (),
        subtasks=delegation.children if delegation else 0,
    )


def unsealed_orders(targets: Targets) -> dict[str, tuple[PlanOrder, ...]]:
    """Stand-ins for a dry run: the plan is checked as it will be, and nothing is sealed."""
    return {step: (PlanOrder(organizations=where, payload="0" * 64),) for step, where in targets.items()}


def longest_s(plan: Plan) -> int:
    """After how many seconds the last run must have ended, counted from when the plan expires."""
    return sum(step.limits.time_s * step.limits.attempts for step in plan.steps)


__all__ = [
    "Circumstances",
    "Orders",
    "StepExplained",
    "check_workflow",
    "explain",
    "finals_of",
    "orders_by_step",
    "plan_of",
    "targets_of",
    "unsealed_orders",
]
