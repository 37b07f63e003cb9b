import pytest
from hypothesis import given
from hypothesis import strategies as st

from vprotocol.errors import WorkflowInvalid
from vprotocol.workflow.patterns import Pattern, is_many, pairs, readers

names = st.lists(st.binary(min_size=32, max_size=32).map(bytes.hex), min_size=1, max_size=8, unique=True)
one = names.map(lambda found: found[:1])


@given(one, names)
def test_broadcast_gives_everybody_the_same(producers, consumers):
    assert pairs(Pattern.BROADCAST, producers, consumers) == tuple((producers[0], c) for c in consumers)
    assert readers(Pattern.BROADCAST, producers, consumers) == tuple(consumers)
    assert not is_many(Pattern.BROADCAST)


@given(names, one)
def test_gather_brings_everything_to_one(producers, consumers):
    assert pairs(Pattern.GATHER, producers, consumers) == tuple((p, consumers[0]) for p in producers)
    assert readers(Pattern.GATHER, producers, consumers) == tuple(consumers)
    assert is_many(Pattern.GATHER)


@given(names, names)
def test_none_moves_nothing(producers, consumers):
    assert pairs(Pattern.NONE, producers, consumers) == readers(Pattern.NONE, producers, consumers) == ()


@given(st.sampled_from([Pattern.BROADCAST, Pattern.GATHER]), one, one)
def test_nobody_reads_who_does_not_consume(pattern, producers, consumers):
    assert set(readers(pattern, producers, consumers)) <= set(consumers)


@pytest.mark.parametrize(
    ("pattern", "producers", "consumers", "says"),
    [
        (Pattern.BROADCAST, ["a", "b"], ["c"], "one organization; 2 produce"),
        (Pattern.BROADCAST, [], ["c"], "one organization; 0 produce"),
        (Pattern.GATHER, ["a"], ["b", "c"], "one organization; 2 consume"),
        (Pattern.GATHER, ["a"], [], "one organization; 0 consume"),
    ],
)
def test_numbers_that_do_not_fit_have_a_sentence(pattern, producers, consumers, says):
    with pytest.raises(WorkflowInvalid, match=says):
        pairs(pattern, producers, consumers)
