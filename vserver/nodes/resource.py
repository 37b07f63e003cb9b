"""/node: the data stations."""

from vprotocol import messages as m
from vprotocol.errors import AlreadyExists, Forbidden
from vprotocol.messages.node import NewNode, Node, NodeChange, NodeWithApiKey
from vprotocol.roles import Action, Resource
from vserver import authz
from vserver.authz import Kind
from vserver.nodes import model, service
from vserver.organizations import service as organizations
from vserver.web.links import Endpoint, link
from vserver.web.operation import operation
from vserver.web.paging import Listing, by_id, by_text
from vserver.web.resource import HubResource

_VIEW = (Resource.NODE, Action.VIEW)
_EDIT = (Resource.NODE, Action.EDIT)

LISTING = Listing(
    key=model.Node.id,
    view=Node,
    sorts={"name": model.Node.name, "created_at": model.Node.created_at},
    filters={
        "name": by_text(model.Node.name),
        "organization_id": by_id(lambda wanted: model.Node.organization_id == wanted),
        "collaboration_id": by_id(
            lambda wanted: model.Node.organization_id.in_(organizations.members_of(frozenset({wanted}))),
            "of its members",
        ),
    },
)


class _NodeResource(HubResource):
    def views(self, rows: list[model.Node]) -> list[Node]:
        shared = organizations.collaborations_of(self.session, {row.organization_id for row in rows})
        return [Node(**self.fields(row, shared[row.organization_id])) for row in rows]

    def fields(self, row: model.Node, collaborations: frozenset[int]) -> dict[str, object]:
        return {
            "id": row.id,
            "self_": link(Endpoint.NODE, node_id=row.id),
            "methods": self.links.methods(Endpoint.NODE, service.target(row, collaborations)),
            "name": row.name,
            "organization": self.links.relation(
                Endpoint.ORGANIZATION,
                organizations.target(row.organization_id, collaborations),
                id=row.organization_id,
                organization_id=row.organization_id,
            ),
            "online": service.is_online(row, self.hub.now(), self.hub.settings.node_online_s),
            "last_sync_at": row.last_sync_at,
            "tags": tuple(row.tags),
            "software_version": row.software_version,
            "created_at": row.created_at,
            "links": {
                "list": link(Endpoint.NODES),
                "api_key": self.links.relation(
                    Endpoint.NODE_API_KEY, service.target(row, collaborations), id=row.id, node_id=row.id
                ),
            },
        }

    def with_api_key(self, row: model.Node, api_key: str) -> NodeWithApiKey:
        shared = organizations.collaborations_of(self.session, {row.organization_id})[row.organization_id]
        return NodeWithApiKey(**self.fields(row, shared), api_key=api_key)

    def found(self, node_id: int, needs: tuple[Resource, Action]) -> model.Node:
        """The node, when the caller may."""
        row = service.node(self.session, node_id)
        shared = organizations.collaborations_of(self.session, {row.organization_id})[row.organization_id]
        authz.require(self.principal, *needs, service.target(row, shared))
        return row


class Nodes(_NodeResource):
    place = Endpoint.NODES

    @operation("List nodes", listing=LISTING, needs=_VIEW)
    def get(self) -> dict[str, object]:
        return self.page(LISTING, service.visible(self.principal), self.views)

    @operation(
        "Register a node; its API key is shown in the answer and never again",
        body=NewNode,
        answer=NodeWithApiKey,
        status=201,
        needs=(Resource.NODE, Action.CREATE),
        secrets=("api_key",),
        errors=(AlreadyExists,),
    )
    def post(self) -> m.Message:
        asked = self.body(NewNode)
        home = organizations.target(asked.organization_id, frozenset())
        authz.require(self.principal, Resource.NODE, Action.CREATE, home)
        made, api_key = service.create(
            self.session, name=asked.name, organization_id=asked.organization_id, now=self.hub.now()
        )
        return self.with_api_key(made, api_key)


class NodeById(_NodeResource):
    place = Endpoint.NODE

    @operation("One node", answer=Node, needs=_VIEW)
    def get(self, node_id: int) -> m.Message:
        row = self.found(node_id, _VIEW)
        self.tag(row.version)
        return self.views([row])[0]

    @operation("Change a node; itself, its tags and version", body=NodeChange, answer=Node, needs=_EDIT)
    def patch(self, node_id: int) -> m.Message:
        row = self.found(node_id, _EDIT)
        self.check_unchanged(row.version)
        asked = self.body(NodeChange)
        if asked.name is not None and self.principal.kind is Kind.NODE:
            raise Forbidden("A node does not rename itself.", hint="An administrator of its organization does.")
        service.change(self.session, row, name=asked.name, tags=asked.tags, software_version=asked.software_version)
        self.hub.signals.notify_after_commit(self.session, f"node:{node_id}")
        self.tag(row.version)
        return self.views([row])[0]

    @operation("Remove a node", status=204, needs=(Resource.NODE, Action.DELETE))
    def delete(self, node_id: int) -> None:
        row = self.found(node_id, (Resource.NODE, Action.DELETE))
        self.check_unchanged(row.version)
        service.remove(self.session, row)


class NodeApiKey(_NodeResource):
    place = Endpoint.NODE_API_KEY

    @operation(
        "Give a node a new API key; the old one ends at once",
        answer=NodeWithApiKey,
        needs=(Resource.NODE, Action.CREATE),
        secrets=("api_key",),
    )
    def post(self, node_id: int) -> m.Message:
        row = self.found(node_id, (Resource.NODE, Action.CREATE))
        api_key = service.new_api_key(self.session, row)
        return self.with_api_key(row, api_key)


RESOURCES = (Nodes, NodeById, NodeApiKey)
