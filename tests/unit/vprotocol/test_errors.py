import pytest

from vprotocol.errors import InternalError, VestalError, by_code, error_from_wire


def classes(cls=VestalError):
    yield cls
    for sub in cls.__subclasses__():
        if sub.__module__ == "vprotocol.errors":
            yield from classes(sub)


def test_every_code_belongs_to_one_class():
    found = list(classes())
    assert len({cls.code for cls in found}) == len(found)


@pytest.mark.parametrize("cls", list(classes()), ids=lambda cls: cls.code)
def test_an_error_comes_back_as_what_it_was(cls):
    assert cls.__doc__ and cls.__doc__.splitlines()[0].endswith(".")
    error = cls("what happened", hint="what to do", fields={"a": 1})
    back = error_from_wire(400, error.to_wire("request 1"))
    assert type(back) is cls is by_code()[cls.code]
    assert (str(back), back.hint, back.fields, back.request_id) == (
        "what happened",
        "what to do",
        {"a": 1},
        "request 1",
    )
    assert str(cls()) == cls.__doc__.splitlines()[0]


@pytest.mark.parametrize("body", [None, [], "x", {}, {"error": 1}, {"error": {}}, {"error": {"code": []}}])
def test_an_unreadable_answer_is_an_internal_error(body):
    assert type(error_from_wire(502, body)) is InternalError


def test_an_unknown_code_is_still_an_error_with_its_message():
    assert str(error_from_wire(400, {"error": {"code": "from_the_future", "message": "new"}})) == "new"
