"""What exactly would be started: every field of a sandbox follows from the file and the plan."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.vnode.question import SOURCE, settings, step_changed
from tests.unit.vprotocol.world import A, plan
from vnode.compile import AcceptedRun, OpenedInput, encoded, environment, input_index, sandbox_spec
from vnode.config import NodeSettings
from vnode.executors.base import Layout, ResolvedImage
from vprotocol.paths import TaskPath
from vprotocol.plan import Limits, Plan, expected_root_run

LAYOUT = Layout(
    input_file="/in/input",
    output_file="/out/output",
    token_file="/in/token",
    temporary_folder="/tmp",
    inputs_folder="/in/files",
    outputs_folder="/out/files",
    proxy_host="proxyserver",
    proxy_port=7654,
    sources_folder="/mnt/vestal",
)
IMAGE = ResolvedImage(id="sha256:11", config_digest="sha256:11")


def accepted(of: Plan | None = None, *, step: str = "part", inputs: tuple[OpenedInput, ...] = ()) -> AcceptedRun:
    of = of or plan().plan
    run = expected_root_run(of, TaskPath(step), A.fingerprint)
    return AcceptedRun("sandbox-1", "key of the run", of.job, of, run, b'{"method": "partial"}', inputs, b"a.b.c")


def variables(node: NodeSettings, of: Plan | None = None) -> dict[str, str]:
    found = accepted(of)
    sources = [source for label in found.run.data if (source := node.source(label))]
    return environment(node, found.run, sources, LAYOUT)


def spec(node: NodeSettings, image: ResolvedImage = IMAGE, **changes: Any) -> Any:
    return sandbox_spec(node, accepted(**changes), image, LAYOUT)


def test_the_contract_variables_say_where_things_are() -> None:
    found = variables(settings())
    assert found == {
        "INPUT_FILE": "/in/input",
        "OUTPUT_FILE": "/out/output",
        "TOKEN_FILE": "/in/token",
        "TEMPORARY_FOLDER": "/tmp",
        "INPUTS_FOLDER": "/in/files",
        "OUTPUTS_FOLDER": "/out/files",
        "HOST": "http://proxyserver",
        "PORT": "7654",
        "API_PATH": "",
        "USER_REQUESTED_DATABASE_LABELS": "default",
        "DB_LABELS": "default",
        "DEFAULT_DATABASE_URI": "/mnt/vestal/default/patients.csv",
        "DEFAULT_DATABASE_TYPE": "csv",
    }


def test_a_source_that_was_not_asked_for_is_not_passed() -> None:
    other = {**SOURCE, "label": "secret", "path": "/data/secret.csv"}
    node = settings(data_sources=[SOURCE, other])
    assert not any("SECRET" in name or "secret" in value for name, value in variables(node).items())
    assert [mount.label for mount in spec(node).sources] == ["default"]


def test_labels_stand_in_the_order_of_the_plan() -> None:
    node = settings(data_sources=[SOURCE, {**SOURCE, "label": "scans", "path": "/data/scans", "type": "folder"}])
    of = step_changed("part", data=["scans", "default"], delegation=None)
    assert variables(node, of)["USER_REQUESTED_DATABASE_LABELS"] == "scans,default"
    assert variables(node, of)["SCANS_DATABASE_URI"] == "/mnt/vestal/scans/scans"


def test_a_source_brings_its_query_and_parameters() -> None:
    source = {**SOURCE, "type": "sql", "query": "select 1", "parameters": {"schema": "public"}, "sheet_name": "S"}
    found = variables(settings(data_sources=[source]))
    assert found["DEFAULT_DATABASE_URI"] == "sqlite:////mnt/vestal/default/patients.csv"
    assert found["DEFAULT_QUERY"] == "select 1"
    assert found["DEFAULT_DB_PARAM_SCHEMA"] == "public"
    assert found["DEFAULT_SHEET_NAME"] == "S"


def test_the_data_holders_own_variables_never_replace_those_of_the_contract() -> None:
    found = variables(settings(algorithm_env={"HTTP_PROXY": "p", "TOKEN_FILE": "/etc/passwd", "HOST": "evil"}))
    assert (found["HTTP_PROXY"], found["TOKEN_FILE"], found["HOST"]) == ("p", "/in/token", "http://proxyserver")


@pytest.mark.parametrize("value", ["", "csv", "PASSWORD", "ünï✓", "a" * 100])
def test_an_encoded_value_is_base32_without_equals_signs(value: str) -> None:
    text = encoded(value)
    assert "=" not in text
    assert base64.b32decode(text.replace("!", "=")).decode() == value


@pytest.mark.parametrize(
    ("own_file", "image_says", "plain"),
    [
        ({}, None, False),
        ({}, "plain", True),
        ({"registry.example.org/*": "base32"}, "plain", False),
        ({"registry.example.org/mean:1": "plain"}, None, True),
        ({"other": "plain"}, None, False),
    ],
)
def test_the_data_holders_file_decides_the_encoding_then_the_image(
    own_file: dict[str, str], image_says: Any, plain: bool
) -> None:
    image = ResolvedImage(id="sha256:11", config_digest="sha256:11", env_encoding=image_says)
    found = spec(settings(env_encoding=own_file), image).environment["DB_LABELS"]
    assert found == ("default" if plain else encoded("default"))


def test_limits_are_those_of_the_plan_and_processes_those_of_the_file() -> None:
    limits = Limits(time_s=60, memory_bytes=2**21, millicpus=1500, output_bytes=5, scratch_bytes=6)
    of = step_changed("part", limits=limits.model_dump(), delegation=None)
    found = spec(settings(policy={"max": {"pids": 99}}), of=of).limits
    assert (found.time_s, found.memory_bytes, found.cpus, found.output_bytes, found.scratch_bytes, found.pids) == (
        60.0, 2**21, 1.5, 5, 6, 99,
    )  # fmt: skip


def test_the_image_is_started_as_it_is() -> None:
    found = spec(settings())
    assert (found.command, found.image, found.profile) == (None, "sha256:11", "strict")


def test_a_profile_is_relaxed_for_the_named_image_only() -> None:
    assert spec(settings(policy={"profiles": {"registry.example.org/mean:*": "compat"}})).profile == "compat"
    assert spec(settings(policy={"profiles": {"registry.example.org/median:*": "compat"}})).profile == "strict"


def test_labels_find_the_sandbox_again() -> None:
    assert spec(settings()).labels == {
        "vestal.node": "hospital-a",
        "vestal.run": "key of the run",
        "vestal.job": "0a" * 16,
    }


@pytest.mark.parametrize(("scratch", "shared"), [("shared", "0a" * 16), ("private", None)])
def test_scratch_is_shared_inside_a_job_unless_the_plan_says_private(scratch: str, shared: str | None) -> None:
    of = plan().plan.model_copy(update={"scratch": scratch})
    assert spec(settings(), of=of).shared_scratch == shared


def test_files_are_order_token_inputs_and_their_index() -> None:
    inputs = (
        OpenedInput("parts", True, 1, b"one"),
        OpenedInput("parts", True, 2, Path("/workspace-of-a-run/two")),
        OpenedInput("noise", False, 3, b"three"),
    )
    found = {file.path: file.content for file in spec(settings(), inputs=inputs).files}
    index = json.loads(found.pop("/in/files/index.json"))
    assert found == {
        "/in/input": b'{"method": "partial"}',
        "/in/token": b"a.b.c",
        "/in/files/parts/0": b"one",
        "/in/files/parts/1": Path("/workspace-of-a-run/two"),
        "/in/files/noise/0": b"three",
    }
    assert index == input_index(inputs)
    assert index["parts"]["items"][1] == {"organization_id": 2, "file": "parts/1"}
    assert (index["parts"]["many"], index["noise"]["many"]) == (True, False)


def test_every_source_is_mounted_from_the_host() -> None:
    (mount,) = spec(settings()).sources
    assert (mount.host_path, mount.inside_path) == ("/data/patients.csv", "/mnt/vestal/default/patients.csv")
