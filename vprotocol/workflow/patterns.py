"""Who gets whose output: each pattern is a pure function from producers and consumers to pairs."""

from collections.abc import Callable, Sequence
from enum import StrEnum

from vprotocol.errors import WorkflowInvalid
from vprotocol.ids import Fingerprint

Pair = tuple[Fingerprint, Fingerprint]  # producer, consumer


class Pattern(StrEnum):
    BROADCAST = "broadcast"  # 1 → M: all get the same
    GATHER = "gather"  # N → 1: one gets everything
    NONE = "none"  # order only, no data


def _broadcast(producers: Sequence[Fingerprint], consumers: Sequence[Fingerprint]) -> tuple[Pair, ...]:
    if len(producers) != 1:
        raise WorkflowInvalid(f"`broadcast` takes the output of one organization; {len(producers)} produce one here")
    return tuple((producers[0], consumer) for consumer in consumers)


def _gather(producers: Sequence[Fingerprint], consumers: Sequence[Fingerprint]) -> tuple[Pair, ...]:
    if len(consumers) != 1:
        raise WorkflowInvalid(f"`gather` brings everything to one organization; {len(consumers)} consume here")
    return tuple((producer, consumers[0]) for producer in producers)


def _none(producers: Sequence[Fingerprint], consumers: Sequence[Fingerprint]) -> tuple[Pair, ...]:
    return ()


_PAIRS: dict[Pattern, Callable[[Sequence[Fingerprint], Sequence[Fingerprint]], tuple[Pair, ...]]] = {
    Pattern.BROADCAST: _broadcast,
    Pattern.GATHER: _gather,
    Pattern.NONE: _none,
}


def pairs(pattern: Pattern, producers: Sequence[Fingerprint], consumers: Sequence[Fingerprint]) -> tuple[Pair, ...]:
    """Producer and consumer of every transfer.

    :raises WorkflowInvalid: the numbers of producers and consumers do not fit the pattern.
    """
    return _PAIRS[pattern](producers, consumers)


def is_many(pattern: Pattern) -> bool:
    """Whether the consumer's input is a list (one item a producer) or a single value."""
    return pattern is Pattern.GATHER


def readers(
    pattern: Pattern, producers: Sequence[Fingerprint], consumers: Sequence[Fingerprint]
) -> tuple[Fingerprint, ...]:
    """Organizations that the output is sealed for, in order, each once."""
    return tuple(dict.fromkeys(consumer for _, consumer in pairs(pattern, producers, consumers)))
