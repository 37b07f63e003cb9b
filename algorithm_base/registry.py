"""Which functions may be called from outside, and how an order's arguments reach them."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeVar, overload

from algorithm_base.errors import OrderError
from algorithm_base.parameters import Wish, wish_of

AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])

_MARK = "__algorithm_method__"
_everything: dict[tuple[str, str], "Method"] = {}


@dataclass(frozen=True)
class Method:
    """A function that orders may name, and what the node fills in for it."""

    name: str
    function: Callable[..., Any]
    signature: inspect.Signature
    wishes: Mapping[str, Wish]

    def call(self, filled: Mapping[str, Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        return self.function(*(bound := self._bind(filled, args, kwargs)).args, **bound.kwargs)

    def check(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Refuse arguments that do not fit, before any data is read."""
        self._bind(dict.fromkeys(self.wishes), args, kwargs)

    def _bind(
        self, filled: Mapping[str, Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> inspect.BoundArguments:
        if taken := sorted(self.wishes.keys() & kwargs.keys()):
            raise OrderError(f"{self.name}: '{taken[0]}' is filled in by the node and cannot be sent")
        sent = self.signature.replace(
            parameters=[each for name, each in self.signature.parameters.items() if name not in self.wishes]
        )
        try:
            bound = sent.bind(*args, **kwargs)
        except TypeError as error:  # its text holds names of parameters only
            raise OrderError(f"{self.name}: {error}") from None
        bound.apply_defaults()
        values = {**bound.arguments, **filled}
        ordered = {name: values[name] for name in self.signature.parameters if name in values}
        return inspect.BoundArguments(self.signature, ordered)


@overload
def method(function: AnyFunction) -> AnyFunction: ...
@overload
def method(*, name: str) -> Callable[[AnyFunction], AnyFunction]: ...
def method(function: Any = None, *, name: str | None = None) -> Any:
    """Let orders call this function, under its own name or another. The function itself stays what it was."""
    if function is None:
        return lambda later: _register(later, name)
    return _register(function, name)


def _register(function: Callable[..., Any], name: str | None) -> Callable[..., Any]:
    signature = inspect.signature(function)
    wishes = {each.name: wish for each in signature.parameters.values() if (wish := wish_of(each)) is not None}
    made = Method(name or function.__name__, function, signature, wishes)
    setattr(function, _MARK, made)
    _everything[function.__module__, made.name] = made
    return function


def method_of(function: Callable[..., Any]) -> Method:
    made = getattr(function, _MARK, None)
    if not isinstance(made, Method):
        raise OrderError(f"{getattr(function, '__name__', 'this')} is not marked with @method")
    return made


def methods_in(module: ModuleType) -> dict[str, Method]:
    """The methods that a module defines or imports: exactly these can be called in an image that runs this module."""
    found: dict[str, Method] = {}
    for made in _marked(module):
        if found.setdefault(made.name, made) is not made:
            raise OrderError(f"two functions in {module.__name__} are called '{made.name}': give one another name")
    return found


def method_named(name: str, module: ModuleType) -> Method:
    methods = methods_in(module)
    if name not in methods:
        raise OrderError(
            f"there is no method '{name}' in {module.__name__}; it has: {', '.join(sorted(methods)) or 'none'}"
        )
    return methods[name]


def method_anywhere(name: str) -> Method:
    """The only method of this name that this process has imported (for tests)."""
    found = [made for (_, known), made in _everything.items() if known == name]
    if len(found) != 1:
        raise OrderError(
            f"{len(found) or 'no'} imported methods are called '{name}': pass the function, or algorithm=MODULE"
        )
    return found[0]


def _marked(module: ModuleType) -> Iterator[Method]:
    for value in vars(module).values():
        if inspect.isfunction(value) and isinstance(made := getattr(value, _MARK, None), Method):
            yield made
