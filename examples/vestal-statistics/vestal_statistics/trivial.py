"""Methods that compute nothing: to try a federation and to measure it. numpy is not needed here."""

from typing import Any

from algorithm_base import OutputStream, Peers, method

_CHUNK = b"1" * (1 << 20)


@method
def echo(value: Any = None) -> Any:
    """The value that was sent."""
    return value


@method
def echo_everywhere(peers: Peers, value: Any = None, organizations: list[int] | None = None) -> list[Any]:
    """The value, once from each organization asked."""
    return peers.call(echo, value, organizations=organizations)


@method
def ones(output: OutputStream, size_bytes: int) -> None:
    """A result of this many bytes, each the digit 1, at constant memory."""
    left_bytes = size_bytes
    while left_bytes > 0:
        left_bytes -= output.write(_CHUNK[:left_bytes])
