"""Names of things. An organization's id is not a run's: each has its own type, and mypy minds it."""

import re
from typing import Annotated, NewType

from pydantic import AfterValidator, StringConstraints

OrganizationId = NewType("OrganizationId", int)
CollaborationId = NewType("CollaborationId", int)
UserId = NewType("UserId", int)
NodeId = NewType("NodeId", int)
TaskId = NewType("TaskId", int)
RunId = NewType("RunId", int)

HEX_128 = re.compile(r"[0-9a-f]{32}")
HEX_256 = re.compile(r"[0-9a-f]{64}")

# 128 random bits, chosen by the creator: what plans and grants use.
Name128 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
JobName = Name128
CollaborationName = Name128
ProjectName = Name128

# SHA-256, lower-case hex.
Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Fingerprint = Hash  # of an organization: the hash of entry 0 of its key log, its name for ever
PayloadId = Hash  # the hash of the signed statement in the payload's trailer
PlanHash = Hash

# First 128 bits of the SHA-256 of the public key record.
KeyId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]

# An image's or manifest's digest.
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]


def _plain_label(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,62}", value):
        raise ValueError("a label begins with a letter, then at most 62 letters, digits, '_' or '-'")
    return value


# Names of steps, inputs, outputs, data sources.
Label = Annotated[str, AfterValidator(_plain_label)]

# C0 and C1 controls, line and paragraph separators, bidirectional controls, byte order mark: with these a name from
# another organization could redraw the screen on which people compare words.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def _printable(value: str) -> str:
    if _UNPRINTABLE.search(value):
        raise ValueError("control characters have no place in a text for people")
    return value


# Names, subjects, reasons: shown to people as they are.
Text = Annotated[str, AfterValidator(_printable)]
