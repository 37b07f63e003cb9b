"""What only a researcher's client can say. Everything else is in `vprotocol.errors`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vprotocol.errors import IdentityChanged, OrganizationUnknown, RunFailed, TrustError, UsageError
from vprotocol.ids import Fingerprint
from vprotocol.reasons import EXPLANATIONS, Reason
from vprotocol.states import RunState


class DigestMissing(UsageError):
    """The image is named without the digest of its configuration."""

    code = "digest_missing"
    hint = (
        "`vnode image list` at a site shows it (as `docker image inspect --format {{.Id}}` does); "
        "write NAME@sha256:DIGEST, or give images={NAME: DIGEST}."
    )


class NewMember(OrganizationUnknown):
    """The collaboration has a member that was not accepted here."""

    code = "new_member"
    hint = "Compare the words with that organization, then accept it: client.accept(...) or `vclient trust accept`."


class MemberNotReady(OrganizationUnknown):
    """A member of the collaboration has not published its identity yet."""

    code = "member_not_ready"
    hint = "Its node publishes it at its first start. Until then name the organizations that take part: on=[...]."


class CollaborationChanged(IdentityChanged):
    """The hub shows another collaboration under a number or title that was known here."""

    code = "collaboration_changed"
    hint = "Ask the other members. If it was only renamed, name it once by its 32 hex digits."


class NoUserKey(TrustError):
    """This folder holds no user key."""

    code = "no_user_key"
    hint = "Make one with `vclient keys new`, then let your organization certify it (`vclient keys request`)."


class NotEncrypted(TrustError):
    """The hub says that this collaboration is not encrypted, and this client has not been told to accept that."""

    code = "not_encrypted"
    hint = "Only the client's own configuration can allow it: `min_suite: 0` for this collaboration."


class Undecodable(RunFailed):
    """The outcome says it is JSON and is not."""

    code = "outcome_undecodable"
    hint = "Save it to a file and look at it: job.save(path)."


@dataclass(frozen=True)
class Failure:
    """A run that did not complete, in words for people."""

    step: str
    path: str
    organization: str
    fingerprint: Fingerprint
    state: RunState
    reason: Reason | None
    signed: bool  # the node itself said so; else it is only the hub's word

    @property
    def sentence(self) -> str:
        if self.reason is not None:
            return EXPLANATIONS[self.reason].sentence
        return f"It was {self.state.value}."

    @property
    def remedy(self) -> str:
        return EXPLANATIONS[self.reason].remedy if self.reason is not None else "Look at the runs that failed."

    def to_json(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "path": self.path,
            "organization": self.organization,
            "fingerprint": self.fingerprint,
            "state": self.state.value,
            "reason": self.reason.value if self.reason else None,
            "sentence": self.sentence,
            "remedy": self.remedy,
            "signed": self.signed,
        }

    def __str__(self) -> str:
        return f"{self.path} at {self.organization} {_VERBS.get(self.state, self.state.value)}: {self.sentence}"


_VERBS = {RunState.FAILED: "failed", RunState.REFUSED: "was refused", RunState.CANCELLED: "was cancelled"}


class JobFailed(RunFailed):
    """The job failed.

    `failures` says where and why; `partial` holds the results that are there nevertheless, by organization.
    """

    def __init__(self, failures: Sequence[Failure], partial: Mapping[str, Any] | None = None) -> None:
        first = telling(failures)
        super().__init__(str(first), hint=first.remedy, fields={"failures": [one.to_json() for one in failures]})
        self.failures = tuple(failures)
        self.partial = dict(partial or {})
        self.organization, self.reason, self.sentence, self.remedy = (
            first.organization,
            first.reason,
            first.sentence,
            first.remedy,
        )


def telling(failures: Sequence[Failure]) -> Failure:
    """The failure that explains the others: one that began, not one that followed."""
    order = (RunState.FAILED, RunState.REFUSED, RunState.CANCELLED, RunState.SKIPPED)
    followed = (Reason.UPSTREAM_FAILED, Reason.PARENT_ENDED, Reason.CANCELLED)
    return min(failures, key=lambda one: (one.reason in followed, order.index(one.state)))
