"""Every objection, one table: a plan that is welcome, and what makes it unwelcome."""

from typing import Any

import pytest

from tests.unit.vnode.question import SOURCE, changed_plan, question, settings, step_changed
from tests.unit.vprotocol.world import IMAGE, A, B
from vnode.config import NodeSettings
from vnode.policy import Question, full_objections, granted, outer_objections
from vprotocol.envelope import Suite
from vprotocol.reasons import Reason
from vruntime.trust_store import TrustLevel

MEAN = "registry.example.org/mean:1"
STRANGER = TrustLevel.UNVERIFIED


def policy(**changes: Any) -> NodeSettings:
    return settings(policy=changes)


def said(found: Any) -> list[tuple[Reason, str]]:
    return [(one.reason, one.sentence) for one in found]


def test_a_welcome_plan_meets_no_objection() -> None:
    assert said(full_objections(settings(), question(), "partial")) == []


# Settings, question → the one objection: its reason and words of its sentence.
REFUSED: dict[str, tuple[NodeSettings, Question, Reason, str]] = {
    "another organization's people": (policy(organizations=[B.fingerprint]), question(), Reason.POLICY, "people"),
    "nobody's people": (policy(organizations=[]), question(), Reason.POLICY, "people"),
    "another person": (policy(users=[B.user.id]), question(), Reason.POLICY, f"{A.user.id} may not ask"),
    "words not compared": (settings(), question(B=STRANGER), Reason.IDENTITY, "words of Hospital B"),
    "an order in the clear": (settings(), question(suite=Suite.OPEN), Reason.UNENCRYPTED, "order"),
    "an order in a weaker suite": (settings(), question(suite=Suite.X25519), Reason.UNENCRYPTED, "suite 1"),
    "outputs in the clear": (settings(), question(changed_plan(suite=0)), Reason.UNENCRYPTED, "plan asks"),
    "outputs in a weaker suite": (settings(), question(changed_plan(suite=1)), Reason.UNENCRYPTED, "plan asks"),
    "no image is allowed": (policy(images=[]), question(), Reason.POLICY, MEAN),
    "another image": (policy(images=["registry.example.org/median:*"]), question(), Reason.POLICY, MEAN),
    "the image's name with other content": (
        policy(images=[f"{MEAN}@sha256:{'99' * 32}"]), question(), Reason.POLICY, MEAN),
    "data that is not here": (
        settings(data_sources=[]), question(), Reason.DATA_SOURCE_UNKNOWN, "`default` is granted"),
    "data of another collaboration": (
        settings(data_sources=[{**SOURCE, "collaborations": ["0c" * 16]}]), question(),
        Reason.DATA_SOURCE_UNKNOWN, "`default` is granted"),
    "data of a project": (
        settings(data_sources=[{**SOURCE, "collaborations": [], "projects": ["0d" * 16]}]), question(),
        Reason.DATA_SOURCE_UNKNOWN, "`default` is granted"),
    "too long": (policy(max={"time": 3599}), question(), Reason.POLICY, "policy.max.time"),
    "too much memory": (policy(max={"memory": 2**30}), question(), Reason.POLICY, "policy.max.memory"),
    "too much processor": (policy(max={"cpus": 0.5}), question(), Reason.POLICY, "1000 asked, 500 allowed"),
    "too much output": (policy(max={"output": 2**20}), question(), Reason.POLICY, "policy.max.output"),
    "too much scratch": (policy(max={"scratch": 2**20}), question(), Reason.POLICY, "policy.max.scratch"),
    "an output for people": (
        policy(downloads="none"), question(step="finish"), Reason.POLICY, "policy.downloads"),
}  # fmt: skip


@pytest.mark.parametrize("case", list(REFUSED))
def test_exactly_this_is_objected(case: str) -> None:
    node, asked, reason, words = REFUSED[case]
    found = outer_objections(node, asked)
    assert [one.reason for one in found] == [reason], said(found)
    assert words in found[0].sentence


