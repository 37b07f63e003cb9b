"""From workflow to plan: pure, so every rule is tried without a hub."""

import pytest

from vclient import Delegate, ImageRef, Workflow, broadcast, gather, order
from vclient.errors import DigestMissing
from vclient.images import Images
from vclient.planning import (
    Circumstances,
    check_workflow,
    explain,
    finals_of,
    orders_by_step,
    plan_of,
    targets_of,
    unsealed_orders,
)
from vprotocol.errors import UsageError, VestalError, WorkflowInvalid
from vprotocol.paths import TaskPath
from vprotocol.plan import Party, PlanOrganization, expected_root_run

DIGEST = "sha256:" + "ab" * 32
OTHER = "sha256:" + "cd" * 32
IMAGE = f"registry.example.org/team/stats:2@{DIGEST}"
ALPHA, BETA, GAMMA = (letter * 64 for letter in "abc")


def circumstances(**changes) -> Circumstances:
    usual = {
        "job": "0f" * 16,
        "collaboration": "c0" * 16,
        "issuer": Party(organization=ALPHA, key="1" * 32),
        "members": tuple(
            PlanOrganization(fingerprint=fingerprint, id=number, name=name)
            for fingerprint, number, name in ((ALPHA, 11, "Alpha"), (BETA, 12, "Beta"), (GAMMA, 13, "Gamma"))
        ),
        "issued_at": 1_700_000_000,
        "expires_at": 1_700_086_400,
        "images": Images(),
    }
    return Circumstances(**{**usual, **changes})


def plan(wf: Workflow, around: Circumstances | None = None, **options):
    definition, around = wf.definition(), around or circumstances()
    return plan_of(definition, around, unsealed_orders(targets_of(definition, around)), **options)


def one_step(**settings) -> Workflow:
    wf = Workflow("one")
    wf.step("main", settings.pop("image", IMAGE), **settings)
    return wf


def two_steps(**finish) -> Workflow:
    wf = Workflow("two")
    part = wf.step("part", IMAGE, data=["default"])
    wf.step("finish", IMAGE, **{"on": "initiator", "inputs": {"total": gather(part)}, **finish})
    return wf


# --- who -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("on", "expected"),
    [
        ("all", (ALPHA, BETA, GAMMA)),
        ("initiator", (ALPHA,)),
        (["Gamma", "Alpha"], (GAMMA, ALPHA)),
        ([12], (BETA,)),
        (["12"], (BETA,)),
        ([GAMMA], (GAMMA,)),
        ("Beta", (BETA,)),
    ],
)
def test_targets_are_resolved_to_fingerprints(on, expected):
    assert plan(one_step(on=on)).steps[0].on == expected


def test_same_as_follows_another_step():
    wf = Workflow("same")
    wf.step("first", IMAGE, on=["Beta"])
    wf.step("second", IMAGE, on="same as first")
    assert plan(wf).step("second").on == (BETA,)


def test_a_plan_names_only_whom_it_concerns():
    made = plan(one_step(on=["Beta"]))
    assert {one.fingerprint for one in made.organizations} == {ALPHA, BETA}  # the issuer and who runs


def test_a_delegation_to_all_names_all_members():
    made = plan(one_step(on="initiator", data=["default"], delegate=True))
    delegation = made.steps[0].delegation
    assert delegation.organizations == (ALPHA, BETA, GAMMA)
    assert delegation.images == (made.steps[0].image,)
    assert delegation.data == ("default",)
    assert delegation.until == made.expires_at
    assert {one.fingerprint for one in made.organizations} == {ALPHA, BETA, GAMMA}


def test_a_delegation_can_be_narrow():
    delegate = Delegate(on=("Beta",), children=3, depth=2, data=(), images=(f"other@{OTHER}",))
    made = plan(one_step(on="initiator", data=["default"], delegate=delegate))
    delegation = made.steps[0].delegation
    assert (delegation.organizations, delegation.children, delegation.depth, delegation.data) == ((BETA,), 3, 2, ())
    assert made.images[delegation.images[0]].config_digest == OTHER


def test_without_delegation_nothing_is_delegated():
    assert plan(one_step()).steps[0].delegation is None


# --- what ------------------------------------------------------------------------------------------------------------
def test_recipients_come_from_the_pattern():
    made = plan(two_steps())
    (connection,) = made.connections
    assert connection.recipients == (ALPHA,)
    (output,) = expected_root_run(made, TaskPath("part"), BETA).outputs
    assert (output.organizations, output.parties) == ((ALPHA,), ())  # not even the initiator opens it


