import math

import pytest

from vruntime.yaml_source import MAX_BYTES, YamlInvalid, parse_yaml, read_yaml


def test_values_know_their_lines():
    document = parse_yaml("a: 1\nb:\n  c:\n    - x\n    - {d: 2}\n")
    assert document.data == {"a": 1, "b": {"c": ["x", {"d": 2}]}}
    places = {("a",): 1, ("b",): 2, ("b", "c"): 3, ("b", "c", 1): 5, ("b", "c", 1, "d"): 5, ("b", "no"): 2, ("no",): 1}
    assert {place: document.line(place) for place in places} == places


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on: all", {"on": "all"}),
        ("x: yes", {"x": "yes"}),
        ("x: no", {"x": "no"}),
        ("x: true", {"x": True}),
        ("x: 012", {"x": "012"}),
        ("x: 1:30", {"x": "1:30"}),
        ("x: 2026-01-31", {"x": "2026-01-31"}),
        ("x: 0x1f", {"x": 31}),
        ("x: 1e3", {"x": 1000.0}),
        ("x: -.inf", {"x": -math.inf}),
        ("x: 1_000", {"x": "1_000"}),
        ("x: '5'", {"x": "5"}),
        ("x: ~", {"x": None}),
        ("x:", {"x": None}),
        ("x: ''", {"x": ""}),
        ("1: x", {"1": "x"}),
        ("x: " + "9" * 5000, {"x": "9" * 5000}),
        ("x: |\n  a\n  b\n", {"x": "a\nb\n"}),
        ("x: &a [1]\ny: *a", {"x": [1], "y": [1]}),
        ("", None),
        ('{"json": [1, null]}', {"json": [1, None]}),
    ],
)
def test_scalars_mean_what_yaml_1_2_says(text, value):
    assert parse_yaml(text).data == value


def test_not_a_number_is_a_float():
    assert math.isnan(parse_yaml("x: .nan").data["x"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3", "f:3: the key a stands here a second time (first in line 1)"),
        ("a:\n  b: [1", "f:2: "),
        ("a: b: c", "f:1: mapping values are not allowed"),
        ("a:\n\t- b", "f:2: "),
        ("a: !!python/object/apply:os.system [ls]\nb: !secret x", "f:2: the tag !secret is not supported"),
        ("? [a]\n: b", "f:1: a key must be a text"),
        ("a: &x {b: 1}\nc:\n  <<: *x", "f:3: merge keys"),
        ("a: &x [*x]", "f:1: an alias contains itself"),
        ("a: \x00", "f:1: a character that YAML does not allow"),
        ("[" * 5000, "f"),
        ("a: *nobody", "f:1: found undefined alias"),
        ("a: 1\n---\nb: 2", "f:2: "),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text, said):
    with pytest.raises(YamlInvalid) as raised:
        parse_yaml(text, "f")
    assert said in str(raised.value)
    assert raised.value.hint


def test_no_python_object_is_ever_made():
    assert parse_yaml("a: !!python/object/apply:os.system ['true']").data == {"a": ["true"]}


def test_a_bomb_of_aliases_does_not_explode():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    with pytest.raises(YamlInvalid, match="too many"):
        parse_yaml("\n".join(lines))


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(YamlInvalid, match=r"none\.yaml cannot be read: No such file"):
        read_yaml(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"a: 1\nb: \xe9\n")
    with pytest.raises(YamlInvalid, match=r"latin\.yaml:2: not UTF-8"):
        read_yaml(tmp_path / "latin.yaml")
    (tmp_path / "huge.yaml").write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(YamlInvalid, match="larger"):
        read_yaml(tmp_path / "huge.yaml")
