"""Lists: filters and sort orders that a resource declares, pages by keyset, a choice of fields.

A cursor says where the last page ended (its sort value and id), not how many were skipped: pages stay right while
things come and go, and the thousandth page costs as much as the first.
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session
from werkzeug.datastructures import MultiDict

from vprotocol.errors import BadRequest
from vprotocol.messages import LARGEST_ID, Message, PageLinks

DEFAULT_LIMIT = 50
MAX_LIMIT = 500
_OWN_NAMES = frozenset({"limit", "cursor", "sort", "fields"})


@dataclass(frozen=True)
class Filter:
    """One query parameter: how its text is read, and what it asks of the rows."""

    parse: Callable[[str], Any]
    clause: Callable[[Any], ColumnElement[bool]]
    schema: Mapping[str, Any]
    help: str = ""


def by_id(clause: Callable[[int], ColumnElement[bool]], help: str = "") -> Filter:
    return Filter(_id, clause, {"type": "integer", "minimum": 1, "maximum": LARGEST_ID}, help)


def by_text(column: InstrumentedAttribute[Any], help: str = "") -> Filter:
    """Equal, or with `*` for any characters."""
    return Filter(_text, lambda value: _like(column, value), {"type": "string"}, help or "`*` stands for anything")


def by_choice(clause: Callable[[str], ColumnElement[bool]], choices: tuple[str, ...], help: str = "") -> Filter:
    """One of `choices`, or several of them separated by commas when the clause is for one: joined by "or"."""

    def parse(text: str) -> list[str]:
        words = text.split(",")
        if wrong := [word for word in words if word not in choices]:
            raise ValueError(f"{wrong[0][:40]!r} is not one of {', '.join(choices)}")
        return words

    return Filter(
        parse, lambda words: or_(*(clause(word) for word in words)), {"type": "string", "examples": list(choices)}, help
    )


def by_bool(clause: Callable[[bool], ColumnElement[bool]], help: str = "") -> Filter:
    return Filter(_bool, clause, {"type": "boolean"}, help)


def _id(text: str) -> int:
    if not text.isdecimal() or not text.isascii() or not 1 <= int(text) <= LARGEST_ID:
        raise ValueError(f"must be a whole number from 1 to {LARGEST_ID}")
    return int(text)


def _text(text: str) -> str:
    if "\x00" in text or len(text) > 200:
        raise ValueError("at most 200 characters, none of them NUL")
    return text


def _bool(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("must be true or false")
    return text == "true"


def _like(column: InstrumentedAttribute[Any], value: str) -> ColumnElement[bool]:
    if "*" not in value:
        return column == value
    escaped = value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_").replace("*", "%")
    return column.like(escaped, escape="\\")


@dataclass(frozen=True)
class Listing:
    """What a list can be asked. `sorts` are columns that are never null; `key` makes the order total."""

    key: InstrumentedAttribute[Any]
    view: type[Message]
    filters: Mapping[str, Filter] = field(default_factory=dict)
    sorts: Mapping[str, InstrumentedAttribute[Any]] = field(default_factory=dict)
    default_sort: str = "id"

    def column(self, name: str) -> InstrumentedAttribute[Any]:
        return self.key if name == "id" else self.sorts[name]


@dataclass(frozen=True)
class _Cursor:
    value: Any
    id: Any
    backwards: bool

    def encode(self) -> str:
        packed = json.dumps([self.value, self.id, int(self.backwards)], separators=(",", ":"))
        return base64.urlsafe_b64encode(packed.encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> "_Cursor":
        try:
            value, key, backwards = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        except (ValueError, TypeError, binascii.Error, RecursionError):
            raise _wrong("cursor", "use the links of a page, not a cursor of your own") from None
        if not _plain(value) or not _plain(key) or backwards not in (0, 1):
            raise _wrong("cursor", "use the links of a page, not a cursor of your own")
        return cls(value, key, bool(backwards))


def _plain(value: object) -> bool:
    if isinstance(value, bool) or value is None:
        return False
    if isinstance(value, int):
        return 0 <= value < 2**53
    return isinstance(value, float) or (isinstance(value, str) and "\x00" not in value)


@dataclass(frozen=True)
class Asked:
    """A list request, understood."""

    listing: Listing
    clauses: tuple[ColumnElement[bool], ...]
    sort: str
    descending: bool
    limit: int
    cursor: _Cursor | None
    fields: frozenset[str] | None
    arguments: tuple[tuple[str, str], ...]

    @classmethod
    def parse(cls, listing: Listing, arguments: MultiDict[str, str]) -> "Asked":
        """:raises BadRequest: `fields` names the query parameter and what is wrong with it."""
        for name in arguments:
            if name not in listing.filters and name not in _OWN_NAMES:
                known = ", ".join(sorted({*listing.filters, *_OWN_NAMES}))
                raise _wrong(name, f"unknown query parameter; this list knows {known}")
            if len(arguments.getlist(name)) > 1:
                raise _wrong(name, "given more than once")
        sort = arguments.get("sort", listing.default_sort)
        descending, name = sort.startswith("-"), sort.removeprefix("-")
        if name != "id" and name not in listing.sorts:
            raise _wrong("sort", f"one of {', '.join(['id', *listing.sorts])}, with - in front for the reverse")
        return cls(
            listing=listing,
            clauses=tuple(
                _clause(key, spec, arguments[key]) for key, spec in listing.filters.items() if key in arguments
            ),
            sort=name,
            descending=descending,
            limit=_limit(arguments.get("limit")),
            cursor=_Cursor.decode(arguments["cursor"]) if "cursor" in arguments else None,
            fields=_fields(listing.view, arguments.get("fields")),
            arguments=tuple((key, value) for key, value in arguments.items() if key != "cursor"),
        )


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not text.isdecimal() or not text.isascii() or not 1 <= int(text) <= MAX_LIMIT:
        raise _wrong("limit", f"a whole number from 1 to {MAX_LIMIT}")
    return int(text)


def _fields(view: type[Message], text: str | None) -> frozenset[str] | None:
    if text is None:
        return None
    known = {spec.alias or name for name, spec in view.model_fields.items()}
    if unknown := set(text.split(",")) - known:
        raise _wrong("fields", f"{sorted(unknown)[0]!r} is not one of {', '.join(sorted(known))}")
    return frozenset(text.split(",")) | {"id", "self"}


def _clause(name: str, spec: Filter, text: str) -> ColumnElement[bool]:
    try:
        return spec.clause(spec.parse(text))
    except ValueError as error:
        raise _wrong(name, str(error)) from None


def _wrong(name: str, what: str) -> BadRequest:
    return BadRequest(f"Query parameter `{name}`: {what}.", fields={name: what})


def page(
    session: Session,
    statement: Select[Any],
    asked: Asked,
    path: str,
    view: Callable[[list[Any]], list[Message]],
) -> dict[str, Any]:
    """One page of `statement` (which selects one entity, already limited to what the caller may see).

    `view` makes messages of all rows of the page at once, so that it can look up what they share in one query.
    """
    filtered = statement.where(*asked.clauses)
    total = session.scalar(select(func.count()).select_from(filtered.order_by(None).subquery())) or 0
    rows, more_before, more_after = _rows(session, filtered, asked)
    items = [message.to_wire() for message in view(rows)]
    if asked.fields is not None:
        items = [{name: value for name, value in item.items() if name in asked.fields} for item in items]
    links = PageLinks(
        self_=_url(path, asked, asked.cursor),
        first=_url(path, asked, None),
        prev=_url(path, asked, _cursor_at(rows[0], asked, backwards=True)) if rows and more_before else None,
        next=_url(path, asked, _cursor_at(rows[-1], asked, backwards=False)) if rows and more_after else None,
    )
    return {"data": items, "links": links.to_wire(), "total": total}


def _rows(session: Session, statement: Select[Any], asked: Asked) -> tuple[list[Any], bool, bool]:
    cursor = asked.cursor
    backwards = cursor is not None and cursor.backwards
    column, key = asked.listing.column(asked.sort), asked.listing.key
    down = asked.descending != backwards
    if cursor is not None:
        statement = statement.where(_beyond(column, key, cursor, down))
    order = (column.desc(), key.desc()) if down else (column.asc(), key.asc())
    rows = list(session.scalars(statement.order_by(None).order_by(*order).limit(asked.limit + 1)))
    more = len(rows) > asked.limit
    rows = rows[: asked.limit]
    if backwards:
        return rows[::-1], more, True
    return rows, cursor is not None, more


def _beyond(
    column: InstrumentedAttribute[Any], key: InstrumentedAttribute[Any], cursor: _Cursor, down: bool
) -> ColumnElement[bool]:
    for place, value in ((column, cursor.value), (key, cursor.id)):
        wanted = place.type.python_type
        if not isinstance(value, (int, float) if wanted is float else wanted):
            raise _wrong("cursor", "belongs to another order")
    if down:
        return or_(column < cursor.value, and_(column == cursor.value, key < cursor.id))
    return or_(column > cursor.value, and_(column == cursor.value, key > cursor.id))


def _cursor_at(row: Any, asked: Asked, *, backwards: bool) -> _Cursor:
    return _Cursor(getattr(row, asked.listing.column(asked.sort).key), getattr(row, asked.listing.key.key), backwards)


def _url(path: str, asked: Asked, cursor: _Cursor | None) -> str:
    arguments = [*asked.arguments, *([("cursor", cursor.encode())] if cursor else [])]
    return f"{path}?{urlencode(arguments)}" if arguments else path