def test_the_initiator_opens_what_feeds_no_other_step():
    assert [step.final for step in plan(two_steps()).steps] == [(), ("output",)]


def test_named_outputs_are_opened_as_well():
    made = plan(two_steps(), finals={"part": ["output"]})
    assert [step.final for step in made.steps] == [("output",), ("output",)]


def test_broadcast_is_sealed_for_every_consumer():
    wf = Workflow("down")
    init = wf.step("init", IMAGE, on="initiator")
    wf.step("part", IMAGE, on="all", inputs={"model": broadcast(init["model"])})
    (connection,) = plan(wf).connections
    assert (connection.from_output, connection.recipients) == ("model", (ALPHA, BETA, GAMMA))


def test_after_makes_an_order_without_data():
    wf = Workflow("order only")
    first = wf.step("first", IMAGE)
    wf.step("second", IMAGE, after=[first])
    made = plan(wf)
    assert made.connections[0].to_input is None
    assert [step.final for step in made.steps] == [("output",), ("output",)]


def test_limits_are_those_of_the_step():
    limits = plan(one_step(timeout="10m", memory="4GiB", output="50MiB", scratch=0, attempts=5)).steps[0].limits
    assert (limits.time_s, limits.memory_bytes, limits.output_bytes) == (600, 4 * 2**30, 50 * 2**20)
    assert (limits.scratch_bytes, limits.attempts) == (0, 5)


def test_images_get_one_label_each():
    wf = Workflow("images")
    wf.step("a", IMAGE)
    wf.step("b", f"elsewhere.example.org/stats@{OTHER}")
    wf.step("c", ImageRef("registry.example.org/team/stats:2", DIGEST))
    wf.step("d", f"9@{OTHER}")
    made = plan(wf)
    assert [step.image for step in made.steps] == ["stats", "stats-2", "stats", "i-9"]
    assert made.images["stats"].name == "registry.example.org/team/stats:2"


def test_a_digest_may_come_from_a_mapping():
    known = Images({"stats": ImageRef("stats", DIGEST, OTHER)})
    image = plan(one_step(image="stats"), circumstances(images=known)).images["stats"]
    assert (image.config_digest, image.manifest_digest) == (DIGEST, OTHER)


def test_the_method_is_nowhere_in_a_plan():
    from vclient.submitting import single

    wf, _ = single(IMAGE, order("secret_method", column="secret_column"))
    made = plan(wf)
    assert b"secret" not in made.encode()


def test_equal_orders_are_grouped():
    around = circumstances()
    targets = {"main": (ALPHA, BETA, GAMMA)}
    given = {"main": {"Alpha": order("m", 1), "Beta": order("m", 2), "Gamma": order("m", 1)}}
    assert orders_by_step(given, targets, around) == {
        "main": [(order("m", 1), (ALPHA, GAMMA)), (order("m", 2), (BETA,))]
    }


def test_a_plan_explains_itself():
    part, finish = explain(plan(two_steps()))
    assert part.organizations == ("Alpha", "Beta", "Gamma")
    assert part.data == ("default",)
    assert [(one.name, one.readers) for one in part.outputs] == [("output", ("Alpha",))]
    assert [(one.name, one.readers) for one in finish.outputs] == [("output", ("you",))]
    assert finish.after == ("part",)


def test_a_document_and_python_mean_the_same():
    document = {
        "name": "two",
        "steps": {"part": {"image": IMAGE, "data": ["default"]}, "finish": {"image": IMAGE, "on": "initiator"}},
        "connections": [{"from": "part", "to": "finish.total", "pattern": "gather"}],
    }
    assert plan(Workflow.parse(document)) == plan(two_steps())


# --- misuse ----------------------------------------------------------------------------------------------------------
def cycle() -> Workflow:
    return Workflow.parse(
        {
            "name": "cycle",
            "steps": {"a": {"image": IMAGE, "on": "initiator"}, "b": {"image": IMAGE, "on": "initiator"}},
            "connections": [
                {"from": "a", "to": "b.x", "pattern": "gather"},
                {"from": "b", "to": "a.y", "pattern": "gather"},
            ],
        }
    )


