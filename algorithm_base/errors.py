"""Errors whose text may leave the node.

Everything that an algorithm prints or raises can travel to the researcher. The text of any other exception may quote
the data ("could not convert 'J. Jansen' to float"), so it is withheld; the text of these may not, so it is shown.
"""


class AlgorithmError(Exception):
    """The algorithm stopped on purpose. Its text is shown to the researcher: never put a value of the data into it."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or type(self).__name__).strip().splitlines()[0])


class ContractError(AlgorithmError):
    """The container was not started as a node starts it. Run it through a node, or use algorithm_base.testing."""


class OrderError(AlgorithmError):
    """The order does not fit this algorithm. Compare the method's name and arguments with its documentation."""


class SourceError(AlgorithmError):
    """A data source cannot be read. Ask the data holder to check its type and location in the node's file."""


class InputError(AlgorithmError):
    """A named input is missing. Connect a step to it in the workflow, or give the parameter a default."""


class OutputError(AlgorithmError):
    """The result cannot be written. Return numbers, texts, lists, dictionaries, arrays, frames or bytes."""
