"""How the body of every signed document is read: strict JSON into a frozen type; nothing unknown but `extensions`.

A document has one encoding: `encode` writes it, and `decode` refuses every other. So no two programs read one signature
as two statements, and `true` never passes for 1.
"""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from vprotocol import strict_json
from vprotocol.errors import DocumentInvalid, TrustError


class DocumentBody(BaseModel):
    """Unknown fields are refused: whoever does not know a field cannot know what it forbids.

    A future version may add what old readers can ignore under `extensions` only.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)

    def encode(self) -> bytes:
        return strict_json.canonical(self.model_dump(mode="json", by_alias=True))

    @classmethod
    def decode(cls, body: bytes, *, limit_bytes: int, error: type[TrustError] = DocumentInvalid) -> Self:
        """:raises DocumentInvalid: (or the given subclass) with the place of the first faults."""
        try:
            value = strict_json.loads(body, limit_bytes=limit_bytes, what=cls.__name__.removesuffix("Body").lower())
            document = cls.model_validate_json(strict_json.canonical(value), strict=True)
        except ValidationError as fault:
            raise error(faults(fault)) from None
        except DocumentInvalid as fault:
            raise error(str(fault)) from None
        if document.encode() != body:
            raise error("document: not in the one form that we write (canonical JSON, every field present)")
        return document


def faults(error: ValidationError, most: int = 5) -> str:
    """The first few faults as `place: what`, without the values."""
    found: list[str] = []
    for item in error.errors(include_url=False, include_context=False, include_input=False)[:most]:
        place = ".".join(str(part) for part in item["loc"]) or "document"
        found.append(f"{place}: {item['msg']}")
    more = error.error_count() - len(found)
    return "; ".join(found) + (f"; and {more} more" if more > 0 else "")


def fault_fields(error: ValidationError) -> dict[str, Any]:
    return {
        ".".join(str(part) for part in item["loc"]): item["msg"]
        for item in error.errors(include_url=False, include_context=False, include_input=False)
    }
