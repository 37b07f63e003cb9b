"""What a list can be asked, and what it answers to nonsense."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from vprotocol.errors import BadRequest
from vserver.organizations.resource import LISTING
from vserver.web.paging import DEFAULT_LIMIT, Asked, _Cursor


def asked(**arguments: Any) -> Asked:
    return Asked.parse(LISTING, MultiDict(arguments))


def test_nothing_asked_is_the_first_page_by_id() -> None:
    plain = asked()
    assert (plain.sort, plain.descending, plain.limit, plain.cursor) == ("id", False, DEFAULT_LIMIT, None)


def test_a_minus_turns_the_order_round() -> None:
    assert (asked(sort="-name").sort, asked(sort="-name").descending) == ("name", True)


@given(st.text())
def test_a_cursor_of_ones_own_is_refused_or_harmless(text: str) -> None:
    try:
        asked(cursor=text)
    except BadRequest as error:
        assert "cursor" in error.fields


@given(st.one_of(st.text().filter(lambda t: "\x00" not in t), st.integers(0, 2**31), st.floats(0, 1e12)), st.booleans())
def test_a_cursor_survives_the_way(value: Any, backwards: bool) -> None:
    cursor = _Cursor(value, 7, backwards)
    assert _Cursor.decode(cursor.encode()) == cursor


def test_stars_stand_for_anything_and_the_database_signs_for_themselves() -> None:
    clause = str(asked(name="50%_*").clauses[0].compile(compile_kwargs={"literal_binds": True}))
    assert r"'50\%\_%'" in clause.replace("%%", "%")


def test_a_wrong_filter_names_those_that_exist() -> None:
    with pytest.raises(BadRequest, match=r"collaboration_id.*fingerprint"):
        asked(colour="red")
