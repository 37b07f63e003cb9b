"""What can go wrong, named once.

Every error has a stable `code` that travels over the wire: the hub turns an error into a response, the client turns
the response back into the same class. The first line of a class's docstring is its message when the raiser gives none;
`hint` says what to do. An error that is about runs at a node also has a reason code (`reasons.py`).
"""

from collections.abc import Mapping
from typing import Any, ClassVar

Fields = Mapping[str, Any]


class VestalError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "error"
    hint: str | None = None

    def __init__(self, message: str | None = None, *, hint: str | None = None, fields: Fields | None = None):
        super().__init__(message or (self.__doc__ or self.code).strip().splitlines()[0])
        self.hint = hint if hint is not None else type(self).hint
        self.fields = dict(fields or {})
        self.request_id: str | None = None

    @property
    def message(self) -> str:
        return str(self)

    def to_wire(self, request_id: str | None = None) -> dict[str, Any]:
        return {
            "error": {
                "code": self.code,
                "message": str(self),
                "hint": self.hint,
                "fields": self.fields,
                "request_id": request_id or self.request_id,
            }
        }


# --- what anybody may meet -------------------------------------------------------------------------------------------
class BadRequest(VestalError):
    """The request does not have the agreed shape."""

    code = "bad_request"
    hint = "Compare the request with the API description; `fields` names what is wrong."


class BadMessage(BadRequest):
    """A message does not have the agreed shape."""

    code = "bad_message"


class TooLarge(BadRequest):
    """This is larger than the limit."""

    code = "too_large"
    hint = "Send large content as a payload in segments."


class UnsupportedMediaType(BadRequest):
    """The body is not of the kind that this resource reads."""

    code = "unsupported_media_type"
    hint = "Send JSON with `Content-Type: application/json`, unless the API description says otherwise."


class NotAuthenticated(VestalError):
    """Nobody is logged in, or the token has expired."""

    code = "not_authenticated"
    hint = "Log in again."


class LoginFailed(NotAuthenticated):
    """User name or password (or API key) is wrong."""

    code = "login_failed"
    hint = "Check the user name and the password; after several failures wait as the answer says."


class Forbidden(VestalError):
    """You may not do this."""

    code = "forbidden"
    hint = "Ask an administrator for the permission named in `fields`."


class NotFound(VestalError):
    """No such thing, or you may not see it."""

    code = "not_found"


class MethodNotAllowed(VestalError):
    """This resource does not take this verb."""

    code = "method_not_allowed"


class Conflict(VestalError):
    """Somebody else changed it first."""

    code = "conflict"
    hint = "Read it again and decide anew."


class AlreadyExists(Conflict):
    """A thing of this name exists already."""

    code = "already_exists"
    hint = "Choose another name, or use the one that exists."


class IdempotencyMismatch(Conflict):
    """This idempotency key was used for a different request."""

    code = "idempotency_mismatch"
    hint = "Use a new Idempotency-Key for a new request."


class PreconditionFailed(Conflict):
    """The thing has changed since you read it."""

    code = "precondition_failed"
    hint = "Read it again; send its new ETag as If-Match."


class IllegalTransition(Conflict):
    """A run in this state does not accept this event."""

    code = "illegal_transition"


class Superseded(Conflict):
    """The run has ended already; this result is acknowledged and not used."""

    code = "superseded"
    hint = "Nothing to do: drop the result."


class LeaseInvalid(Conflict):
    """The lease token does not belong to an attempt of this run."""

    code = "lease_invalid"
    hint = "Forget this run; the hub hands it out again if it is still wanted."


class RateLimited(VestalError):
    """Too many requests."""

    code = "rate_limited"
    hint = "Wait as long as Retry-After says."


class Unavailable(VestalError):
    """The hub cannot do this just now."""

    code = "unavailable"
    hint = "Repeat in a moment."


class InternalError(VestalError):
    """The hub made a mistake."""

    code = "internal_error"
    hint = "Report the request id to the operator of the hub."


class Unreachable(VestalError):
    """The hub did not answer."""

    code = "unreachable"
    hint = "Check the hub's address, the network and the proxy settings."


class TlsFailed(Unreachable):
    """The hub's certificate could not be verified."""

    code = "tls_failed"
    hint = "Check the hub's address; behind an inspecting proxy name the site's own CA file in the configuration."


class DeadlineExceeded(VestalError):
    """It took longer than allowed."""

    code = "deadline_exceeded"
    hint = "Allow more time, or look at what is holding it up."


class VersionMismatch(VestalError):
    """The other side speaks another version of the protocol."""

    code = "version_mismatch"
    hint = "Upgrade the older side; neighbouring minor versions work together."


# --- configuration and command line ----------------------------------------------------------------------------------
class ConfigInvalid(VestalError):
    """The configuration is not valid."""

    code = "config_invalid"
    hint = "Mend the places named; nothing was started."


class UsageError(VestalError):
    """The command was used in a way it does not know."""

    code = "usage"
    hint = "See --help."


# --- keys, identities, signatures ------------------------------------------------------------------------------------
class TrustError(VestalError):
    """Something signed or sealed cannot be trusted."""

    code = "trust"


