"""What every resource may use: the settings and the doors to the outside, passed in once."""

from collections.abc import Callable
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from vruntime.clock import Clock
from vserver.config import Settings
from vserver.db import Database
from vserver.jobs.leases import LeaseTokens
from vserver.jobs.told import Told
from vserver.offload import Offload
from vserver.payloads.folder import PayloadFolder
from vserver.web.links import Operations
from vserver.web.longpoll import Signals
from vserver.web.ratelimit import RateLimiter


@dataclass(frozen=True)
class Chore:
    """Something that the hub does by itself every `every_s` seconds, such as forgetting expired tokens."""

    name: str
    every_s: float
    do: Callable[["Hub"], None]


@dataclass(frozen=True)
class Hub:
    settings: Settings
    clock: Clock
    database: Database
    signals: Signals
    hashing: Offload  # passwords
    files: Offload  # payload segments and their hashes
    logins: RateLimiter
    writes: RateLimiter
    metrics: CollectorRegistry
    operations: Operations
    payloads: PayloadFolder
    lease_tokens: LeaseTokens
    told: Told
    chores: list[Chore] = field(default_factory=list)

    def now(self) -> float:
        """Unix seconds."""
        return self.clock.now()
