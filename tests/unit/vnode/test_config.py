"""The data holder's file: what is right is read, and each mistake names file, line, key and remedy."""

from pathlib import Path
from typing import Any

import pytest

from vnode.config import NodeSettings, first_match, pattern_matches
from vprotocol.errors import ConfigInvalid
from vruntime.config import load, loads
from vruntime.trust_store import TrustLevel

GOOD = """\
name: hospital-a
hub: {url: https://hub.example.org, api_key: 0123456789abcdef}
executor: docker
max_runs: 4
data_sources:
  - {label: default, type: csv, path: /data/patients.csv, collaborations: any}
policy:
  trust: verified
  max: {memory: 4GiB, cpus: 2, time: 1h, output: 50MiB}
"""
DIGEST = "sha256:" + "1" * 64


def problems(text: str, **env: str) -> list[dict[str, Any]]:
    with pytest.raises(ConfigInvalid) as refused:
        loads(text, NodeSettings, source="node.yaml", env=env)
    found: list[dict[str, Any]] = refused.value.fields["problems"]
    return found


def test_sizes_and_times_are_read_with_their_units() -> None:
    settings = loads(GOOD, NodeSettings)
    most = settings.policy.max
    assert (most.memory, most.time, most.output, most.cpus) == (4 * 2**30, 3600, 50 * 2**20, 2.0)
    assert settings.policy.trust is TrustLevel.VERIFIED


def test_what_is_left_out_is_the_careful_choice() -> None:
    policy = loads("name: a\nhub: {url: 'http://h', api_key: 0123456789abcdef}\n", NodeSettings).policy
    assert policy.encrypted_only
    assert policy.trust is TrustLevel.VERIFIED
    assert policy.logs == "on failure"


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    file = tmp_path / "node.yaml"
    file.write_text(GOOD.replace("/data/patients.csv", "patients.csv") + "private_key: keys/a.key\n")
    settings = load(file, NodeSettings)
    assert settings.data_sources[0].path == tmp_path / "patients.csv"
    assert settings.private_key == tmp_path / "keys/a.key"


def test_a_variable_brings_the_api_key() -> None:
    settings = loads(GOOD.replace("0123456789abcdef", "${KEY}"), NodeSettings, env={"KEY": "k" * 20})
    assert settings.hub.api_key == "k" * 20


def test_secrets_are_not_in_what_is_printed() -> None:
    text = GOOD.replace("collaborations: any", "collaborations: any, parameters: {password: hunter2}")
    shown = repr(loads(text + "algorithm_env: {TOKEN: sesame}\n", NodeSettings))
    assert not any(secret in shown for secret in ("0123456789abcdef", "hunter2", "sesame"))


