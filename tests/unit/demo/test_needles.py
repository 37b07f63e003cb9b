"""Every spelling that the search knows is one that real encoders write."""

import base64
import json
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.needles import LEAST_BYTES, Secret, needles, spellings, too_short

NUMBERS = [
    14.127291739894552,
    0.09636028119507901,
    654.8891036906855,
    -3.5240488262120775,
    1.2345678901e-7,
    88133520.125,
]


def found(value: str | float, content: bytes) -> bool:
    return any(spelled in content for spelled in spellings(value))


@pytest.mark.parametrize("neighbour", [b"", b"a", b"ab", b"abc", b"abcd"])
def test_a_text_is_found_at_any_offset_of_base64_and_base32(neighbour: bytes) -> None:
    content = neighbour + b"worst_radius" + b"xyz"
    for encode in (base64.b64encode, base64.urlsafe_b64encode, base64.b32encode, base64.b16encode):
        assert found("worst_radius", encode(content)), (encode, neighbour)
    assert found("worst_radius", base64.b32encode(content).lower())
    assert found("worst_radius", content.hex().encode())


@given(st.binary(max_size=8), st.text(min_size=8, max_size=40), st.binary(max_size=8))
def test_any_text_is_found_between_any_neighbours(before: bytes, text: str, after: bytes) -> None:
    content = before + text.encode() + after
    assert found(text, content)
    for encode in (base64.b64encode, base64.urlsafe_b64encode, base64.b32encode, base64.b16encode):
        assert found(text, encode(content))


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize(
    "write",
    [
        repr,
        json.dumps,
        lambda number: f"{number:.16e}",
        lambda number: f"{number:.12f}" if abs(number) > 1e-3 else repr(number),
        lambda number: f"{number:.15g}",
    ],
    ids=["repr", "JSON", "scientific", "fixed", "15 digits"],
)
def test_a_number_is_found_however_it_is_written(number: float, write) -> None:
    assert found(number, f"[1.0, {write(number)}, 2.0]".encode())


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_is_found_packed(number: float) -> None:
    for order in "<>":
        packed = b"head" + struct.pack(f"{order}3d", 1.0, number, 2.0)
        assert found(number, packed)
        assert found(number, base64.b64encode(packed))
        assert found(number, packed.hex().encode())


def test_the_last_digits_do_not_matter() -> None:
    assert found(14.127291739894552, repr(math.nextafter(14.127291739894552, 15)).encode())


def test_a_number_is_not_found_in_another_one() -> None:
    assert not found(14.127291739894552, b"14.12729 14.127292 114.12728")


@pytest.mark.parametrize("value", ["mean", "n", 0.5, 569.0, 1e-10, 0.0])
def test_what_is_too_short_to_mean_anything_is_not_searched_for_and_named(value: str | float) -> None:
    secret = Secret("argument", value)
    assert needles([secret]) == []
    assert too_short([secret]) == [secret]


@pytest.mark.parametrize("value", ["radius", "central_moments", *NUMBERS])
def test_no_needle_is_shorter_than_the_least(value: str | float) -> None:
    assert min(map(len, spellings(value))) >= LEAST_BYTES
