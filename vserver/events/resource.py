"""/event: what happens, as a held request or as a stream of server-sent events."""

import base64
import binascii
import json
from collections.abc import Iterator

from flask import Response, request

from vprotocol import messages as m
from vprotocol.errors import BadMessage, BadRequest, Damaged
from vprotocol.messages.event import EventPost, EventView
from vprotocol.roles import Action, Resource
from vruntime.clock import Deadline
from vserver.authz import Principal
from vserver.events import service
from vserver.events.model import Event
from vserver.hub import Hub
from vserver.payloads.service import read_whole
from vserver.web import held
from vserver.web.links import Endpoint, query
from vserver.web.operation import Work, operation
from vserver.web.paging import Listing
from vserver.web.resource import HubResource

STREAM_S = 600.0  # a stream ends by itself after this; watchers come back with Last-Event-ID
BREATH_S = 15.0  # a comment keeps the proxies in between from closing a silent stream
LISTING = Listing(key=Event.id, view=EventView)


def view(row: Event) -> EventView:
    return EventView(
        id=row.id,
        self_=query(Endpoint.EVENTS, since=row.id - 1, limit=1),
        at=row.at,
        kind=row.kind,
        collaboration_id=row.collaboration_id,
        job_id=row.job_id,
        task_id=row.task_id,
        run_id=row.run_id,
        organization_id=row.organization_id,
        node_id=row.node_id,
        data=row.data,
        body=None if row.body is None else base64.b64encode(row.body).decode("ascii"),
    )


class Events(HubResource):
    place = Endpoint.EVENTS

    @operation(
        "Events after `?since=ID`, oldest first; `?wait=S` is held until there is one; "
        "with `Accept: text/event-stream` a stream that goes on after `Last-Event-ID`",
        listing=LISTING,
        needs=(Resource.EVENT, Action.VIEW),
        work=Work.OWN,
    )
    def get(self) -> dict[str, object] | Response:
        held.only("since", "wait", "limit")
        after, hub, principal = _after(), self.hub, self.principal
        if "text/event-stream" in request.headers.get("Accept", ""):
            stream = _stream(hub, principal, after)
            return Response(stream, mimetype="text/event-stream", headers={"X-Accel-Buffering": "no"})
        limit, wait_s = _limit(), held.wait_s(hub.settings.longest_wait_s)

        def look() -> list[EventView] | None:
            return _read(hub, principal, after, limit) or None

        if wait_s > 0:
            found = hub.signals.hold([service.TOPIC], Deadline.after(hub.clock, wait_s), look) or []
        else:
            found = look() or []
        last = found[-1].id if found else after
        return {
            "data": [event.to_wire() for event in found],
            "links": {
                "self": query(Endpoint.EVENTS, since=after),
                "first": query(Endpoint.EVENTS, since=0),
                "prev": None,
                "next": query(Endpoint.EVENTS, since=last),
            },
            "total": len(found),
        }

    @operation(
        "Push a custom event; its body is a sealed payload of kind `event`",
        body=EventPost,
        status=204,
        needs=(Resource.EVENT, Action.CREATE),
        errors=(Damaged, BadRequest),
    )
    def post(self) -> m.Message | None:
        asked = self.body(EventPost)
        try:
            body = base64.b64decode(asked.body, validate=True)
        except (binascii.Error, ValueError):
            raise BadMessage("the body is not base64", fields={"/body": "not base64"}) from None
        sealed = read_whole(body)
        if sealed.parts.header.kind != "event":
            raise BadRequest("The body of a custom event is a sealed payload of kind `event`.")
        service.post(
            self.session,
            self.principal,
            kind=asked.kind,
            collaboration_id=asked.collaboration_id,
            job_id=asked.job_id,
            body=body,
            at=self.hub.now(),
        )
        service.wake(self.session, self.hub.signals.notify)
        return None


def _after() -> int:
    last = request.headers.get("Last-Event-ID", "")
    if last:
        if not last.isdecimal() or not last.isascii() or len(last) > 18:
            raise BadRequest("Last-Event-ID is the id of an event.", fields={"Last-Event-ID": "a whole number"})
        return int(last)
    return held.since() or 0


def _limit() -> int:
    text = request.args.get("limit", str(service.MOST))
    if not text.isdecimal() or not text.isascii() or not 1 <= int(text[:9]) <= service.MOST:
        raise BadRequest(
            f"Query parameter `limit`: a whole number from 1 to {service.MOST}.", fields={"limit": "out of range"}
        )
    return int(text)


def _read(hub: Hub, principal: Principal, after: int, limit: int) -> list[EventView]:
    with hub.database.read() as session:
        return [view(row) for row in service.since(session, principal, after, limit)]


def _stream(hub: Hub, principal: Principal, after: int) -> Iterator[bytes]:
    end = Deadline.after(hub.clock, STREAM_S)
    with hub.signals.listen([service.TOPIC]) as ear:
        yield b"retry: 1000\n\n"
        while not end.passed() and not hub.signals.closed:
            found = _read(hub, principal, after, service.MOST)
            for event in found:
                after = event.id
                data = json.dumps(event.to_wire(), separators=(",", ":"))
                yield f"id: {event.id}\nevent: {event.kind}\ndata: {data}\n\n".encode()
            if not found and not ear.wait(Deadline.after(hub.clock, min(BREATH_S, end.remaining_s()))):
                yield b": still here\n\n"


RESOURCES = (Events,)
