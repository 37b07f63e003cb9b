import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vprotocol.errors import DocumentInvalid
from vprotocol.strict_json import MAX_DEPTH, canonical, loads, loads_canonical

LIMIT = 100_000
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_what_is_written_is_read_again(value):
    assert loads_canonical(canonical(value), limit_bytes=LIMIT) == value


def test_the_one_encoding_is_pinned():
    assert canonical({"b": 1, "a": ["é", "\U0001f600", '"', "\\", "/", "\n", "\x7f", True, None]}) == (
        b'{"a":["\\u00e9","\\ud83d\\ude00","\\"","\\\\","/","\\n","\\u007f",true,null],"b":1}'
    )


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b'{"a":1,"a":1}', "duplicate key"),
        (b'{"a":1,"\\u0061":2}', "duplicate key"),
        (b'{"x":{"a":1,"a":2}}', "duplicate key"),
        (b"1.0", "not an integer"),
        (b"1e3", "not an integer"),
        (b"-0.0", "not an integer"),
        (b"NaN", "not an integer"),
        (b"Infinity", "not an integer"),
        (b"-Infinity", "not an integer"),
        (b"9007199254740993", "beyond 2^53"),
        (b"-9007199254740993", "beyond 2^53"),
        (b"1" * 5000, "beyond 2^53"),
        (b"\xff", "not UTF-8"),
        (b'"\xed\xa0\x80"', "not UTF-8"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b"", "not JSON"),
        (b"{} {}", "not JSON"),
        (b'{"a":1,}', "not JSON"),
        (b"[1,]", "not JSON"),
        (b"{'a':1}", "not JSON"),
        (b'"\n"', "not JSON"),
        (b'"\\x41"', "not JSON"),
        (b"01", "not JSON"),
        (b"/* */ 1", "not JSON"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "nested deeper"),
        (b'{"a":' * 100_0 + b"1" + b"}" * 100_0, "nested deeper"),
        (b'"' + b"a" * LIMIT + b'"', "are allowed"),
    ],
)
def test_refused_with_a_reason(data, says):
    with pytest.raises(DocumentInvalid, match=says.replace("^", r"\^")):
        loads(data, limit_bytes=LIMIT)


def test_brackets_inside_strings_do_not_count():
    text = "[{" * 50 + '\\"['
    assert loads(json.dumps([text, "x"]).encode(), limit_bytes=LIMIT) == [text, "x"]


def test_the_deepest_allowed_document_is_read():
    assert loads(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, limit_bytes=LIMIT)


@pytest.mark.parametrize("unit", [b'\\"', b"\\", b'"', b"[]", b'"",'])
def test_hostile_text_takes_linear_time(unit):
    data = b'["' + unit * (2**20 // len(unit))
    before = time.process_time()
    with pytest.raises(DocumentInvalid):
        loads(data, limit_bytes=2**22)
    assert time.process_time() - before < 2


@pytest.mark.parametrize(
    "data", [b'{"b":1,"a":2}', b'{"a": 1}', b'"\xc3\xa9"', b'"\\u00E9"', b'"\\/"', b"-0", b" 1", b"1\n"]
)
def test_only_the_canonical_form_is_canonical(data):
    loads(data, limit_bytes=LIMIT)
    with pytest.raises(DocumentInvalid, match="canonical"):
        loads_canonical(data, limit_bytes=LIMIT)
