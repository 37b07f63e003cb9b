"""Write a federated algorithm as plain functions.

A function marked with `@method` can be called from outside. What the node fills in is said by the parameter: a data
source (`source`), what earlier steps of a workflow produced (`inputs`), other organizations (`Peers`), a stream for
large results (`OutputStream`). Everything else in the signature is sent by the researcher.

    from algorithm_base import DataFrame, Peers, method, source

    @method
    def partial_count(data: DataFrame = source()):
        return len(data)

    @method
    def count(peers: Peers):
        return sum(peers.call(partial_count))

Keys, encryption and networking are none of the algorithm's business, and a laptop is enough to try it:
`algorithm_base.testing`.
"""

from algorithm_base.data import DataFrame, DataSource, Rows
from algorithm_base.environment import setting
from algorithm_base.errors import AlgorithmError
from algorithm_base.outputs import Outputs, OutputStream
from algorithm_base.parameters import inputs, source, sources
from algorithm_base.peers import Answer, Organization, Peers, Subtask, SubtaskFailed
from algorithm_base.progress_report import progress
from algorithm_base.registry import method

__all__ = [
    "AlgorithmError",
    "Answer",
    "DataFrame",
    "DataSource",
    "Organization",
    "OutputStream",
    "Outputs",
    "Peers",
    "Rows",
    "Subtask",
    "SubtaskFailed",
    "inputs",
    "method",
    "progress",
    "setting",
    "source",
    "sources",
]
