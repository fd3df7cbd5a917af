"""Send only the largest entries of a delta, and what was left out another time."""

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["TopP"]


class TopP:
    """Top-P sparsification with error feedback (Stich, Cordonnier, Jaggi 2018).

    >>> import numpy as np
    >>> top = TopP()
    >>> values, indices = top.compress(np.array([1, -3, 2, 0], np.float32), 0.25)
    >>> values.tolist(), indices.tolist()
    ([-3.0], [1])
    >>> top.compress(np.array([1, 0, 0, 0], np.float32), 0.5)[0].tolist()
    [2.0, 2.0]
    """

    def __init__(self) -> None:
        """Start with nothing left out."""
        self._rest: NDArray[np.float32] | None = None

    def compress(
        self, delta: NDArray[np.float32], share: float
    ) -> tuple[NDArray[np.float32], NDArray[np.uint32] | None]:
        """Pick the largest entries of `delta` plus what earlier calls left out.

        Args:
            delta: float32 [n], finite.
            share: 0 < share <= 1; ceil(share * n) entries are picked, all from 1 on.

        Returns:
            float32 [m] values, and uint32 [m] increasing indices, or None where all are sent.
        """
        if self._rest is not None and self._rest.shape == delta.shape:
            delta = delta + self._rest
        self._rest = None
        if share >= 1 or delta.size == 0:
            return delta, None
        order = np.argsort(-np.abs(delta), kind="stable")
        picked = np.sort(order[: math.ceil(share * delta.size)])
        values = delta[picked]
        self._rest = delta.copy()
        self._rest[picked] = 0
        return values, picked.astype(np.uint32)
