"""Whether a run may happen here. Pure: the data holder's file and the signed plan in, every objection out.

`outer_objections` judges before the order is opened, `full_objections` with the method known; both list all they find.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from vnode.config import ANY, DataSource, NodeSettings, first_match, pattern_matches
from vprotocol.envelope import Suite
from vprotocol.plan import ExpectedRun, Limits, Plan, PlanImage
from vprotocol.reasons import Reason
from vprotocol.words import spoken
from vruntime.trust_store import TrustLevel


@dataclass(frozen=True)
class Objection:
    """Why not. `sentence` stays at the node and in its log; only `reason` leaves it in the clear."""

    reason: Reason
    sentence: str


@dataclass(frozen=True)
class Question:
    """What is asked of this node, as far as it is signed."""

    plan: Plan
    run: ExpectedRun
    suite: Suite  # of the sealed order
    trust: Mapping[str, TrustLevel]  # of every organization in the plan, by fingerprint


def outer_objections(settings: NodeSettings, question: Question) -> tuple[Objection, ...]:
    """Who, which image, which data, how much: everything that can be judged without the order."""
    return (
        *_about_people(settings, question),
        *_about_encryption(settings, question),
        *_about_image(settings, question.run.image),
        *_about_data(settings, question),
        *_about_limits(settings, question.run.limits),
        *_about_outputs(settings, question),
    )


def full_objections(settings: NodeSettings, question: Question, method: str) -> tuple[Objection, ...]:
    """Those of `outer_objections`, and what is against the method."""
    return (*outer_objections(settings, question), *_about_method(settings, question.run.image, method))


def granted(source: DataSource, plan: Plan) -> bool:
    """Whether the data holder lets this plan's collaboration or project use the source."""
    if source.collaborations == ANY or source.projects == ANY:
        return True
    return plan.collaboration in source.collaborations or (plan.project is not None and plan.project in source.projects)


def _about_people(settings: NodeSettings, question: Question) -> tuple[Objection, ...]:
    policy, issuer = settings.policy, question.plan.issuer
    found = []
    if policy.organizations is not None and issuer.organization not in policy.organizations:
        found.append(Objection(Reason.POLICY, "people of this organization may not ask (policy.organizations)"))
    if policy.users is not None and issuer.key not in policy.users:
        found.append(Objection(Reason.POLICY, f"the user key {issuer.key} may not ask (policy.users)"))
    if policy.trust is TrustLevel.VERIFIED:
        for fingerprint, name in _everybody(question.plan).items():
            if question.trust.get(fingerprint) is not TrustLevel.VERIFIED:
                found.append(Objection(Reason.IDENTITY, f"the words of {name} were not compared (policy.trust)"))
    return tuple(found)


def _everybody(plan: Plan) -> dict[str, str]:
    """Fingerprint and name of whoever takes part, signs or reads."""
    names = {organization.fingerprint: organization.name for organization in plan.organizations}
    for party in (plan.issuer, *plan.readers):
        names.setdefault(party.organization, f"the reader {spoken(party.organization)}")
    return names


def _about_encryption(settings: NodeSettings, question: Question) -> tuple[Objection, ...]:
    demanded = Suite(settings.min_suite) if settings.policy.encrypted_only else Suite.OPEN
    found = []
    if question.suite < demanded:
        found.append(Objection(Reason.UNENCRYPTED, f"the order is sealed with suite {question.suite.value}"))
    if question.plan.suite < demanded:
        found.append(Objection(Reason.UNENCRYPTED, f"the plan asks for outputs in suite {question.plan.suite}"))
    return tuple(found)


def _about_image(settings: NodeSettings, image: PlanImage) -> tuple[Objection, ...]:
    allowed = settings.policy.images
    if allowed is None or any(pattern_matches(pattern, image.name, image.config_digest) for pattern in allowed):
        return ()
    return (Objection(Reason.POLICY, f"the image {image.name} is not allowed (policy.images)"),)


def _about_data(settings: NodeSettings, question: Question) -> tuple[Objection, ...]:
    found = []
    for label in question.run.data:
        source = settings.source(label)
        if source is None or not granted(source, question.plan):  # the same sentence: no asking what exists
            found.append(
                Objection(Reason.DATA_SOURCE_UNKNOWN, f"no data source `{label}` is granted to this collaboration")
            )
        elif settings.executor == "process" and not source.open:
            found.append(Objection(Reason.POLICY, f"the data source `{label}` is not open and nothing isolates here"))
    return tuple(found)


def _about_limits(settings: NodeSettings, limits: Limits) -> tuple[Objection, ...]:
    most = settings.policy.max
    asked = {
        "time": (limits.time_s, most.time),
        "memory": (limits.memory_bytes, most.memory),
        "cpus": (limits.millicpus, int(most.cpus * 1000)),
        "output": (limits.output_bytes, most.output),
        "scratch": (limits.scratch_bytes, most.scratch),
    }
    return tuple(
        Objection(Reason.POLICY, f"{name}: {wanted} asked, {most_allowed} allowed (policy.max.{name})")
        for name, (wanted, most_allowed) in asked.items()
        if wanted > most_allowed
    )


def _about_outputs(settings: NodeSettings, question: Question) -> tuple[Objection, ...]:
    final = any(output.parties for output in question.run.outputs)
    if settings.policy.downloads == "none" and question.plan.download and final:
        return (Objection(Reason.POLICY, "outputs may not be downloaded from here (policy.downloads)"),)
    return ()


def _about_method(settings: NodeSettings, image: PlanImage, method: str) -> tuple[Objection, ...]:
    allowed = first_match(settings.policy.functions, image.name, image.config_digest)
    if allowed is None or method in allowed:
        return ()
    return (Objection(Reason.POLICY, "this function of the image is not allowed (policy.functions)"),)
