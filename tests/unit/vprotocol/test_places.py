import itertools

from tests.unit.vprotocol.world import A, B
from vprotocol import places
from vprotocol.envelope import PayloadKind, Suite
from vprotocol.paths import TaskPath
from vprotocol.plan import Party
from vprotocol.subtask import RunName

PLAN, OTHER_PLAN = "01" * 32, "02" * 32
SUITE = Suite.XWING


def contexts():
    """Of every payload of a small job and of another like it."""
    paths = [TaskPath("part"), TaskPath("finish"), TaskPath("part").child(A.fingerprint, 1, 1)]
    for organization, path in itertools.product((A, B), paths):
        user = Party(organization=organization.fingerprint, key=organization.user.id)
        node = Party(organization=organization.fingerprint, key=organization.node.id)
        yield places.root_order(path, user, SUITE)
        for plan, generation in itertools.product((PLAN, OTHER_PLAN), (0, 1)):
            yield places.subtask_order(path, node, plan, generation, SUITE)
            for kind, attempt in itertools.product((PayloadKind.OUTCOME, PayloadKind.LOG), (1, 2)):
                run = RunName(
                    path=str(path), organization=organization.fingerprint, generation=generation, attempt=attempt
                )
                yield places.produced(kind, run, plan, organization.node.id, SUITE)


def test_no_two_places_of_a_job_have_one_context():
    found = list(contexts())
    assert len({context.hash for context in found}) == len(found)


def test_the_orders_of_the_plan_itself_are_sealed_before_it():
    order = places.root_order(TaskPath("part"), Party(organization=A.fingerprint, key=A.user.id), SUITE)
    assert (order.plan, order.generation, order.attempt, order.path) == (None, 0, 0, "part[0]")
