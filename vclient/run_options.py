"""What may be said about a job beside its workflow or its method: the keyword arguments of `Client.run`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

from vclient.images import Digests
from vclient.workflow import Where
from vprotocol.workflow.definition import Delegate


class StepOptions(TypedDict, total=False):
    """About the one step of a job that is an image and a method."""

    on: Where  # "all" (the default), "initiator", or names, numbers or fingerprints of organizations
    data: Sequence[str]  # labels of data sources; default: ("default",)
    delegate: bool | Delegate  # whether its algorithm may ask the other members
    timeout: int | str  # seconds, or "10m"
    memory: int | str  # bytes, or "4GiB"
    output: int | str  # bytes, or "50MiB"
    scratch: int | str
    attempts: int  # how often it is tried when a node is lost
    tags: Sequence[str]  # that a node must carry


class JobOptions(TypedDict, total=False):
    """About any job."""

    collaboration: str | int  # title, number or 128-bit name; default: the only one
    project: str  # 128-bit name
    name: str  # of the job, visible to the hub
    valid_for: int | str  # how long nodes may begin with it; default: a day
    images: Digests | Path | str  # name → digest, or the path of a lock file
    outputs: Mapping[str, Sequence[str]]  # step → names of outputs to open; default: of steps that feed no other
    labels: Mapping[str, str]  # visible to the hub
    priority: int  # 0 to 9
    download: bool  # whether final outputs may be downloaded
    private_scratch: bool  # runs of this job share no folder at a node


class RunOptions(StepOptions, JobOptions, total=False):
    """All of them."""


ABOUT_STEP = frozenset(StepOptions.__annotations__)
ABOUT_JOB = frozenset(JobOptions.__annotations__)
