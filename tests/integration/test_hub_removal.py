"""What is kept keeps what it refers to; people and machines may go."""

import pytest
from sqlalchemy import select

from tests.integration.federation import Federation
from vserver.accounts.model import User
from vserver.collaborations import service as collaborations
from vserver.collaborations.model import Collaboration
from vserver.jobs.model import Job
from vserver.nodes import service as nodes
from vserver.nodes.model import Node
from vserver.organizations import service as organizations
from vserver.organizations.model import Organization


def test_a_collaboration_with_jobs_stays(federation: Federation) -> None:
    federation.submit(federation.simple())
    with pytest.raises(collaborations.CollaborationInUse), federation.hub.database.write() as session:
        collaborations.remove(session, session.scalars(select(Collaboration)).first())


def test_an_organization_stays_as_long_as_anything_is_its_own(federation: Federation) -> None:
    federation.submit(federation.simple())
    with pytest.raises(organizations.OrganizationInUse), federation.hub.database.write() as session:
        organizations.delete(session, session.scalars(select(Organization)).first())


def test_nodes_and_users_may_go_and_their_jobs_stay(federation: Federation) -> None:
    job = federation.submit(federation.simple())
    federation.node().claim()
    with federation.hub.database.write() as session:
        for node in session.scalars(select(Node)):
            nodes.remove(session, node)
    assert federation.person().get(f"/job/{job['id']}")["id"] == job["id"]
    with federation.hub.database.write() as session:
        for user in session.scalars(select(User)):
            session.delete(user)  # below the service, which keeps the last administrator
    with federation.hub.database.read() as session:
        assert session.get(Job, job["id"]).user_id is None
