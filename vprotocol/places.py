"""Where each payload of a job belongs: the header contexts that sealers write and openers demand, in one place."""

from vprotocol.envelope.format import Context, PayloadKind, Suite
from vprotocol.ids import KeyId, PlanHash
from vprotocol.paths import TaskPath
from vprotocol.plan import Party
from vprotocol.subtask import RunName


def root_order(path: TaskPath, sender: Party, suite: Suite) -> Context:
    """An order that a plan names by its id: it was sealed before the plan, which therefore is not in it."""
    return Context(
        suite=suite,
        kind=PayloadKind.ORDER,
        plan=None,
        path=str(path),
        organization=sender.organization,
        sender=sender.key,
    )


def subtask_order(path: TaskPath, sender: Party, plan: PlanHash, generation: int, suite: Suite) -> Context:
    """An order of a running algorithm, sealed by its node. Any attempt of the subtask may open it."""
    return Context(
        suite=suite,
        kind=PayloadKind.ORDER,
        plan=plan,
        path=str(path),
        organization=sender.organization,
        generation=generation,
        sender=sender.key,
    )


def produced(
    kind: PayloadKind,
    run: RunName,
    plan: PlanHash,
    sender: KeyId,
    suite: Suite,
    media_type: str = "application/json",
) -> Context:
    """An outcome or a log of one attempt of a run, sealed by the node that executed it."""
    return Context(
        suite=suite,
        kind=kind,
        plan=plan,
        path=run.path,
        organization=run.organization,
        generation=run.generation,
        attempt=run.attempt,
        sender=sender,
        media_type=media_type,
    )