ALLOWED: dict[str, tuple[NodeSettings, Question]] = {
    "the issuer's organization is named": (policy(organizations=[A.fingerprint]), question()),
    "the issuer's key is named": (policy(users=[A.user.id]), question()),
    "words not compared where first contact is enough": (policy(trust="first-contact"), question(B=STRANGER)),
    "the image by its content": (policy(images=["no", f"registry.example.org/*@{IMAGE}"]), question()),
    "a weaker suite where the file says so": (
        settings(min_suite=1), question(changed_plan(suite=1), suite=Suite.X25519)),
    "in the clear where the file says so": (
        policy(encrypted_only=False), question(changed_plan(suite=0), suite=Suite.OPEN)),
    "limits that are just reached": (policy(max={"time": 3600, "memory": 2 * 2**30, "cpus": 1.0}), question()),
    "an output that only flows onward": (policy(downloads="none"), question(step="part")),
    "a final output that nobody downloads": (
        policy(downloads="none"), question(changed_plan(download=False), step="finish")),
    "no data": (settings(data_sources=[]), question(step_changed("part", data=[], delegation=None))),
    "data granted to the collaboration": (
        settings(data_sources=[{**SOURCE, "collaborations": ["0b" * 16]}]), question()),
    "data granted to the project": (
        settings(data_sources=[{**SOURCE, "collaborations": [], "projects": ["0d" * 16]}]),
        question(changed_plan(project="0d" * 16))),
}  # fmt: skip


@pytest.mark.parametrize("case", list(ALLOWED))
def test_nothing_is_objected(case: str) -> None:
    assert said(outer_objections(*ALLOWED[case])) == []


def test_all_objections_are_told_at_once() -> None:
    node = policy(organizations=[], users=[], images=[], max={"time": 1, "memory": 1})
    found = outer_objections(node, question(B=STRANGER, C=STRANGER, suite=Suite.OPEN))
    reasons = [one.reason for one in found]
    assert reasons.count(Reason.POLICY) == 5
    assert reasons.count(Reason.IDENTITY) == 2
    assert reasons.count(Reason.UNENCRYPTED) == 1


def test_unknown_and_ungranted_data_sound_the_same() -> None:
    elsewhere = settings(data_sources=[{**SOURCE, "collaborations": ["0c" * 16]}])
    assert said(outer_objections(elsewhere, question())) == said(
        outer_objections(settings(data_sources=[]), question())
    )


def test_without_isolation_only_open_data_is_used() -> None:
    open_ = settings(executor="process", data_sources=[{**SOURCE, "open": True}])
    assert said(outer_objections(open_, question())) == []
    # The configuration refuses such a file; should one get past it, policy says no again.
    closed = open_.model_copy(update={"data_sources": settings().data_sources})
    (only,) = outer_objections(closed, question())
    assert (only.reason, "nothing isolates here" in only.sentence) == (Reason.POLICY, True)


@pytest.mark.parametrize(
    ("functions", "method", "welcome"),
    [
        ({}, "anything", True),
        ({MEAN: ["partial"]}, "partial", True),
        ({MEAN: ["partial"]}, "steal", False),
        ({MEAN: []}, "partial", False),
        ({"registry.example.org/median:*": ["partial"]}, "anything", True),
        ({"registry.example.org/*": ["partial"], MEAN: ["steal"]}, "steal", False),
    ],
)
def test_functions_are_judged_by_the_first_pattern(functions: Any, method: str, welcome: bool) -> None:
    found = full_objections(policy(functions=functions), question(), method)
    assert [one.reason for one in found] == ([] if welcome else [Reason.POLICY])
    assert all(method not in one.sentence for one in found)  # a method is sealed: it is in no sentence


def test_a_project_is_not_a_collaboration_of_the_same_name() -> None:
    source = settings(data_sources=[{**SOURCE, "collaborations": ["0d" * 16]}]).data_sources[0]
    assert not granted(source, changed_plan(project="0d" * 16))