def connected(pattern: str, to: str, source: str = "a") -> Workflow:
    steps = {"a": {"image": IMAGE}, "b": {"image": IMAGE, "on": "initiator"}}
    edge = {"from": source, "to": to, "pattern": pattern}
    return Workflow.parse({"name": "x", "steps": steps, "connections": [edge]})


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: one_step(image="stats"), DigestMissing, "without its digest"),
        (lambda: one_step(image="stats@sha256:12"), UsageError, "not a digest"),
        (lambda: one_step(on=["Delta"]), UsageError, "Delta is not an accepted member"),
        (lambda: one_step(on=[99]), UsageError, "99 is not an accepted member"),
        (lambda: one_step(on=["Beta", 12]), UsageError, "twice"),
        (lambda: one_step(on=[]), WorkflowInvalid, "at least 1 item"),
        (lambda: one_step(on="same as nothing"), WorkflowInvalid, "does not exist"),
        (lambda: one_step(on="same as main"), WorkflowInvalid, "cycle"),
        (lambda: one_step(memory=1), WorkflowInvalid, "memory"),
        (lambda: one_step(timeout="soon"), WorkflowInvalid, "timeout"),
        (lambda: one_step(fail="sometimes"), WorkflowInvalid, "fail"),
        (lambda: one_step(data=["not a label"]), WorkflowInvalid, "label"),
        (lambda: one_step(needs=4), WorkflowInvalid, "participants"),
        (cycle, WorkflowInvalid, "cycle"),
        (lambda: two_steps(on="all"), WorkflowInvalid, "`gather` brings everything to one"),
        (lambda: connected("broadcast", "b.x"), WorkflowInvalid, "`broadcast` takes the output of one"),
        (lambda: connected("gather", "b"), WorkflowInvalid, "an input is named"),
        (lambda: connected("none", "b.x"), WorkflowInvalid, "an input is named"),
        (lambda: connected("gather", "c.x"), WorkflowInvalid, "`c`, which does not exist"),
        (lambda: connected("ring", "b.x"), WorkflowInvalid, "pattern"),
    ],
)
def test_misuse_ends_in_a_sentence(make, error, says):
    with pytest.raises(error, match=says):
        plan(make())


def test_a_step_is_added_once():
    wf = one_step()
    with pytest.raises(WorkflowInvalid, match="two steps are called `main`"):
        wf.step("main", IMAGE)


def test_one_image_with_two_digests_is_refused():
    with pytest.raises(UsageError, match="two different digests"):
        plan(one_step(image=f"stats@{DIGEST}"), circumstances(images=Images({"stats": OTHER})))


def test_an_initiator_outside_of_the_collaboration_runs_nothing():
    stranger = Party(organization="d" * 64, key="1" * 32)
    with pytest.raises(UsageError, match="no member"):
        plan(one_step(on="initiator"), circumstances(issuer=stranger))


def test_two_members_of_one_name_are_told_apart_by_number():
    twins = tuple(PlanOrganization(fingerprint=one, id=number, name="Twin") for one, number in ((ALPHA, 1), (BETA, 2)))
    with pytest.raises(UsageError, match="several members"):
        plan(one_step(on=["Twin"]), circumstances(members=twins))
    assert plan(one_step(on=[2]), circumstances(members=twins)).steps[0].on == (BETA,)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "`main` has no order"),
        ({"main": order("m"), "other": order("m")}, "no step `other`"),
        ({"main": {"Alpha": order("m")}}, "no order for Beta"),
        ({"main": {"Alpha": order("m"), "Beta": order("m"), "Gamma": order("m")}}, "does not run at Gamma"),
        ({"main": {"Alpha": order("m"), 11: order("m"), "Beta": order("m")}}, "two orders for Alpha"),
    ],
)
def test_every_organization_needs_exactly_one_order(given, says):
    with pytest.raises(UsageError, match=says):
        orders_by_step(given, {"main": (ALPHA, BETA)}, circumstances())


def test_what_is_not_built_yet_is_refused_before_anything_is_signed():
    for changes in ({"repeat": {"steps": ["a"], "times": 2}}, {}):
        steps = {"a": {"image": IMAGE, **({} if changes else {"order": "chain"})}}
        with pytest.raises(WorkflowInvalid, match="not supported by this version"):
            check_workflow(Workflow.parse({"name": "x", "steps": steps, **changes}).definition())
    with pytest.raises(WorkflowInvalid, match="by tags"):
        plan(Workflow.parse({"name": "x", "steps": {"a": {"image": IMAGE, "on": {"tags": ["gpu"]}}}}))


def test_a_workflow_that_nobody_can_read_is_refused():
    with pytest.raises(WorkflowInvalid, match="would be opened by anybody"):
        finals_of(two_steps().definition(), {"finish": []})
    with pytest.raises(WorkflowInvalid, match="no step `nothing`"):
        finals_of(two_steps().definition(), {"nothing": ["output"]})


def test_arguments_that_are_not_json_are_named_before_sealing():
    with pytest.raises(VestalError, match="cannot be sent"):
        orders_by_step({"main": {"Alpha": order("m", {1, 2})}}, {"main": (ALPHA,)}, circumstances())
