import pytest

from vprotocol.errors import WorkflowInvalid
from vprotocol.workflow.definition import SameAs, TagSelector, Workflow
from vprotocol.workflow.patterns import Pattern

STEP = {"image": "registry.example.org/mean:1"}


def one(**fields):
    return {"name": "w", "steps": {"part": {**STEP, **fields}}}


def step(**fields):
    return Workflow.parse(one(**fields)).steps["part"]


def test_a_whole_workflow_is_read():
    workflow = Workflow.parse(
        {
            "name": "federated-mean",
            "steps": {
                "part": {**STEP, "data": ["default"], "requires": {"tags": ["gpu"]}, "timeout": "10m"},
                "finish": {**STEP, "on": "initiator", "needs": "2 of all"},
            },
            "connections": [{"from": "part.total", "to": "finish.totals", "pattern": "gather"}],
            "labels": {"source_id": "ITM123"},
        }
    )
    part, finish = workflow.steps.values()
    assert (part.on, part.timeout, part.requires.tags) == ("all", 600, ("gpu",))
    assert (finish.on, finish.needs) == ("initiator", 2)
    (connection,) = workflow.connections
    assert (str(connection.source), str(connection.target)) == ("part.total", "finish.totals")
    assert connection.pattern is Pattern.GATHER


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        ("all", "all"),
        ("initiator", "initiator"),
        ("Hospital A", ("Hospital A",)),
        (["Hospital A", 3], ("Hospital A", 3)),
        ({"tags": ["gpu"]}, TagSelector(tags=("gpu",))),
        ("same as part", SameAs(step="part")),
    ],
)
def test_where_a_step_runs(on, expected):
    assert step(on=on).on == expected


def test_the_key_that_yaml_takes_for_true_is_read():
    assert Workflow.parse({"name": "w", "steps": {"part": {**STEP, True: "initiator"}}}).steps["part"].on == "initiator"


@pytest.mark.parametrize(
    ("written", "seconds"), [(90, 90), ("90", 90), ("90s", 90), ("10m", 600), ("1 h", 3600), ("2d", 172_800)]
)
def test_durations(written, seconds):
    assert step(timeout=written).timeout == seconds


@pytest.mark.parametrize(
    ("written", "size"),
    [(2**20, 2**20), ("2097152", 2**21), ("2097152B", 2**21), ("50MiB", 50 * 2**20), ("4 GiB", 2**32), ("1TiB", 2**40)],
)
def test_sizes(written, size):
    assert step(memory=written).memory == size


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (None, "document: Input should be"),
        ([], "document: Input should be"),
        ({}, "name: Field required; steps: Field required"),
        ({"name": "", "steps": {"a": STEP}}, "name: "),
        ({"name": "a\x1b[2J", "steps": {"a": STEP}}, "control characters"),
        ({"name": "w", "steps": {}}, "steps: "),
        ({"name": "w", "steps": {"1a": STEP}}, "a label begins with a letter"),
        ({"name": "w", "steps": {"a": {}}}, "steps.a.image: Field required"),
        (one(image=""), "steps.part.image: "),
        (one(metod="x"), "steps.part.metod: Extra inputs"),
        (one(on=[]), "steps.part.on"),
        (one(on=5), "steps.part.on"),
        (one(on={"tags": []}), "steps.part.on"),
        (one(on="same as 1"), "a label begins with a letter"),
        (one(timeout="soon"), "steps.part.timeout"),
        (one(timeout="1.5h"), "steps.part.timeout"),
        (one(timeout="31d"), "steps.part.timeout"),
        (one(timeout=0), "steps.part.timeout"),
        (one(memory="4GB"), "steps.part.memory"),
        (one(memory="4Gi"), "steps.part.memory"),
        (one(memory="1KiB"), "steps.part.memory"),
        (one(output="-1"), "steps.part.output"),
        (one(needs=0), "steps.part.needs"),
        (one(needs="most"), "steps.part.needs"),
        (one(retry={"attempts": 0}), "steps.part.retry.attempts"),
        (one(fail="slowly"), "steps.part.fail"),
        (one(order="ring"), "steps.part.order"),
        (one(data=["a b"]), "steps.part.data.0"),
        (one(delegate={"depth": 9}), "steps.part.delegate.depth"),
        ({**one(), "priority": 10}, "priority"),
        ({**one(), "connections": [{"from": "part", "to": "part"}]}, "connections.0.pattern"),
        ({**one(), "connections": [{"from": "part", "to": "x", "pattern": "ring"}]}, "'broadcast', 'gather' or 'none'"),
        ({**one(), "connections": [{"from": "", "to": "x", "pattern": "none"}]}, "connections.0.from.step"),
        ({**one(), "connections": [{"from": "a.b.c", "to": "x", "pattern": "none"}]}, "connections.0.from.name"),
        ({**one(), "repeat": {"steps": ["part"], "times": 0}}, "repeat.times"),
        ({**one(), "surprise": 1}, "surprise"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(document, says):
    with pytest.raises(WorkflowInvalid) as refused:
        Workflow.parse(document)
    assert says in str(refused.value)


def test_many_faults_are_counted():
    with pytest.raises(WorkflowInvalid, match="and 3 more"):
        Workflow.parse({"name": "w", "steps": {f"s{number}": {} for number in range(8)}})
