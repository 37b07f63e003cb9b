import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vprotocol.errors import BadMessage
from vprotocol.messages.orders import Order

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.lists(json_values),
    st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), json_values),
)
def test_an_order_is_read_as_it_was_written(method, args, kwargs):
    order = Order(method, args, kwargs)
    assert Order.decode(order.encode()) == order


def test_numbers_that_are_none_travel():
    order = Order.decode(Order("mean", [math.inf, -math.inf, math.nan]).encode())
    assert order.args[:2] == [math.inf, -math.inf] and math.isnan(order.args[2])


def test_what_stands_in_the_input_file_is_pinned():
    assert (
        Order("mean", [1], {"column": "é"}).encode() == '{"method":"mean","args":[1],"kwargs":{"column":"é"}}'.encode()
    )


@pytest.mark.parametrize("argument", [object(), {1, 2}, b"bytes"])
def test_arguments_are_json(argument):
    with pytest.raises(BadMessage, match="cannot be sent") as refused:
        Order("mean", [argument]).encode()
    assert "JSON" in str(refused.value.hint)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"method":"partial","method":"everything"}', "not JSON"),
        (b'{"method":"m","kwargs":{"a":1,"a":2}}', "not JSON"),
        (b"[]", "names no method"),
        (b"{}", "names no method"),
        (b'{"method":5}', "names no method"),
        (b'{"method":"m","args":{}}', "args are a list"),
        (b'{"method":"m","args":0}', "args are a list"),
        (b'{"method":"m","args":""}', "args are a list"),
        (b'{"method":"m","kwargs":[]}', "kwargs an object"),
        (b'{"method":"m","kwargs":false}', "kwargs an object"),
    ],
)
def test_what_is_no_order_is_refused(body, says):
    with pytest.raises(BadMessage, match=says) as refused:
        Order.decode(body)
    assert "everything" not in str(refused.value)


def test_absent_arguments_are_none():
    assert Order.decode(json.dumps({"method": "m", "args": None}).encode()) == Order("m", [], {})
