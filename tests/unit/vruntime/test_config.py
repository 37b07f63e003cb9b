from enum import StrEnum
from typing import Annotated, Literal

import pytest
from pydantic import Field, FilePath, SecretStr, field_validator

from vprotocol.errors import ConfigInvalid
from vruntime.config import ConfigModel, config_invalid, load, loads
from vruntime.contexts import EnvironmentNeeded


class Executor(StrEnum):
    DOCKER = "docker"
    PROCESS = "process"


class Hub(ConfigModel):
    url: str = Field(description="the address of the hub")
    api_key: SecretStr | None = None


class Csv(ConfigModel):
    type: Literal["csv"]
    label: str
    path: str


class Sql(ConfigModel):
    type: Literal["sql"]
    label: str
    url: str


class Max(ConfigModel):
    cpus: float = 1


class Node(ConfigModel):
    name: str
    hub: Hub
    max_runs: int = 4
    open: bool = False
    executor: Executor = Executor.DOCKER
    data_sources: tuple[Annotated[Csv | Sql, Field(discriminator="type")], ...] = ()
    limits: dict[str, Max] = {}
    private_key: FilePath | None = None
    tags: list[str] = []

    @field_validator("tags")
    @classmethod
    def _short(cls, tags):
        if any(len(tag) > 5 for tag in tags):
            raise ValueError("a tag has at most 5 letters")
        return tags


GOOD = """\
name: hospital-a
hub: {url: https://hub, api_key: "${KEY}"}
data_sources:
  - {label: default, type: csv, path: /data/x.csv}
"""


def problems(text, env=None):
    with pytest.raises(ConfigInvalid) as raised:
        loads(text, Node, source="a.yaml", env=env or {})
    return [(one["line"], one["key"], one["reason"], one["remedy"]) for one in raised.value.fields["problems"]]


def test_a_good_file_becomes_a_frozen_model(tmp_path):
    (tmp_path / "a.yaml").write_text(GOOD)
    node = load(tmp_path / "a.yaml", Node, env={"KEY": "s3cret"})
    assert node.hub.api_key.get_secret_value() == "s3cret"
    assert node.data_sources[0].path == "/data/x.csv"
    with pytest.raises(ValueError, match="frozen"):
        node.name = "x"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("max_rums: 3", (5, "max_rums", "there is no such key", "Did you mean max_runs?")),
        ("zzz: 3", (5, "zzz", "there is no such key", "Known keys here: data_sources, executor, hub")),
        ("max_runs: many", (5, "max_runs", "must be a whole number", "Write a number such as 4.")),
        ("max_runs: 1.5", (5, "max_runs", "must be a whole number", "Write a number such as 4.")),
        ("max_runs: [1]", (5, "max_runs", "must be a whole number", "Write a number such as 4.")),
        ("open: perhaps", (5, "open", "must be true or false", "Write true or false.")),
        ("executor: dokcer", (5, "executor", "must be 'docker' or 'process'", "Write one of these.")),
        (
            "private_key: /no/such.key",
            (5, "private_key", "there is no such file", "Correct the path, or make the file."),
        ),
        ("tags: x", (5, "tags", "must be a list", "Write [a, b], or one item a line, each after a dash.")),
        ("tags: [abcdefg]", (5, "tags", "a tag has at most 5 letters", "Correct the value.")),
        ("limits: {a: {cpu: 1}}", (5, "limits.a.cpu", "there is no such key", "Did you mean cpus?")),
        ("limits: 3", (5, "limits", "must be a mapping", "Write `key: value` lines, indented below it.")),
    ],
)
def test_each_problem_has_line_key_reason_and_remedy(line, expected):
    ((number, key, reason, remedy),) = problems(GOOD + line + "\n", {"KEY": "x"})
    assert (number, key, reason) == expected[:3]
    assert remedy.startswith(expected[3])


def test_problems_inside_a_list_of_several_types_point_into_it():
    sources = "data_sources:\n  - {label: a, type: csv, path: x}\n  - label: b\n    type: sql\n    path: x\n"
    assert problems(f"name: a\nhub: {{url: x}}\n{sources}") == [
        (5, "data_sources[1].url", "is missing", "Add `url:`."),
        (7, "data_sources[1].path", "there is no such key", "Known keys here: label, type, url."),
    ]


