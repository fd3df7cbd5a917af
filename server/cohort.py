"""Which devices take part in a round."""

from collections.abc import Callable, Sequence

import numpy as np

from edge.errors import TinyfleetError

__all__ = ["Cohort", "NoDevices", "OnWait", "RoundsFailed", "sample"]

Cohort = Sequence[str] | Callable[[], Sequence[str]]
"""Device names, or a call that gives them afresh for each round (such as a SPARQL query)."""

OnWait = Callable[[int, int], None]
"""Called with (devices that are needed, devices that are there) while they are waited for."""


class NoDevices(TinyfleetError):
    """No device can be asked."""


class RoundsFailed(TinyfleetError):
    """Round after round got too few updates."""


def sample(names: Sequence[str], size: int, *, seed: int, round: int) -> tuple[str, ...]:
    """Choose a round's cohort.

    Args:
        names: candidates; their order does not matter.
        size: how many; fewer where there are fewer.
        seed: of the run.
        round: number of the round.

    Returns:
        Names in order, the same for the same arguments.

    >>> sample(["a", "b", "c", "d"], 2, seed=7, round=1)
    ('a', 'c')
    """
    ordered = sorted(set(names))
    chosen = np.random.default_rng([seed, round]).permutation(len(ordered))[:size]
    return tuple(sorted(ordered[int(index)] for index in chosen))
