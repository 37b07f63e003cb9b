"""From a question to its opened answer, against a federation whose cryptography is the real one."""

from tests.unit.vclient.federation import IMAGE
from vclient import Workflow, gather, order


def test_one_step_at_all_members(federation, client):
    job = client.run(IMAGE, "average", kwargs={"column": "age"})

    assert job.results() == {
        "Alpha": {"site": "Alpha", "method": "average"},
        "Beta": {"site": "Beta", "method": "average"},
        "Gamma": {"site": "Gamma", "method": "average"},
    }


def test_two_steps_without_a_central_function(federation, client):
    federation.do = lambda asked: sum(asked.inputs["total"]) if asked.inputs else len(asked.site.name)
    wf = Workflow("mean")
    part = wf.step("part", IMAGE, on="all", data=["default"])
    wf.step("finish", IMAGE, on="initiator", inputs={"total": gather(part)})

    job = client.run(wf, orders={"part": order("partial", column="age"), "finish": order("combine")})

    assert job.result() == len("Alpha") + len("Beta") + len("Gamma")
