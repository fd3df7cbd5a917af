"""Send a delta in fewer bytes: its largest entries, or in int8, or both; the error another time."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Compressed", "Compressor"]

Float32 = NDArray[np.float32]
_LARGEST = 127


@dataclass(frozen=True)
class Compressed:
    """What is sent of a delta.

    Args:
        values: float32 [m]; empty where `codes` is given.
        indices: uint32 [m], increasing: which entries are sent; None: all.
        codes: int8 [m], each worth `scale`.
        scale: float32 value of one code.
    """

    values: Float32
    indices: NDArray[np.uint32] | None = None
    codes: NDArray[np.int8] | None = None
    scale: float = 0.0

    def dense(self, n: int) -> Float32:
        """What arrives, in full length: float32 [n]."""
        values = self.values if self.codes is None else self.codes * np.float32(self.scale)
        if self.indices is None:
            return values
        full = np.zeros(n, np.float32)
        full[self.indices] = values
        return full


class Compressor:
    """Top-P sparsification and int8 rounding, both with error feedback.

    Stich, Cordonnier and Jaggi, "Sparsified SGD with Memory", NeurIPS 2018; Karimireddy et al.,
    "Error Feedback Fixes SignSGD and other Gradient Compression Schemes", ICML 2019.

    >>> import numpy as np
    >>> compressor = Compressor()
    >>> first = compressor.compress(np.array([1, -3, 2, 0], np.float32), 0.25)
    >>> first.values.tolist(), first.indices.tolist()
    ([-3.0], [1])
    >>> compressor.compress(np.array([1, 0, 0, 0], np.float32), 0.5).values.tolist()
    [2.0, 2.0]
    """

    def __init__(self) -> None:
        """Start with nothing left out."""
        self._rest: Float32 | None = None

    def compress(self, delta: Float32, share: float, bits: int = 32) -> Compressed:
        """Pick the largest entries of `delta` plus what earlier calls left out, and round them.

        Args:
            delta: float32 [n], finite.
            share: 0 < share <= 1; ceil(share * n) entries are picked, all from 1 on.
            bits: 32, or 8 for int8 codes of one symmetric scale.
        """
        if self._rest is not None and self._rest.shape == delta.shape:
            delta = delta + self._rest
        self._rest = None
        picked = _largest(delta, share)
        values = delta if picked is None else delta[picked]
        found = Compressed(values, picked) if bits == 32 else _rounded(values, picked)
        if found.codes is not None or picked is not None:
            self._rest = delta - found.dense(delta.size)
        return found


def _largest(delta: Float32, share: float) -> NDArray[np.uint32] | None:
    if share >= 1 or delta.size == 0:
        return None
    order = np.argsort(-np.abs(delta), kind="stable")
    return np.sort(order[: math.ceil(share * delta.size)]).astype(np.uint32)


def _rounded(values: Float32, picked: NDArray[np.uint32] | None) -> Compressed:
    scale = np.float32(np.abs(values).max(initial=0)) / np.float32(_LARGEST)
    divided = values / scale if scale > 0 else np.zeros_like(values)
    codes = np.clip(np.rint(divided), -_LARGEST, _LARGEST).astype(np.int8)
    return Compressed(values[:0], picked, codes, float(scale))
