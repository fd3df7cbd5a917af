"""Schedules of the outer rate: how far a round moves the model."""

import math
from collections.abc import Callable

from edge.errors import UsageError

__all__ = ["SCHEDULES", "check_schedule", "outer_rate"]

SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda left: 1.0,
    "cosine": lambda left: 0.5 - 0.5 * math.cos(math.pi * left),
    "linear": lambda left: left,
}
"""Name to the share of the first rate, given the share of rounds that are left."""


def check_schedule(name: str) -> str:
    """Give the name of a schedule back if there is one.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in SCHEDULES:
        raise UsageError(f"no schedule {name!r}.", hint=", ".join(sorted(SCHEDULES)))
    return name


def outer_rate(schedule: str, first: float, round: int, rounds: int) -> float:
    """Rate of one round.

    Args:
        schedule: a key of `SCHEDULES`.
        first: rate of the first round.
        round: from 1 to `rounds`.
        rounds: how many the run has.

    Returns:
        `first` in round 1; under `linear` and `cosine` close to, but above, 0 in the last.

    >>> [outer_rate("linear", 1.0, n, 4) for n in (1, 2, 3, 4)]
    [1.0, 0.75, 0.5, 0.25]
    >>> round(outer_rate("cosine", 1.0, 3, 4), 3)
    0.5
    """
    left = 1.0 - (round - 1) / max(rounds, 1)
    return first * SCHEDULES[check_schedule(schedule)](min(max(left, 0.0), 1.0))
