"""The front end in NumPy: the twin of `tf_logmel.c` and `tf_fit.c`, to the bit."""

import numpy as np
from numpy.typing import NDArray

from edge.frontend.tables import Tables

__all__ = ["LogMel"]

Int16 = NDArray[np.int16]
Int64 = NDArray[np.int64]
_GUARD_BITS, _POWER_SHIFT, _WEIGHT_BITS, _FLOOR = 6, 16, 12, 64
_SCALE = np.float32(1 / 512)


class LogMel:
    """Log energies of mel bands, in whole numbers.

    Args:
        tables: sizes and tables.
    """

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        bits = tables.frame.bit_length() - 1
        order = np.arange(tables.frame)
        self._reversed = sum(((order >> i) & 1) << (bits - 1 - i) for i in range(bits))

    def frames(self, samples: int) -> int:
        """How many frames so many samples give, at least one."""
        beyond = max(samples - self.tables.frame, 0)
        return 1 + beyond // self.tables.hop

    def bands(self, audio: Int16) -> tuple[Int16, NDArray[np.uint64]]:
        """The bands of each frame.

        Args:
            audio: int16 [samples]; what is missing in the first frame counts as 0.

        Returns:
            int16 [frames, bands], log2 of the energy in 1/256; uint64 [frames], energy in all.
        """
        t, count = self.tables, self.frames(audio.size)
        padded = np.zeros(max(audio.size, t.frame), np.int64)
        padded[: audio.size] = audio
        index = np.arange(count)[:, None] * t.hop + np.arange(t.frame)
        x = padded[index] * t.window >> 15 - _GUARD_BITS
        re, im = self._transformed(x)
        half = t.frame // 2 + 1
        power = (re[:, :half] ** 2 + im[:, :half] ** 2).astype(np.uint64) >> np.uint64(_POWER_SHIFT)
        energy = (power @ t.weights.T.astype(np.uint64)) >> np.uint64(_WEIGHT_BITS)
        return _log2(energy + np.uint64(_FLOOR)), energy.sum(axis=1, dtype=np.uint64)

    def stretched(self, audio: Int16, wanted: int) -> NDArray[np.float32]:
        """Features of a clip, brought to a length: float32 [wanted, bands]."""
        bands = self.bands(audio)[0].astype(np.int64)
        at = (np.arange(wanted) * (len(bands) - 1) << 8) // max(wanted - 1, 1)
        before, share = at >> 8, (at & 255)[:, None]
        after = np.minimum(before + 1, len(bands) - 1)
        return normalised((bands[before] * (256 - share) + bands[after] * share + 128) // 256)

    def centred(self, audio: Int16, wanted: int) -> NDArray[np.float32]:
        """Features of so many frames around the centre of energy: float32 [wanted, bands]."""
        bands, energy = self.bands(audio)
        total = int(energy.sum(dtype=np.uint64))
        weighted = int((energy * np.arange(len(bands), dtype=np.uint64)).sum(dtype=np.uint64))
        first = (weighted // total if total else len(bands) // 2) - wanted // 2
        out = np.full((wanted, bands.shape[1]), bands.min(), np.int64)
        begin, end = max(first, 0), min(first + wanted, len(bands))
        out[begin - first : max(end - first, 0)] = bands[begin : max(end, 0)]
        return normalised(out)

    def _transformed(self, x: Int64) -> tuple[Int64, Int64]:
        """Radix-2 transform of [frames, frame]."""
        t = self.tables
        re, im = x[:, self._reversed], np.zeros_like(x)
        half = 1
        while half < t.frame:
            stride = t.frame // (2 * half)
            cosine, sine = t.cosine[::stride].astype(np.int64), t.sine[::stride].astype(np.int64)
            shape = (len(x), -1, 2, half)
            a, b = re.reshape(shape), im.reshape(shape)
            r = (cosine * a[:, :, 1] + sine * b[:, :, 1] + (1 << 14)) >> 15
            i = (cosine * b[:, :, 1] - sine * a[:, :, 1] + (1 << 14)) >> 15
            re = np.stack([a[:, :, 0] + r, a[:, :, 0] - r], axis=2).reshape(x.shape)
            im = np.stack([b[:, :, 0] + i, b[:, :, 0] - i], axis=2).reshape(x.shape)
            half *= 2
        return re, im


def normalised(values: Int64) -> NDArray[np.float32]:
    """Without the mean of all, so that loudness does not count; two octaves of energy are 1."""
    mean = int(values.sum()) // values.size
    return (values - mean).astype(np.float32) * _SCALE


def _log2(values: NDArray[np.uint64]) -> Int16:
    """Floor of log2 in 1/256."""
    whole = np.zeros(values.shape, np.uint64)
    for bits in (32, 16, 8, 4, 2, 1):
        more = values >> whole >> np.uint64(bits) > 0
        whole += np.uint64(bits) * more.astype(np.uint64)
    thirty, one = np.uint64(30), np.uint64(1)
    down = np.maximum(whole, thirty) - thirty
    m = np.where(whole > thirty, values >> down, values << (thirty - np.minimum(whole, thirty)))
    found = whole
    for _ in range(8):
        m = m * m >> thirty
        bit = m >> np.uint64(31)
        m = m >> bit
        found = found << one | bit
    return found.astype(np.int16)
