"""What exactly to start: an accepted run becomes a `SandboxSpec`. Pure; `vnode plan` prints what this file decides."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vnode.config import DataSource, NodeSettings, first_match
from vnode.executors.base import InputFile, Layout, Profile, ResolvedImage, SandboxLimits, SandboxSpec, SourceMount
from vprotocol.plan import ExpectedRun, Plan

LABEL_NODE, LABEL_RUN, LABEL_JOB = "vestal.node", "vestal.run", "vestal.job"


@dataclass(frozen=True)
class OpenedInput:
    """One upstream output, opened into a file of the node's workspace."""

    name: str
    many: bool
    organization_id: int
    content: bytes | Path


@dataclass(frozen=True)
class AcceptedRun:
    """A run that was verified, judged, opened and written into the journal."""

    name: str  # of the sandbox
    key: str  # of the journal
    job: str
    plan: Plan
    run: ExpectedRun
    order: bytes  # what INPUT_FILE holds
    inputs: Sequence[OpenedInput]
    token: bytes  # what TOKEN_FILE holds


def sandbox_spec(settings: NodeSettings, accepted: AcceptedRun, image: ResolvedImage, layout: Layout) -> SandboxSpec:
    """The one sandbox of this run. Everything in it follows from the data holder's file and the signed plan."""
    sources = [source for label in accepted.run.data if (source := settings.source(label))]
    limits = accepted.run.limits
    plain = environment(settings, accepted.run, sources, layout)
    encoding = (
        first_match(settings.env_encoding, accepted.run.image.name, accepted.run.image.config_digest)
        or image.env_encoding
        or "base32"
    )
    return SandboxSpec(
        name=accepted.name,
        image=image.id,
        command=None,
        environment=plain if encoding == "plain" else {name: encoded(value) for name, value in plain.items()},
        files=_files(accepted, layout),
        sources=tuple(_mount(source, layout) for source in sources),
        limits=SandboxLimits(
            memory_bytes=limits.memory_bytes,
            cpus=limits.millicpus / 1000,
            pids=settings.policy.max.pids,
            time_s=float(limits.time_s),
            output_bytes=limits.output_bytes,
            scratch_bytes=limits.scratch_bytes,
        ),
        profile=profile(settings, accepted.run),
        labels={LABEL_NODE: settings.name, LABEL_RUN: accepted.key, LABEL_JOB: accepted.job},
        shared_scratch=accepted.job if accepted.plan.scratch == "shared" else None,
    )


def profile(settings: NodeSettings, run: ExpectedRun) -> Profile:
    """`strict`, unless the data holder relaxes it for this image."""
    chosen: Profile | None = first_match(settings.policy.profiles, run.image.name, run.image.config_digest)
    return chosen or "strict"


def environment(
    settings: NodeSettings, run: ExpectedRun, sources: Sequence[DataSource], layout: Layout
) -> dict[str, str]:
    """The variables of the container contract, not yet encoded. Only requested sources are passed."""
    labels = ",".join(source.label for source in sources)
    variables = {
        **settings.algorithm_env,
        "INPUT_FILE": layout.input_file,
        "OUTPUT_FILE": layout.output_file,
        "TOKEN_FILE": layout.token_file,
        "TEMPORARY_FOLDER": layout.temporary_folder,
        "INPUTS_FOLDER": layout.inputs_folder,
        "OUTPUTS_FOLDER": layout.outputs_folder,
        "HOST": f"http://{layout.proxy_host}",
        "PORT": str(layout.proxy_port),
        "API_PATH": "",
        "USER_REQUESTED_DATABASE_LABELS": labels,
        "DB_LABELS": labels,
    }
    for source in sources:
        variables |= _source_variables(source, layout)
    return variables


def encoded(value: str) -> str:
    """Base32 of the UTF-8 text, `=` written `!` (the container contract)."""
    return base64.b32encode(value.encode()).decode("ascii").replace("=", "!")


def input_index(inputs: Sequence[OpenedInput]) -> dict[str, dict[str, object]]:
    """What stands in `index.json` of the inputs folder; files are numbered inside a folder of the input's name."""
    index: dict[str, dict[str, object]] = {}
    for name in dict.fromkeys(item.name for item in inputs):
        group = [item for item in inputs if item.name == name]
        index[name] = {
            "many": group[0].many,
            "items": [
                {"organization_id": item.organization_id, "file": f"{name}/{number}"}
                for number, item in enumerate(group)
            ],
        }
    return index


def _files(accepted: AcceptedRun, layout: Layout) -> tuple[InputFile, ...]:
    files = [InputFile(layout.input_file, accepted.order), InputFile(layout.token_file, accepted.token)]
    index = json.dumps(input_index(accepted.inputs)).encode()
    files.append(InputFile(f"{layout.inputs_folder}/index.json", index))
    numbers: dict[str, int] = {}
    for item in accepted.inputs:
        number = numbers.get(item.name, 0)
        numbers[item.name] = number + 1
        files.append(InputFile(f"{layout.inputs_folder}/{item.name}/{number}", item.content))
    return tuple(files)


def _mount(source: DataSource, layout: Layout) -> SourceMount:
    host_path = str(source.path)
    return SourceMount(source.label, host_path, layout.source(source.label, host_path), source.open)


def _source_variables(source: DataSource, layout: Layout) -> Mapping[str, str]:
    prefix = source.label.upper()
    where = layout.source(source.label, str(source.path))
    found = {
        f"{prefix}_DATABASE_URI": f"sqlite:///{where}" if source.type == "sql" else where,
        f"{prefix}_DATABASE_TYPE": source.type,
    }
    found |= {f"{prefix}_DB_PARAM_{name.upper()}": value for name, value in source.parameters.items()}
    if source.query is not None:
        found[f"{prefix}_QUERY"] = source.query
    if source.sheet_name is not None:
        found[f"{prefix}_SHEET_NAME"] = source.sheet_name
    return found
