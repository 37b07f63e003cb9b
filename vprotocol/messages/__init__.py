"""What travels between the programs, one file a resource. Unknown fields are ignored on reading and never written."""

from vprotocol.messages.wire import Entity, Label80, Message, Page, PageLinks, Relation, UnixSeconds

__all__ = ["Entity", "Label80", "Message", "Page", "PageLinks", "Relation", "UnixSeconds"]
