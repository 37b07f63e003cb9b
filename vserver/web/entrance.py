"""The entrance: where to go, whether the hub is well, what it speaks."""

from flask import Response
from prometheus_client import generate_latest

from vprotocol.errors import Unavailable
from vprotocol.messages import Message
from vserver.version import VERSION
from vserver.web import openapi
from vserver.web.links import Endpoint, link
from vserver.web.operation import Work, operation
from vserver.web.resource import HubResource


class Entrance(Message):
    """Every list and every fixed place of this hub."""

    version: str
    links: dict[str, str]


class Health(Message):
    status: str


class Version(Message):
    version: str
    api: str


class Root(HubResource):
    place = Endpoint.ROOT

    @operation("Where to go from here", answer=Entrance, public=True, work=Work.OWN)
    def get(self) -> Entrance:
        places = {place.name.lower(): link(place) for place in self.hub.operations if "<" not in place.value}
        return Entrance(version=VERSION, links=places)


class HealthResource(HubResource):
    place = Endpoint.HEALTH

    @operation("Whether the process answers", answer=Health, public=True, work=Work.OWN)
    def get(self) -> Health:
        return Health(status="ok")


class ReadyResource(HubResource):
    place = Endpoint.READY

    @operation(
        "Whether requests can be served: the database answers, the hub is not stopping",
        answer=Health,
        public=True,
        work=Work.OWN,
        errors=(Unavailable,),
    )
    def get(self) -> Health:
        if self.hub.signals.closed:
            raise Unavailable("The hub is stopping.")
        self.hub.database.ping()
        return Health(status="ready")


class VersionResource(HubResource):
    place = Endpoint.VERSION

    @operation("Which version this is", answer=Version, public=True, work=Work.OWN)
    def get(self) -> Version:
        return Version(version=VERSION, api="v1")


class MetricsResource(HubResource):
    place = Endpoint.METRICS

    @operation("Counters for Prometheus", public=True, work=Work.OWN, media_type="text/plain")
    def get(self) -> Response:
        return Response(generate_latest(self.hub.metrics), mimetype="text/plain; version=0.0.4")


class OpenApiResource(HubResource):
    place = Endpoint.OPENAPI

    @operation("This API, described", public=True, work=Work.OWN)
    def get(self) -> dict[str, object]:
        return openapi.document(self.hub.operations)


RESOURCES = (Root, HealthResource, ReadyResource, VersionResource, MetricsResource, OpenApiResource)