class KeyFileInvalid(TrustError):
    """A key file cannot be used."""

    code = "key_file_invalid"
    hint = "A key file is one small text file that only its owner may read (chmod 600)."


class KeyInvalid(TrustError):
    """This is not a key of the expected kind."""

    code = "key_invalid"


class SignatureInvalid(TrustError):
    """The signature does not belong to these bytes and this key."""

    code = "signature_invalid"
    hint = "The document was changed or signed by somebody else. Do not use it."


class DocumentInvalid(TrustError):
    """A signed document is malformed."""

    code = "document_invalid"


class KeyLogInvalid(TrustError):
    """An organization's key log is broken."""

    code = "key_log_invalid"
    hint = "Ask the organization, not the hub, what happened."


class KeyLogRolledBack(KeyLogInvalid):
    """The hub shows an older key log than was seen before."""

    code = "key_log_rolled_back"


class IdentityChanged(TrustError):
    """The identity differs from the one that was accepted, without a signed change."""

    code = "identity_changed"
    hint = "Compare the words with the organization over another channel before doing anything else."


class OrganizationUnknown(TrustError):
    """This organization has not been accepted here."""

    code = "organization_unknown"
    hint = "Compare its words, then accept it with `trust verify`."


class KeyUnknown(TrustError):
    """The key is not certified in the organization's key log."""

    code = "key_unknown"
    hint = "The organization certifies it with `vnode keys certify`."


class KeyRevoked(KeyUnknown):
    """The key was revoked or has expired."""

    code = "key_revoked"


class HeadTooOld(TrustError):
    """The newest head of the key log is older than allowed."""

    code = "head_too_old"
    hint = "A node of that organization re-signs it daily; is it offline, or does the hub hold it back?"


# --- envelopes -------------------------------------------------------------------------------------------------------
class EnvelopeError(TrustError):
    """A sealed payload cannot be used."""

    code = "envelope"


class Damaged(EnvelopeError):
    """The sealed payload is damaged or was changed."""

    code = "damaged"
    hint = "Fetch it again; if it stays so, whoever stores it has changed it."


class NotForThisKey(EnvelopeError):
    """The payload is not sealed for this key."""

    code = "not_for_this_key"


class WrongContext(EnvelopeError):
    """The payload belongs to another place in the plan."""

    code = "wrong_context"
    hint = "Somebody has put one payload in another's place. Do not use it."


class SuiteRefused(EnvelopeError):
    """The payload's suite is weaker than this reader accepts."""

    code = "suite_refused"
    hint = "Only the reader's own configuration can allow it (`min_suite`, `encrypted_only`)."


# --- plans, workflows, receipts --------------------------------------------------------------------------------------
class PlanInvalid(DocumentInvalid):
    """The plan is malformed or contradicts itself."""

    code = "plan_invalid"


class PlanTooLarge(PlanInvalid):
    """The plan is larger than 256 KiB."""

    code = "plan_too_large"


class PlanExpired(TrustError):
    """The plan has expired, or is not valid yet."""

    code = "plan_expired"
    hint = "Check both clocks; submit again with a later expiry."


class PlanMismatch(TrustError):
    """What the hub hands over is not what the plan says."""

    code = "plan_mismatch"
    hint = "Ask the operator of the hub; the run is not executed."


class DelegationExceeded(TrustError):
    """The algorithm asks for more than the plan lets it delegate."""

    code = "delegation_exceeded"
    hint = "The initiator names images, organizations, number and depth of subtasks in the plan."


class Replayed(TrustError):
    """This run was accepted here before."""

    code = "replayed"
    hint = "Running it again needs a signed supplement of the initiator."


class WorkflowInvalid(BadRequest):
    """The workflow contradicts itself."""

    code = "workflow_invalid"


class ReceiptInvalid(TrustError):
    """The receipt does not fit the run it is for."""

    code = "receipt_invalid"


class PolicyRefused(TrustError):
    """The data holder's policy refuses this run."""

    code = "policy_refused"
    hint = "Ask the data holder; `fields` lists every objection."


class RunFailed(VestalError):
    """A run of the job failed."""

    code = "run_failed"


class JobCancelled(VestalError):
    """The job was cancelled."""

    code = "job_cancelled"


def error_from_wire(status: int, body: Any) -> VestalError:
    """The error that the other side raised; an `InternalError` when the answer is not in the agreed shape."""
    inner = body.get("error") if isinstance(body, dict) else None
    if not isinstance(inner, dict) or not isinstance(inner.get("code"), str):
        return InternalError(f"The hub answered {status} without a readable reason.")
    cls = by_code().get(inner["code"], VestalError)
    error = cls.__new__(cls)
    fields = inner.get("fields")
    VestalError.__init__(
        error,
        str(inner.get("message") or "") or None,
        hint=inner.get("hint"),
        fields=fields if isinstance(fields, dict) else None,
    )
    request_id = inner.get("request_id")
    error.request_id = request_id if isinstance(request_id, str) else None
    return error


def by_code() -> dict[str, type[VestalError]]:
    """Every error class by its code, those of programs that were imported included."""
    found: dict[str, type[VestalError]] = {}

    def index(cls: type[VestalError]) -> None:
        found.setdefault(cls.code, cls)
        for sub in cls.__subclasses__():
            index(sub)

    index(VestalError)
    return found
