"""Work that would hold up everybody else: password hashing, hashing of large bodies, writing files.

Under gevent it runs in gevent's pool of real threads while other requests go on; with ordinary threads it runs where
it is. Only so many may run or wait; who comes later is told so at once, instead of waiting for ever.
"""

import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from gevent import get_hub
from gevent.monkey import is_module_patched

from vprotocol.errors import Unavailable

P = ParamSpec("P")
Answer = TypeVar("Answer")


class Offload:
    def __init__(self, places: int = 64) -> None:
        self._places = threading.BoundedSemaphore(places)

    def run(self, work: Callable[P, Answer], /, *args: P.args, **kwargs: P.kwargs) -> Answer:
        """The answer of `work`; other greenlets run meanwhile. Never call it inside a write transaction.

        :raises Unavailable: too much is waiting already.
        """
        if not self._places.acquire(blocking=False):
            raise Unavailable("The hub has too much to do just now.")
        try:
            if is_module_patched("threading"):
                return get_hub().threadpool.apply(work, args, kwargs)
            return work(*args, **kwargs)
        finally:
            self._places.release()
