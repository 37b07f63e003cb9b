"""What can go wrong between a node and whatever runs its algorithms. `reason` is what the node reports about it."""

from typing import ClassVar

from vprotocol.errors import VestalError
from vprotocol.reasons import Reason


class ExecutorError(VestalError):
    """The container engine could not do what was asked."""

    code = "executor_error"
    hint = "Run `vnode doctor`; the node's log holds the engine's own words."
    reason: ClassVar[Reason] = Reason.EXECUTOR


class EngineUnreachable(ExecutorError):
    """The container engine does not answer."""

    code = "engine_unreachable"
    hint = "Start the engine, and let the node's user use its socket (DOCKER_HOST names another one)."


class EngineBusy(ExecutorError):
    """The container engine did not finish in time."""

    code = "engine_busy"
    hint = "The run is tried again; lower `max_runs` if this happens often."
    reason = Reason.REFUSED_NOW


class IsolationBroken(ExecutorError):
    """A sandbox can reach something that it must not reach; no algorithm is run."""

    code = "isolation_broken"
    hint = "Look at the engine's version and the host's firewall, then run `vnode doctor` again."
    reason = Reason.ISOLATION

    def __init__(self, answered: tuple[str, ...] = ()):
        super().__init__(
            f"From inside a sandbox these answered: {', '.join(answered)}." if answered else None,
            fields={"answered": list(answered)},
        )
        self.answered = answered


class ProbeFailed(ExecutorError):
    """The isolation could not be tested, so no algorithm is run."""

    code = "probe_failed"
    hint = "The probe needs an image with Python (`relay_image`); the node's log says where it stopped."
    reason = Reason.ISOLATION


class NetworksExhausted(ExecutorError):
    """No private network is left for another sandbox."""

    code = "networks_exhausted"
    hint = "Give the node a larger or another `network_pool`, or remove leftovers with `vnode clean`."
    reason = Reason.REFUSED_NOW


class ImageMissing(ExecutorError):
    """The image is not here and could not be pulled."""

    code = "image_missing"
    hint = "Check its name and the registry, or load it with `vnode image load`."
    reason = Reason.IMAGE_MISSING


class ImageRefused(ExecutorError):
    """The image found under this name is not the one that the plan names by digest."""

    code = "image_refused"
    hint = "Submit again with the digest of the image that the sites hold."
    reason = Reason.IMAGE_REFUSED


class AlreadyStarted(ExecutorError):
    """A sandbox of this name exists already."""

    code = "already_started"
    hint = "Find it by its labels and go on with it, or remove it first."


class UnknownHandle(ExecutorError):
    """There is no such sandbox any more."""

    code = "unknown_handle"
    hint = "It was removed; report the run as lost."
    reason = Reason.LOST


class StartFailed(ExecutorError):
    """The image could not be started."""

    code = "start_failed"
    hint = "Does the image have the command that it is asked to run?"


class SpecRefused(ExecutorError):
    """The sandbox asks for something that this executor does not do."""

    code = "spec_refused"
    hint = "The message names what; the docker executor does all of it."


class SourceMissing(ExecutorError):
    """A data source is not where the configuration says it is."""

    code = "source_missing"
    hint = "Check `path` of the data source on the host, then `vnode restart`."
    reason = Reason.DATA_SOURCE_MISSING


class SourceNotOpen(SpecRefused):
    """Without isolation only data that the data holder marked `open: true` may be used."""

    code = "source_not_open"
    hint = "Use the docker executor; or, for public or synthetic data, mark the source `open: true`."
    reason = Reason.POLICY


class OutputMissing(ExecutorError):
    """The algorithm ended without this output."""

    code = "output_missing"
    hint = "Mend the algorithm: it must write OUTPUT_FILE."
    reason = Reason.OUTPUT_MISSING


class OutputInvalid(OutputMissing):
    """The output is not a regular file."""

    code = "output_invalid"
    hint = "Mend the algorithm: links, folders and devices are not taken out of a sandbox."
    reason = Reason.OUTPUT_INVALID


class OutputTooLarge(ExecutorError):
    """The output is larger than the limit."""

    code = "output_too_large"
    hint = "Raise the output limit of the plan and of the node's policy, or return less."
    reason = Reason.OUTPUT_TOO_LARGE
