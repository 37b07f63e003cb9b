import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.vprotocol.world import A
from vprotocol.errors import DocumentInvalid
from vprotocol.paths import MAX_DEPTH, TaskPath

children = st.lists(
    st.tuples(st.binary(min_size=32, max_size=32).map(bytes.hex), st.integers(1, 999_999), st.integers(1, 1_000_000)),
    max_size=MAX_DEPTH,
)


@given(st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,62}", fullmatch=True), st.integers(0, 999_999_999), children)
def test_a_path_is_read_as_it_was_written(step, iteration, lineage):
    path = TaskPath(step, iteration)
    for organization, attempt, counter in lineage:
        path = path.child(organization, attempt, counter)
    assert TaskPath.parse(str(path)) == path
    assert path.depth == len(lineage)
    while path.parent is not None:
        assert str(path).startswith(str(path.parent))
        path = path.parent
    assert path == TaskPath(step, iteration)


@given(st.text(max_size=40))
def test_whatever_is_read_is_the_only_spelling(text):
    try:
        path = TaskPath.parse(text)
    except DocumentInvalid:
        return
    assert str(path) == text


CHILD = f"#1.1@{A.fingerprint[:16]}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "part",
        "part[]",
        "part[01]",
        "part[-1]",
        "part[+1]",
        "part[1234567890]",
        "part[０]",
        "part[0]\n",
        " part[0]",
        "part[0] ",
        "[0]",
        "1part[0]",
        "pärt[0]",
        "p" * 64 + "[0]",
        "part[0]#",
        "part[0]#0.1@" + "a" * 16,
        "part[0]#1.0@" + "a" * 16,
        "part[0]#1.1",
        "part[0]#1.1@" + "a" * 15,
        "part[0]#1.1@" + "A" * 16,
        "part[0]#01.1@" + "a" * 16,
        "part[0]" + CHILD + "\n",
        "part[0]" + CHILD * (MAX_DEPTH + 1),
    ],
)
def test_what_is_not_a_path_is_refused(text):
    with pytest.raises(DocumentInvalid, match="not a task path"):
        TaskPath.parse(text)


def test_the_spelling_is_pinned():
    assert str(TaskPath("part", 2).child("ab" * 32, 1, 7)) == "part[2]#1.7@abababababababab"
