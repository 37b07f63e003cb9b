import pytest
from hypothesis import given
from hypothesis import strategies as st

from vprotocol.errors import WorkflowInvalid
from vprotocol.workflow.check import check_acyclic, check_edges, check_inputs

graphs = st.integers(1, 12).flatmap(
    lambda count: st.tuples(
        st.permutations([f"step{number}" for number in range(count)]),
        st.sets(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)).filter(lambda e: e[0] < e[1])),
    )
)


@given(graphs, st.randoms(use_true_random=False))
def test_every_step_comes_after_all_it_needs(graph, random):
    steps, numbers = graph
    edges = [(steps[source], steps[target]) for source, target in numbers]
    shuffled = sorted(steps)
    random.shuffle(shuffled)
    ordered = check_acyclic(shuffled, edges)
    assert sorted(ordered) == sorted(steps)
    assert all(ordered.index(source) < ordered.index(target) for source, target in edges)


@given(graphs.filter(lambda graph: graph[1]))
def test_an_edge_turned_back_makes_a_cycle_and_the_sentence_names_it(graph):
    steps, numbers = graph
    edges = [(steps[source], steps[target]) for source, target in numbers]
    back = (edges[0][1], edges[0][0])
    with pytest.raises(WorkflowInvalid, match="form a cycle") as refused:
        check_acyclic(list(steps), [*edges, back])
    cycle = str(refused.value).removeprefix("the connections form a cycle: ").split(" → ")
    assert cycle[0] == cycle[-1] and len(cycle) > 2
    assert all(edge in [*edges, back] for edge in zip(cycle, cycle[1:], strict=False))


def test_edges_join_two_known_steps():
    check_edges(["a", "b"], [("a", "b")])
    for edge, says in ((("a", "x"), "`x`, which does not exist"), (("a", "a"), "connected to itself")):
        with pytest.raises(WorkflowInvalid, match=says):
            check_edges(["a", "b"], [edge])


def test_an_input_has_one_source():
    check_inputs([("a", "x"), ("a", "y"), ("b", "x"), ("a", None), ("a", None)])
    with pytest.raises(WorkflowInvalid, match="input `x` of step `a`"):
        check_inputs([("a", "x"), ("a", "x")])
