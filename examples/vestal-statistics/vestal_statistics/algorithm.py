"""What orders may call in an image of this package."""

from vestal_statistics.logistic import central_logistic, partial_newton
from vestal_statistics.moments import central_moments, combine_moments, partial_moments
from vestal_statistics.trivial import echo, echo_everywhere, ones

__all__ = [
    "central_logistic",
    "central_moments",
    "combine_moments",
    "echo",
    "echo_everywhere",
    "ones",
    "partial_moments",
    "partial_newton",
]
