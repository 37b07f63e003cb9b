"""Results as bytes."""

import datetime
import json
import math

import pytest

from algorithm_base import Outputs
from algorithm_base.errors import OutputError
from algorithm_base.outputs import decode, encode, write_outputs


@pytest.mark.parametrize("value", [None, True, 3, 0.1 + 0.2, "é", [1, [2, {}]], {"a": {"b": []}}, 1e308, 5e-324, 2**70])
def test_plain_values_come_back_as_they_were(value):
    assert decode(encode(value)) == value


def test_not_a_number_and_infinity_come_back():
    nan, infinity = decode(encode([math.nan, math.inf]))
    assert math.isnan(nan)
    assert infinity == math.inf


def test_bytes_are_written_as_they_are():
    assert encode(b"\xffPAR1") == encode(bytearray(b"\xffPAR1")) == encode(memoryview(b"\xffPAR1")) == b"\xffPAR1"


def test_numpy_is_converted_exactly():
    np = pytest.importorskip("numpy")
    value = {
        np.int64(1): np.float64(1) / 3,
        "a": np.array([[1, 2]]),
        "t": np.bool_(True),
        "s": [np.str_("x")],
        "d": np.datetime64("2020-01-02"),
    }
    assert json.loads(encode(value)) == {"1": 1 / 3, "a": [[1, 2]], "t": True, "s": ["x"], "d": "2020-01-02"}


def test_frames_become_rows_and_series_become_dictionaries():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"n": pd.array([1, None], dtype="Int64"), "when": pd.to_datetime(["2020-01-02", None])})
    assert json.loads(encode(frame)) == [{"n": 1, "when": "2020-01-02T00:00:00"}, {"n": None, "when": None}]
    assert json.loads(encode(pd.Series([1.5, 2], index=["x", "y"]))) == {"x": 1.5, "y": 2.0}
    assert json.loads(encode(pd.Index([1, 2]))) == [1, 2]


def test_dates_are_iso_texts():
    assert json.loads(encode([datetime.date(2020, 1, 2), datetime.time(3, 4)])) == ["2020-01-02", "03:04:00"]


@pytest.mark.parametrize(("value", "name"), [({1, 2}, "set"), ([object()], "object"), ({(1, 2): 3}, "tuple")])
def test_what_json_does_not_have_is_refused_by_type_and_not_by_value(value, name):
    with pytest.raises(OutputError, match=f"of type {name} cannot be written as JSON"):
        encode(value)


def test_named_outputs_are_files(tmp_path):
    write_outputs(Outputs([1], noise=b"\x00", converged=True), tmp_path / "out", tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "out": b"[1]",
        "noise": b"\x00",
        "converged": b"true",
    }


def test_named_outputs_need_a_place(tmp_path):
    with pytest.raises(OutputError, match="no place for named outputs"):
        write_outputs(Outputs(1, noise=2), tmp_path / "out", None)
    assert not (tmp_path / "out").exists()
