"""What may stand in a path where an id is expected. Anything else is simply not found."""

from flask import Flask
from werkzeug.routing import BaseConverter, IntegerConverter

from vprotocol.messages import LARGEST_ID


class IdConverter(IntegerConverter):
    def __init__(self, url_map: object) -> None:
        super().__init__(url_map, min=1, max=LARGEST_ID)  # type: ignore[arg-type]


class Hex32Converter(BaseConverter):
    regex = "[0-9a-f]{32}"


class Hex64Converter(BaseConverter):
    regex = "[0-9a-f]{64}"


def register_converters(app: Flask) -> None:
    app.url_map.converters.update(id=IdConverter, hex32=Hex32Converter, hex64=Hex64Converter)
