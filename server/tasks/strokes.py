"""Strokes drawn in the air, brought to the same number of points."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import UsageError
from server.tasks.data import DownloadFailed, arrays, find

__all__ = ["POINTS", "Strokes", "read", "strokes"]

FILES = ("wand_digits.npz", "wand_digits_dev.npz")
ORIGINAL = "github.com/petewarden/magic_wand_digit_data, commit 8170591, Apache-2.0"
WANTED = "points int8 [m, 2], offset [n + 1] and label [n]; see docs/TASKS.md"
POINTS = 32
"""Points of a stroke, at the same distance from each other along it."""


@dataclass(frozen=True)
class Strokes:
    """Strokes of some gestures.

    Args:
        x: float32 [n, POINTS, 2], each with mean 0 and its longer side from -1 to 1.
        gesture: int64 [n].
    """

    x: NDArray[np.float32]
    gesture: NDArray[np.int64]


def strokes() -> Strokes:
    """Digits drawn with a wand by one person (Warden, Apache-2.0).

    Raises:
        DownloadFailed: there is no local copy; the original is in several files.
    """
    path = next((found for name in FILES if (found := find(name))), None)
    if path is None:
        raise DownloadFailed(
            f"there is no {FILES[0]}; its original is {ORIGINAL}.",
            hint=f"TINYFLEET_DATA=folder of {FILES[0]}; docs/TASKS.md says what is in it",
        )
    return read(path)


def read(path: Path) -> Strokes:
    """Strokes from an .npz: stroke i is points[offset[i]:offset[i + 1]], x and y upwards.

    Raises:
        UsageError: the file or an array of it is not so.
    """
    found = arrays(path, ("points", "offset", "label"), WANTED)
    points, offset, label = (found[name] for name in ("points", "offset", "label"))
    if points.ndim != 2 or points.shape[1] != 2 or points.dtype.kind not in "if":
        raise UsageError(f"{path}: points {points.dtype} {points.shape} came.", hint=WANTED)
    if offset.shape != (len(label) + 1,) or offset.dtype.kind not in "iu" or label.ndim != 1:
        raise UsageError(f"{path}: offset {offset.dtype} {offset.shape} came.", hint=WANTED)
    ends = offset.astype(np.int64)
    if ends[0] < 0 or ends[-1] > len(points) or bool((np.diff(ends) < 2).any()) or not len(label):
        raise UsageError(f"{path}: a stroke needs 2 points at least.", hint=WANTED)
    if label.dtype.kind not in "iu" or not np.isfinite(points.astype(np.float64)).all():
        raise UsageError(f"{path}: label {label.dtype} came, or not all is finite.", hint=WANTED)
    cut = [_even(points[a:b].astype(np.float64)) for a, b in pairwise(ends.tolist())]
    return Strokes(np.stack(cut).astype(np.float32), label.astype(np.int64))


def _even(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """POINTS points along a stroke, centred and scaled."""
    steps = np.hypot(*np.diff(points, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    at = np.linspace(0, along[-1], POINTS)
    even = np.stack([np.interp(at, along, column) for column in points.T], axis=1)
    even -= even.mean(axis=0)
    return np.asarray(even / max(float(np.abs(even).max()), 1e-9))
