"""What all messages have in common: how they are read and written, relations, pages."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from vprotocol.errors import BadMessage

LARGEST_ID = 2**31 - 1
WireId = Annotated[int, Field(ge=1, le=LARGEST_ID)]  # of an organization, a run, ...: given out by the hub
UnixSeconds = float  # seconds since 1970, UTC
Label80 = Annotated[str, StringConstraints(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f]+$")]

Item = TypeVar("Item")


class Message(BaseModel):
    """Frozen; fields that we do not know are ignored on reading and never written."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, allow_inf_nan=False)

    @classmethod
    def from_json(cls, raw: bytes | str) -> Self:
        """Read what came over the wire.

        :raises BadMessage: `fields` says what is wrong where, and never repeats the value.
        """
        try:
            return cls.model_validate_json(raw, strict=True)
        except ValidationError as error:
            raise _bad_message(cls, error) from None

    @classmethod
    def from_wire(cls, body: Any) -> Self:
        """Read what was already decoded from JSON.

        :raises BadMessage: as `from_json`.
        """
        try:
            raw = json.dumps(body)
        except RecursionError:
            raise BadMessage("This is nested too deeply.") from None
        return cls.from_json(raw)

    def to_wire(self) -> dict[str, Any]:
        """As JSON values."""
        return self.model_dump(mode="json", by_alias=True)

    def to_json(self) -> bytes:
        return self.model_dump_json(by_alias=True).encode()


def _bad_message(cls: type[Message], error: ValidationError) -> BadMessage:
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    if problems and problems[0]["type"] == "json_invalid":
        return BadMessage("This is not JSON.", fields={"/": problems[0]["msg"]})
    fields = {"/" + "/".join(str(part) for part in problem["loc"]): problem["msg"] for problem in problems}
    where, what = next(iter(fields.items()))
    return BadMessage(f"{cls.__name__}: {where}: {what}", fields=fields)


class Relation(Message):
    """One other thing: where it is, and what this caller may do there."""

    id: int | str
    link: str
    methods: tuple[str, ...]


class Entity(Message):
    """What every thing of the API has; `methods` are the verbs that this caller may use on it."""

    id: int | str
    self_: str = Field(alias="self")
    methods: tuple[str, ...] = ()
    links: Mapping[str, str | Relation] = Field(default_factory=dict)


class PageLinks(Message):
    self_: str = Field(alias="self")
    first: str
    prev: str | None
    next: str | None


class Page(Message, Generic[Item]):
    """A part of a list, in a stable order; `total` counts the whole list."""

    data: tuple[Item, ...]
    links: PageLinks
    total: int
