"""/organization: who takes part, and their identities."""

from vprotocol import messages as m
from vprotocol.errors import AlreadyExists, IdentityChanged, KeyLogInvalid, KeyLogRolledBack, NotFound
from vprotocol.keylog import KeyLog
from vprotocol.messages.organization import NewOrganization, Organization, OrganizationChange, PublicKey
from vprotocol.roles import Action, Resource
from vserver import authz
from vserver.authz import Target
from vserver.organizations import model, service
from vserver.web.links import Endpoint, link, query
from vserver.web.operation import operation
from vserver.web.paging import Listing, by_id, by_text
from vserver.web.resource import HubResource

_VIEW = (Resource.ORGANIZATION, Action.VIEW)
_EDIT = (Resource.ORGANIZATION, Action.EDIT)

LISTING = Listing(
    key=model.Organization.id,
    view=Organization,
    sorts={"name": model.Organization.name, "created_at": model.Organization.created_at},
    filters={
        "name": by_text(model.Organization.name),
        "fingerprint": by_text(model.Organization.fingerprint, "its name for ever"),
        "collaboration_id": by_id(
            lambda wanted: model.Organization.id.in_(service.members_of(frozenset({wanted}))), "members of it"
        ),
    },
)


class _OrganizationResource(HubResource):
    def views(self, rows: list[model.Organization]) -> list[Organization]:
        shared = service.collaborations_of(self.session, {row.id for row in rows})
        return [self.view(row, service.target(row.id, shared[row.id])) for row in rows]

    def view(self, row: model.Organization, target: Target) -> Organization:
        here = link(Endpoint.ORGANIZATION, organization_id=row.id)
        return Organization(
            id=row.id,
            self_=here,
            methods=self.links.methods(Endpoint.ORGANIZATION, target),
            name=row.name,
            fingerprint=row.fingerprint,
            created_at=row.created_at,
            public_key=self.links.relation(Endpoint.ORGANIZATION_PUBLIC_KEY, target, id=row.id, organization_id=row.id),
            collaborations=query(Endpoint.COLLABORATIONS, organization_id=row.id),
            nodes=query(Endpoint.NODES, organization_id=row.id),
            users=query(Endpoint.USERS, organization_id=row.id),
            links={"list": link(Endpoint.ORGANIZATIONS)},
        )

    def found(self, organization_id: int, needs: tuple[Resource, Action]) -> tuple[model.Organization, Target]:
        """The organization, when the caller may."""
        target = self.allowed(organization_id, needs)
        return service.organization(self.session, organization_id), target

    def allowed(self, organization_id: int, needs: tuple[Resource, Action]) -> Target:
        shared = service.collaborations_of(self.session, {organization_id})
        target = service.target(organization_id, shared[organization_id])
        authz.require(self.principal, *needs, target)
        return target


class Organizations(_OrganizationResource):
    place = Endpoint.ORGANIZATIONS

    @operation("List organizations", listing=LISTING, needs=_VIEW)
    def get(self) -> dict[str, object]:
        return self.page(LISTING, service.visible(self.principal), self.views)

    @operation(
        "Add an organization",
        body=NewOrganization,
        answer=Organization,
        status=201,
        needs=(Resource.ORGANIZATION, Action.CREATE),
        errors=(AlreadyExists,),
    )
    def post(self) -> m.Message:
        authz.require(self.principal, Resource.ORGANIZATION, Action.CREATE, Target())
        asked = self.body(NewOrganization)
        made = service.create(self.session, asked.name, self.hub.now())
        return self.view(made, service.target(made.id, frozenset()))


class OrganizationById(_OrganizationResource):
    place = Endpoint.ORGANIZATION

    @operation("One organization", answer=Organization, needs=_VIEW)
    def get(self, organization_id: int) -> m.Message:
        row, target = self.found(organization_id, _VIEW)
        self.tag(row.version)
        return self.view(row, target)

    @operation("Rename an organization", body=OrganizationChange, answer=Organization, needs=_EDIT)
    def patch(self, organization_id: int) -> m.Message:
        row, target = self.found(organization_id, _EDIT)
        self.check_unchanged(row.version)
        service.rename(self.session, row, self.body(OrganizationChange).name)
        self.tag(row.version)
        return self.view(row, target)

    @operation(
        "Remove an organization that nothing belongs to",
        status=204,
        needs=(Resource.ORGANIZATION, Action.DELETE),
        errors=(service.OrganizationInUse,),
    )
    def delete(self, organization_id: int) -> None:
        row, _ = self.found(organization_id, (Resource.ORGANIZATION, Action.DELETE))
        self.check_unchanged(row.version)
        service.delete(self.session, row)


class OrganizationPublicKey(_OrganizationResource):
    place = Endpoint.ORGANIZATION_PUBLIC_KEY

    @operation("Its identity: the key log, verbatim", answer=PublicKey, needs=_VIEW, errors=(NotFound,))
    def get(self, organization_id: int) -> m.Message:
        self.allowed(organization_id, _VIEW)
        row, log = service.key_log(self.session, organization_id)
        self.tag(row.version)
        return PublicKey.model_validate(log)

    @operation(
        "Upload its identity, or the one that is here with entries appended or with a newer head",
        body=PublicKey,
        answer=PublicKey,
        needs=_EDIT,
        errors=(KeyLogInvalid, KeyLogRolledBack, IdentityChanged, AlreadyExists),
    )
    def put(self, organization_id: int) -> m.Message:
        row, _ = self.found(organization_id, _EDIT)
        self.check_unchanged(row.version)
        asked = self.body(PublicKey)
        log = KeyLog.from_wire(asked.to_wire())
        row = service.put_key_log(self.session, organization_id, log)
        self.hub.signals.notify_after_commit(self.session, f"organization:{organization_id}")
        self.tag(row.version)
        return asked


RESOURCES = (Organizations, OrganizationById, OrganizationPublicKey)
