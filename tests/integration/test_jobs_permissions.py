"""Who may do what with jobs; every denial names the missing permission."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.federation import Federation, Refused
from vserver.collaborations import service as collaborations


@pytest.fixture
def database_url() -> None:
    """SQLite: permissions are decided before the database is asked."""


def leave(federation: Federation, number: int) -> None:
    with federation.hub.database.write() as session:
        found = collaborations.collaboration(session, federation.collaboration_id)
        collaborations.remove_member(session, found, federation.organizations[number].id)


def denied(call: Callable[[], Any]) -> Refused:
    with pytest.raises(Refused) as refused:
        call()
    return refused.value


def test_a_viewer_sees_jobs_and_submits_none(federation: Federation) -> None:
    federation.submit(federation.simple())
    viewer = federation.user_with_role(0, "Viewer")
    assert viewer.get("/job")["total"] == 1
    fault = denied(lambda: viewer.post("/job", federation.simple().message()))
    assert (fault.status, fault.fields["permission"]) == (403, "job:create:own")


def test_who_is_not_in_the_collaboration_sees_nothing_of_it(federation: Federation) -> None:
    job = federation.submit(federation.simple())
    leave(federation, 2)
    stranger = federation.person(2)
    assert stranger.get("/job")["total"] == stranger.get("/run")["total"] == stranger.get("/task")["total"] == 0
    assert [e for e in stranger.get("/event")["data"] if e["job_id"]] == []
    fault = denied(lambda: stranger.get(f"/job/{job['id']}"))
    assert fault.fields["permission"] == "job:view:global"


def test_who_left_the_collaboration_submits_nothing_to_it(federation: Federation) -> None:
    draft = federation.simple(by=2, on=[2])
    leave(federation, 2)
    assert denied(lambda: federation.submit(draft, by=2)).code == "not_found"


def test_only_the_initiator_cancels_and_deletes(federation: Federation) -> None:
    job = federation.submit(federation.simple())
    colleague, other = federation.user_with_role(0, "Researcher"), federation.person(1)
    admin = federation.user_with_role(0, "Organization admin")
    for caller in (colleague, other):
        fault = denied(lambda caller=caller: caller.call("PATCH", f"/job/{job['id']}", {"cancel": True}))
        assert fault.fields["permission"].startswith("job:edit:")
        assert denied(lambda caller=caller: caller.call("DELETE", f"/job/{job['id']}")).status == 403
    assert admin.call("PATCH", f"/job/{job['id']}", {"cancel": True})["state"] == "cancelled"


def test_methods_tell_what_the_caller_may(federation: Federation) -> None:
    job = federation.submit(federation.simple())
    assert set(job["methods"]) == {"GET", "PATCH", "DELETE"}
    assert federation.person(1).get(f"/job/{job['id']}")["methods"] == ["GET"]


def test_a_node_submits_no_jobs_and_a_person_does_not_sync(federation: Federation) -> None:
    assert denied(lambda: federation.node().post("/job", federation.simple().message())).status == 403
    fault = denied(lambda: federation.person().post("/node/sync", {"session": "12345678"}))
    assert fault.status == 403


def test_a_node_of_another_organization_ends_nothing_even_with_the_token(federation: Federation) -> None:
    federation.submit(federation.simple())
    (assignment,) = federation.node(0).claim()
    thief = federation.node(1)
    for path, message in (
        ("start", {"lease_token": assignment["lease_token"]}),
        ("result", federation.node(0).result(assignment)),
    ):
        fault = denied(lambda path=path, message=message: thief.post(f"/run/{assignment['run']}/{path}", message))
        assert fault.status == 403 and fault.fields["permission"] == "run:edit:global"


def test_nobody_without_a_token_gets_in(federation: Federation) -> None:
    caller = federation.person()
    del caller.session.headers["Authorization"]
    for method, path in (("GET", "/job"), ("POST", "/node/sync"), ("GET", "/event"), ("GET", "/payload/" + "0" * 64)):
        assert denied(lambda method=method, path=path: caller.call(method, path, {})).status == 401
