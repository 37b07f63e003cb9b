"""INPUTS_FOLDER with its index."""

import json

import pytest

from algorithm_base import inputs
from algorithm_base.errors import InputError
from algorithm_base.named_inputs import fill, read_index


@pytest.fixture
def connected(tmp_path):
    index = {
        "total": {
            "many": True,
            "items": [{"organization_id": 3, "file": "total/0"}, {"organization_id": 1, "file": "total/1"}],
        },
        "model": {"many": False, "items": [{"organization_id": 3, "file": "model"}]},
        "empty": {"many": True, "items": []},
    }
    (tmp_path / "index.json").write_text(json.dumps(index))
    (tmp_path / "total").mkdir()
    (tmp_path / "total/0").write_bytes(b'{"n": 3}')
    (tmp_path / "total/1").write_bytes(b"\xff")
    (tmp_path / "model").write_bytes(b"[1, 2]")
    return read_index(tmp_path)


def test_many_values_are_a_list_in_the_workflows_order(connected):
    assert fill(inputs("total"), connected) == [{"n": 3}, b"\xff"]


def test_many_values_by_organization(connected):
    assert fill(inputs("total", by_organization=True), connected) == {3: {"n": 3}, 1: b"\xff"}


def test_one_value_is_itself(connected):
    assert fill(inputs("model"), connected) == [1, 2]


def test_bytes_and_paths(connected, tmp_path):
    assert fill(inputs("model", form="bytes"), connected) == b"[1, 2]"
    assert fill(inputs("total", form="path"), connected) == [tmp_path / "total/0", tmp_path / "total/1"]


def test_many_may_be_none(connected):
    assert fill(inputs("empty"), connected) == []


def test_a_missing_input_is_an_error_unless_it_has_a_default(connected):
    with pytest.raises(InputError, match="nothing is connected to the input 'start'"):
        fill(inputs("start"), connected)
    assert fill(inputs("start", default=None), connected) is None


def test_without_a_folder_nothing_is_connected():
    assert read_index(None) == {}