def test_a_variable_needs_no_quotes_inside_braces():
    text = "name: a\nhub: {url: x, api_key: ${A}}\ntags: [${A}, ${B}]\n"
    node = loads(text, Node, env={"A": "{1", "B": "2"})
    assert (node.hub.api_key.get_secret_value(), node.tags) == ("{1", ["{1", "2"])


def test_all_problems_come_at_once_in_the_order_of_the_file():
    text = "nmae: a\nhub: {api_key: ${A}, port: ${B}}\nmax_runs: x\n"
    found = problems(text)
    assert [(line, key) for line, key, *_ in found] == [
        (1, "name"),
        (1, "nmae"),
        (2, "hub.api_key"),
        (2, "hub.port"),
        (2, "hub.url"),
        (3, "max_runs"),
    ]
    assert "the environment variable A is not set" in found[2][2]
    assert found[4][3] == "Add `url:` (the address of the hub)."


def test_an_empty_file_is_told_what_it_lacks():
    assert [key for _, key, *_ in problems("")] == ["hub", "name"]


def test_a_list_is_no_configuration():
    assert problems("- a\n")[0][2] == "must be a mapping"


def test_a_duplicate_key_and_bad_yaml_are_the_same_error():
    assert problems("name: a\nname: b\n")[0] == (2, "", "the key name stands here a second time (first in line 1)",
                                                 "Mend the line that is named.")  # fmt: skip
    assert problems("name: [a\n")[0][0] == 2


def test_a_file_that_is_not_there_is_the_same_error(tmp_path):
    with pytest.raises(ConfigInvalid, match="No such file"):
        load(tmp_path / "none.yaml", Node)


def test_one_problem_is_one_line_and_its_hint():
    with pytest.raises(ConfigInvalid) as raised:
        loads(GOOD + "max_rums: 3\n", Node, source="a.yaml", env={"KEY": "x"})
    assert str(raised.value) == "a.yaml:5: max_rums: there is no such key."
    assert raised.value.hint == "Did you mean max_runs?"


def test_no_value_appears_in_an_error():
    secret = "correct horse battery"
    with pytest.raises(ConfigInvalid) as raised:
        loads(GOOD.replace("url: https://hub", "url: [x]") + "max_runs: ${N}\n", Node, env={"KEY": secret, "N": secret})
    assert secret not in str(raised.value) + str(raised.value.fields) + str(raised.value.__cause__)


def test_variables_work_in_every_value_and_can_be_escaped():
    text = 'name: pre-${A}-${B}-$${C}\nhub: {url: x}\nmax_runs: ${N}\ntags: ["${A}"]\n'
    node = loads(text, Node, env={"A": "1", "B": "", "N": "7"})
    assert (node.name, node.max_runs, node.tags) == ("pre-1--${C}", 7, ["1"])


@pytest.mark.parametrize("written", ["${}", "${A B}", "${A:-x}"])
def test_what_is_no_variable_is_said(written):
    assert "does not name an environment variable" in problems(f"name: '{written}'\nhub: {{url: x}}\n")[0][2]


def test_a_value_from_outside_is_not_substituted_again():
    assert loads("name: ${A}\nhub: {url: x}\n", Node, env={"A": "${B}"}).name == "${B}"


def test_one_environment_of_several_is_read_and_lines_are_still_true(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("prod:\n  name: p\n  hub: {url: x}\ntest:\n  name: t\n  hub: {url: x}\n  max_rums: 1\n")
    assert load(path, Node, environment="prod").name == "p"
    with pytest.raises(ConfigInvalid, match=r"a\.yaml:7: max_rums"):
        load(path, Node, environment="test")
    with pytest.raises(EnvironmentNeeded):
        load(path, Node)


def test_variables_of_other_environments_need_not_be_set(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("prod: {name: ${MISSING}, hub: {url: x}}\ntest: {name: t, hub: {url: x}}\n")
    assert load(path, Node, environment="test", env={}).name == "t"


def test_what_only_the_program_finds_out_is_the_same_error():
    error = config_invalid("a.yaml", "private_key", "others can read it", "chmod 600 it.", line=3)
    assert str(error) == "a.yaml:3: private_key: others can read it."
    assert error.fields["problems"][0]["line"] == 3
