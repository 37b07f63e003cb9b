"""What the hub forgets by itself: uploads that no job came for, files of deleted payloads, old events."""

from sqlalchemy import delete

from vserver.events.model import Event
from vserver.events.service import KEPT_S
from vserver.hub import Hub
from vserver.payloads import service

_LOOK_BACK_S = 2 * 86_400.0


def forget_old(hub: Hub) -> None:
    """Bytes go after the rows that say so, and once more if a crash came between."""
    now = hub.now()
    with hub.database.write() as session:
        service.forget_unused(session, now)
        session.execute(delete(Event).where(Event.at < now - KEPT_S).execution_options(synchronize_session=False))
    with hub.database.read() as session:
        gone = service.recently_deleted(session, now - _LOOK_BACK_S)
    for payload_id in gone:
        hub.files.run(hub.payloads.remove, payload_id)
