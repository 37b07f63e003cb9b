"""/collaboration: sets of organizations that work together."""

from sqlalchemy import select

from vprotocol import messages as m
from vprotocol.errors import AlreadyExists
from vprotocol.messages.collaboration import Collaboration, CollaborationChange, Member, NewCollaboration
from vprotocol.roles import Action, Resource
from vserver import authz
from vserver.authz import Target
from vserver.collaborations import model, service
from vserver.organizations import service as organizations
from vserver.web.links import Endpoint, link, query
from vserver.web.operation import operation
from vserver.web.paging import Listing, by_bool, by_id, by_text
from vserver.web.resource import HubResource

_VIEW = (Resource.COLLABORATION, Action.VIEW)
_EDIT = (Resource.COLLABORATION, Action.EDIT)

LISTING = Listing(
    key=model.Collaboration.id,
    view=Collaboration,
    sorts={"display_name": model.Collaboration.display_name, "created_at": model.Collaboration.created_at},
    filters={
        "name": by_text(model.Collaboration.name, "the creator's 128-bit name"),
        "display_name": by_text(model.Collaboration.display_name),
        "encrypted": by_bool(lambda wanted: model.Collaboration.encrypted.is_(wanted)),
        "organization_id": by_id(
            lambda wanted: model.Collaboration.id.in_(
                select(model.Membership.collaboration_id).where(model.Membership.organization_id == wanted)
            ),
            "those it is in",
        ),
    },
)


class _CollaborationResource(HubResource):
    def views(self, rows: list[model.Collaboration]) -> list[Collaboration]:
        members = service.members(self.session, {row.id for row in rows})
        return [self.view(row, members[row.id]) for row in rows]

    def view(self, row: model.Collaboration, member_ids: tuple[int, ...]) -> Collaboration:
        return Collaboration(
            id=row.id,
            self_=link(Endpoint.COLLABORATION, collaboration_id=row.id),
            methods=self.links.methods(Endpoint.COLLABORATION, service.target(row.id)),
            name=row.name,
            display_name=row.display_name,
            encrypted=row.encrypted,
            created_at=row.created_at,
            organization_ids=member_ids,
            organizations=query(Endpoint.ORGANIZATIONS, collaboration_id=row.id),
            nodes=query(Endpoint.NODES, collaboration_id=row.id),
            links={"list": link(Endpoint.COLLABORATIONS)},
        )

    def found(self, collaboration_id: int, needs: tuple[Resource, Action]) -> model.Collaboration:
        """The collaboration, when the caller may."""
        authz.require(self.principal, *needs, service.target(collaboration_id))
        return service.collaboration(self.session, collaboration_id)


class Collaborations(_CollaborationResource):
    place = Endpoint.COLLABORATIONS

    @operation("List collaborations", listing=LISTING, needs=_VIEW)
    def get(self) -> dict[str, object]:
        return self.page(LISTING, service.visible(self.principal), self.views)

    @operation(
        "Start a collaboration",
        body=NewCollaboration,
        answer=Collaboration,
        status=201,
        needs=(Resource.COLLABORATION, Action.CREATE),
        errors=(AlreadyExists,),
    )
    def post(self) -> m.Message:
        authz.require(self.principal, Resource.COLLABORATION, Action.CREATE, Target())
        asked = self.body(NewCollaboration)
        made = service.create(
            self.session,
            name=asked.name,
            display_name=asked.display_name,
            encrypted=asked.encrypted,
            organization_ids=asked.organizations,
            now=self.hub.now(),
        )
        return self.views([made])[0]


class CollaborationById(_CollaborationResource):
    place = Endpoint.COLLABORATION

    @operation("One collaboration", answer=Collaboration, needs=_VIEW)
    def get(self, collaboration_id: int) -> m.Message:
        row = self.found(collaboration_id, _VIEW)
        self.tag(row.version)
        return self.views([row])[0]

    @operation("Rename a collaboration", body=CollaborationChange, answer=Collaboration, needs=_EDIT)
    def patch(self, collaboration_id: int) -> m.Message:
        row = self.found(collaboration_id, _EDIT)
        self.check_unchanged(row.version)
        service.rename(self.session, row, self.body(CollaborationChange).display_name)
        self.tag(row.version)
        return self.views([row])[0]

    @operation(
        "End a collaboration in which no jobs are kept",
        status=204,
        needs=(Resource.COLLABORATION, Action.DELETE),
        errors=(service.CollaborationInUse,),
    )
    def delete(self, collaboration_id: int) -> None:
        row = self.found(collaboration_id, (Resource.COLLABORATION, Action.DELETE))
        self.check_unchanged(row.version)
        service.remove(self.session, row)


class CollaborationMember(_CollaborationResource):
    """A member is a relation, so it is put in place and taken away; its path says it all."""

    place = Endpoint.COLLABORATION_MEMBER

    @operation("Since when an organization is a member", answer=Member, needs=_VIEW)
    def get(self, collaboration_id: int, organization_id: int) -> m.Message:
        self.found(collaboration_id, _VIEW)
        return self._member(service.member(self.session, collaboration_id, organization_id))

    @operation("Put an organization into a collaboration", answer=Member, needs=_EDIT)
    def put(self, collaboration_id: int, organization_id: int) -> m.Message:
        row = self.found(collaboration_id, _EDIT)
        member = service.add_member(self.session, row, organization_id, self.hub.now())
        self._changed(collaboration_id)
        return self._member(member)

    @operation("Take an organization out of a collaboration", status=204, needs=_EDIT)
    def delete(self, collaboration_id: int, organization_id: int) -> None:
        row = self.found(collaboration_id, _EDIT)
        service.remove_member(self.session, row, organization_id)
        self._changed(collaboration_id)

    def _changed(self, collaboration_id: int) -> None:
        self.hub.signals.notify_after_commit(self.session, f"collaboration:{collaboration_id}")

    def _member(self, member: model.Membership) -> Member:
        shared = organizations.collaborations_of(self.session, {member.organization_id})[member.organization_id]
        return Member(
            collaboration=self.links.relation(
                Endpoint.COLLABORATION,
                service.target(member.collaboration_id),
                id=member.collaboration_id,
                collaboration_id=member.collaboration_id,
            ),
            organization=self.links.relation(
                Endpoint.ORGANIZATION,
                organizations.target(member.organization_id, shared),
                id=member.organization_id,
                organization_id=member.organization_id,
            ),
            since=member.since,
        )


RESOURCES = (Collaborations, CollaborationById, CollaborationMember)
