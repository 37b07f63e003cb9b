"""Why a run ended as it did: one enumeration, each with a sentence and a remedy. Codes are all that the hub sees."""

from enum import StrEnum
from typing import NamedTuple


class Reason(StrEnum):
    REFUSED_NOW = "refused_now"
    UPSTREAM_UNAVAILABLE = "upstream_unavailable"
    INPUT_INCOMPLETE = "input_incomplete"
    LOST = "lost"
    SUPERSEDED = "superseded"
    IMAGE_MISSING = "image_missing"
    IMAGE_REFUSED = "image_refused"
    INPUT_MISSING = "input_missing"
    DATA_SOURCE_UNKNOWN = "data_source_unknown"
    DATA_SOURCE_MISSING = "data_source_missing"
    POLICY = "policy"
    PLAN_MISMATCH = "plan_mismatch"
    PLAN_EXPIRED = "plan_expired"
    SIGNATURE = "signature"
    IDENTITY = "identity"
    REPLAYED = "replayed"
    DAMAGED = "damaged"
    DELEGATION = "delegation"
    UNENCRYPTED = "unencrypted"
    UNROUTABLE = "unroutable"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    EXIT_CODE = "exit_code"
    OUTPUT_MISSING = "output_missing"
    OUTPUT_TOO_LARGE = "output_too_large"
    OUTPUT_INVALID = "output_invalid"
    UPSTREAM_FAILED = "upstream_failed"
    PARENT_ENDED = "parent_ended"
    ISOLATION = "isolation"
    EXECUTOR = "executor"
    NODE_ERROR = "node_error"
    CANCELLED = "cancelled"


class Explanation(NamedTuple):
    sentence: str
    remedy: str


R = Reason
EXPLANATIONS: dict[Reason, Explanation] = {
    R.REFUSED_NOW: Explanation("The node cannot take this run just now.", "It is tried again by itself."),
    R.UPSTREAM_UNAVAILABLE: Explanation(
        "Something the node needs did not answer.", "It is tried again by itself; then ask the node's administrator."
    ),
    R.INPUT_INCOMPLETE: Explanation("An input has not arrived completely.", "It is tried again by itself."),
    R.LOST: Explanation(
        "The node stopped answering while it held the run, on every attempt.", "Ask the node's administrator."
    ),
    R.SUPERSEDED: Explanation("Another attempt had already ended the run.", "Nothing to do."),
    R.IMAGE_MISSING: Explanation(
        "The image is not at the node and could not be pulled.",
        "Check its name and registry, or load it at the node with `vnode image load`.",
    ),
    R.IMAGE_REFUSED: Explanation(
        "The image found at the node is not the one that the plan names by digest.",
        "Submit again with the digest of the image that the sites hold.",
    ),
    R.INPUT_MISSING: Explanation("An input that the plan promises was not delivered.", "Ask the operator of the hub."),
    R.DATA_SOURCE_UNKNOWN: Explanation(
        "The node has no data source of that label for this collaboration.", "Ask the data holder which labels exist."
    ),
    R.DATA_SOURCE_MISSING: Explanation(
        "The data source is configured, but its data is not there.", "Ask the node's administrator."
    ),
    R.POLICY: Explanation("The data holder's policy refuses this run.", "Ask the data holder; `vnode runs` lists why."),
    R.PLAN_MISMATCH: Explanation(
        "What the hub handed over is not what the initiator signed.", "Ask the operator of the hub."
    ),
    R.PLAN_EXPIRED: Explanation("The plan had expired when it arrived.", "Submit again with a later expiry."),
    R.SIGNATURE: Explanation("A signature is missing or wrong.", "Sign with a key that your organization certified."),
    R.IDENTITY: Explanation(
        "An organization in the plan is not accepted at this node.", "Compare words with the node's administrator."
    ),
    R.REPLAYED: Explanation("This run was accepted here before.", "To run it again, sign a retry."),
    R.DAMAGED: Explanation("A sealed payload was damaged or changed on the way.", "Submit again."),
    R.DELEGATION: Explanation(
        "The algorithm asked for more than the plan lets it delegate.", "Allow it in the plan, or mend the algorithm."
    ),
    R.UNENCRYPTED: Explanation(
        "The payload is not encrypted and this node demands encryption.", "Submit with encryption."
    ),
    R.UNROUTABLE: Explanation(
        "No node of the organization could take the run before the plan's deadline.", "Is its node online?"
    ),
    R.TIMEOUT: Explanation("The algorithm ran longer than the limit.", "Raise the time limit, or ask for less."),
    R.OUT_OF_MEMORY: Explanation("The algorithm used more memory than the limit.", "Raise the memory limit."),
    R.EXIT_CODE: Explanation("The algorithm ended with an error.", "Its log is sealed for you: read it."),
    R.OUTPUT_MISSING: Explanation("The algorithm ended without an output.", "Mend the algorithm."),
    R.OUTPUT_TOO_LARGE: Explanation("The output is larger than the limit.", "Raise the output limit."),
    R.OUTPUT_INVALID: Explanation("The output is not a regular file.", "Mend the algorithm."),
    R.UPSTREAM_FAILED: Explanation("A run whose output this one needs did not complete.", "Look at that run."),
    R.PARENT_ENDED: Explanation("The run that asked for this one has ended.", "Look at that run."),
    R.ISOLATION: Explanation(
        "The node could not prove that its sandboxes are isolated.", "The node's administrator runs `vnode doctor`."
    ),
    R.EXECUTOR: Explanation("The container engine failed.", "The node's administrator runs `vnode doctor`."),
    R.NODE_ERROR: Explanation("The node made a mistake.", "The node's administrator finds it in the node's log."),
    R.CANCELLED: Explanation("It was cancelled.", "Submit again if that was not meant."),
}

# Only these retry by themselves, with back-off and a cap.
TRANSIENT = frozenset({R.LOST, R.REFUSED_NOW, R.UPSTREAM_UNAVAILABLE, R.INPUT_INCOMPLETE})