# What is changed in the good file; line and key of the problem; words of the reason; words of the remedy.
BAD = {
    "an unknown key": ("max_runs", "max_rums", 4, "max_rums", "no such key", "Did you mean max_runs?"),
    "an unknown key inside": ("trust: verified", "turst: verified", 8, "policy.turst", "no such key", "trust"),
    "no hub": ("hub: {url: https://hub.example.org, api_key: 0123456789abcdef}\n", "", 1, "hub", "is missing", "hub:"),
    "no API key": (", api_key: 0123456789abcdef", "", 2, "hub.api_key", "is missing", "api_key"),
    "a short API key": ("0123456789abcdef", "abc", 2, "hub.api_key", "16 characters", "Correct"),
    "an address without scheme": ("https://hub", "hub", 2, "hub.url", "starts with https://", "Correct"),
    "a variable that is not set": ("0123456789abcdef", "${NO_KEY}", 2, "hub.api_key", "NO_KEY is not set", "Set"),
    "a name with capitals": ("name: hospital-a", "name: Hospital A", 1, "name", "such as hospital-a", "Correct"),
    "an unknown executor": ("docker", "podman", 3, "executor", "'docker' or 'process'", "one of these"),
    "no runs at all": ("max_runs: 4", "max_runs: 0", 4, "max_runs", "greater than or equal to 1", "Correct"),
    "words for a number": ("max_runs: 4", "max_runs: many", 4, "max_runs", "whole number", "such as 4"),
    "an unknown type": ("type: csv", "type: cvs", 6, "data_sources[0].type", "'csv'", "one of these"),
    "a source without grant": (", collaborations: any", "", 6, "data_sources[0]", "grant it", "Correct"),
    "a grant by a nickname": (": any", ": [stroke]", 6, "data_sources[0].coll", "32 hex", ""),
    "a label with a blank": ("label: default", "label: my data", 6, "data_sources[0].label", "begins with", "Correct"),
    "a list that is none": ("data_sources:\n  - {", "data_sources:\n  {", 5, "data_sources", "must be a list", "dash"),
    "a size without sense": ("4GiB", "four", 9, "policy.max.memory", "write 512MiB", "Correct"),
    "a negative time": ("time: 1h", "time: -1", 9, "policy.max.time", "greater than or equal to 1", "Correct"),
    "an unknown trust level": ("trust: verified", "trust: blind", 8, "policy.trust", "'verified'", "one of these"),
    "a key twice": ("max_runs: 4", "max_runs: 4\nmax_runs: 5", 5, "", "second time (first in line 4)", ""),
    "data that nothing isolates": ("docker", "process", 1, "", "isolates nothing: default", "Correct"),
    "no mapping": (GOOD, "- a\n- b\n", 1, "", "must be a mapping", "key: value"),
    "not YAML": ("hub: {url", "hub: {{url", 3, "", "expected", ""),
}  # fmt: skip


@pytest.mark.parametrize("case", list(BAD))
def test_a_mistake_is_named_with_its_place_and_remedy(case: str) -> None:
    old, new, line, key, reason, remedy = BAD[case]
    assert old in GOOD
    found = problems(GOOD.replace(old, new, 1))
    named = [one for one in found if one["line"] == line and one["key"].startswith(key)]
    assert named, found
    assert all(one["file"] == "node.yaml" for one in found)
    assert any(reason in one["reason"] and remedy in one["remedy"] for one in named), named


def test_every_mistake_is_told_at_once() -> None:
    text = GOOD.replace("max_runs: 4", "max_runs: 0").replace("type: csv", "type: cvs").replace("1h", "soon")
    assert {one["line"] for one in problems(text)} == {4, 6, 9}


def test_no_value_stands_in_an_error() -> None:
    with pytest.raises(ConfigInvalid) as refused:
        loads(GOOD.replace("api_key: 0123456789abcdef", "api_key: [sesame-open]"), NodeSettings)
    assert "sesame" not in f"{refused.value} {refused.value.fields}"


def test_labels_differ_also_in_capitals_because_they_become_variables() -> None:
    second = "  - {label: DEFAULT, type: csv, path: /data/b.csv, collaborations: any}\npolicy:"
    (only,) = problems(GOOD.replace("policy:", second, 1))
    assert "two data sources have the label default" in only["reason"]


@pytest.mark.parametrize(
    ("pattern", "name", "digest", "means"),
    [
        ("*", "anything/at:all", DIGEST, True),
        ("registry.example.org/stats/*", "registry.example.org/stats/mean:1", DIGEST, True),
        ("registry.example.org/stats/*", "registry.example.org.evil.net/stats/mean", DIGEST, False),
        ("stats", "stats:1", DIGEST, False),
        ("st.ts", "stats", DIGEST, False),
        (f"stats@{DIGEST}", "stats", DIGEST, True),
        (f"stats@{DIGEST}", "stats", "sha256:" + "2" * 64, False),
        ("stats@sha256:*", "stats", DIGEST, True),
        ("stats*", "stats\nx", DIGEST, False),
        ("", "stats", DIGEST, False),
    ],
)
def test_a_pattern_means_whole_names(pattern: str, name: str, digest: str, means: bool) -> None:
    assert pattern_matches(pattern, name, digest) is means


def test_the_first_pattern_decides() -> None:
    table = {"stats/*": ["partial"], "*": []}
    assert first_match(table, "stats/mean", DIGEST) == ["partial"]
    assert first_match(table, "other", DIGEST) == []
    assert first_match({}, "other", DIGEST) is None
