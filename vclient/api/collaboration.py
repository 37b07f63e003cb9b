"""/collaboration: who works together."""

from collections.abc import Iterator

from vclient.api.pages import every
from vprotocol.messages.collaboration import Collaboration
from vruntime.http import Http


def collaborations(http: Http) -> Iterator[Collaboration]:
    return every(http, "/collaboration", Collaboration)
