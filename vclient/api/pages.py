"""Lists of the hub: page after page, as the links lead."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from vprotocol.messages.wire import Message, PageLinks
from vruntime.http import Http

PAGE = 200
MAX_PAGES = 500
View = TypeVar("View", bound=Message)


def every(http: Http, path: str, view: type[View], params: Mapping[str, Any] | None = None) -> Iterator[View]:
    """Each item of a list, fetched as far as it is asked for."""
    link: str | None = path
    query: Mapping[str, Any] | None = {"limit": PAGE, **(params or {})}
    for _ in range(MAX_PAGES):  # a hub that links in circles must not hold us for ever
        if link is None:
            return
        page = _Page.from_wire(http.get(link, params=query))
        for item in page.data:
            yield view.from_wire(item)
        link, query = page.links.next, None


class _Page(Message):
    data: tuple[Any, ...]
    links: PageLinks
