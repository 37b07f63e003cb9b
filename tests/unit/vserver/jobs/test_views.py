import pytest

from vserver.jobs.views import NodeFacts, note


def node(*tags: str, online: bool = True) -> NodeFacts:
    return NodeFacts(1, frozenset(tags), online)


@pytest.mark.parametrize(
    ("wanted", "nodes", "said"),
    [
        ("", [], "unroutable: the organization has no node"),
        ("gpu", [node()], "unroutable: no node of the organization carries gpu"),
        ("big,gpu", [node("gpu"), node("big")], "unroutable: no node of the organization carries big, gpu"),
        ("", [node(online=False)], "unroutable: no node of the organization that could take it is online"),
        (
            "gpu",
            [node(), node("gpu", online=False)],
            "unroutable: no node of the organization that could take it is online",
        ),
        ("", [node()], None),
        ("gpu", [node(online=False), node("gpu", "big")], None),
    ],
)
def test_why_a_run_waits(wanted: str, nodes: list[NodeFacts], said: str | None) -> None:
    assert note(wanted, nodes) == said
