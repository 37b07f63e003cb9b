"""How a bench was asked for."""

import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    quick: bool = False  # a trial of the bench itself: small sizes, few rounds; its figures mean little

    def times(self, full: int) -> int:
        return max(2, full // 10) if self.quick else full

    def say(self, line: str) -> None:
        """Progress, for people: stdout is for the answer."""
        print(line, file=sys.stderr, flush=True)
