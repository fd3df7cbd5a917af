"""The tables of a front end: window, turns of the transform, weights of the mel bands."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.errors import UsageError

__all__ = ["MAX_FRAME", "Tables", "tables"]

MAX_FRAME = 512
_Q15, _Q12 = 1 << 15, 1 << 12


@dataclass(frozen=True)
class Tables:
    """What `tf_config` in tinyfront.h holds.

    Args:
        frame: samples of a frame.
        hop: samples from one frame to the next.
        bands: mel bands.
        window: int16 [frame], Q15.
        cosine: int32 [frame / 2], Q15.
        sine: int32 [frame / 2], Q15.
        weights: uint16 [bands, frame / 2 + 1], Q12.
    """

    frame: int
    hop: int
    bands: int
    window: NDArray[np.int16]
    cosine: NDArray[np.int32]
    sine: NDArray[np.int32]
    weights: NDArray[np.uint16]


def tables(rate: int, frame: int, hop: int, bands: int, lowest: float = 80.0) -> Tables:
    """Make the tables: a Hann window, triangles on the mel scale of O'Shaughnessy (1987).

    Args:
        rate: samples a second.
        frame: samples of a frame, a power of two from 8 to 512.
        hop: samples from one frame to the next.
        bands: mel bands.
        lowest: lower edge of the first band, Hz; the last ends at half the rate.

    Raises:
        UsageError: a size that the front end does not take.
    """
    if frame not in [8 << i for i in range(7)]:
        raise UsageError(
            f"a frame of {frame} samples came, a power of two to {MAX_FRAME} is taken."
        )
    if hop < 1 or bands < 1 or not 0 <= lowest < rate / 2:
        raise UsageError(f"hop {hop}, {bands} bands from {lowest:g} Hz: no front end has these.")
    edges = _hertz(np.linspace(_mel(lowest), _mel(rate / 2), bands + 2)) * frame / rate
    bins = np.arange(frame // 2 + 1)
    rise = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    turn = 2 * np.pi * np.arange(frame // 2) / frame
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(frame) / (frame - 1))
    return Tables(
        frame,
        hop,
        bands,
        np.rint(hann * (_Q15 - 1)).astype(np.int16),
        np.rint(np.cos(turn) * _Q15).astype(np.int32),
        np.rint(np.sin(turn) * _Q15).astype(np.int32),
        np.rint(np.clip(np.minimum(rise, fall), 0, 1) * _Q12).astype(np.uint16),
    )


def _mel(hertz: float) -> float:
    return float(2595 * np.log10(1 + hertz / 700))


def _hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(700 * (10 ** (mel / 2595) - 1), np.float64)
