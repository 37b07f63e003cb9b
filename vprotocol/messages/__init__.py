"""What travels between the programs, one file a resource. Unknown fields are ignored on reading and never written."""

from vprotocol.messages.wire import LARGEST_ID, Entity, Label80, Message, Page, PageLinks, Relation, UnixSeconds, WireId

__all__ = [
    "LARGEST_ID",
    "Entity",
    "Label80",
    "Message",
    "Page",
    "PageLinks",
    "Relation",
    "UnixSeconds",
    "WireId",
]
