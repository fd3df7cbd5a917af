"""Strokes drawn in the air, brought to the same number of points."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import UsageError
from server.tasks.data import arrays, find
from server.tasks.wand import wand_digits

__all__ = ["POINTS", "Strokes", "read", "strokes"]

FILES = ("wand_digits.npz", "wand_digits_dev.npz")
WANTED = "points int8 [m, 2], offset [n + 1], label and maybe user [n]; see docs/TASKS.md"
POINTS = 32
"""Points of a stroke, at the same distance from each other along it."""


@dataclass(frozen=True)
class Strokes:
    """Strokes of some gestures.

    Args:
        x: float32 [n, POINTS, 2], each with mean 0 and its longer side from -1 to 1.
        gesture: int64 [n].
        user: int64 [n], who draws.
    """

    x: NDArray[np.float32]
    gesture: NDArray[np.int64]
    user: NDArray[np.int64]


def strokes() -> Strokes:
    """Digits drawn with a wand by one person (Warden, Apache-2.0).

    Raises:
        DownloadFailed: there is no local copy and the original cannot be fetched.
    """
    path = next((found for name in FILES if (found := find(name))), None)
    return read(path or wand_digits(FILES[0]))


def read(path: Path) -> Strokes:
    """Strokes from an .npz: stroke i is points[offset[i]:offset[i + 1]], x and y upwards.

    With `user`, who draws each; without, one person draws all.

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
    user = found.get("user", np.zeros(len(label), np.int64))
    if user.shape != label.shape or user.dtype.kind not in "iu":
        raise UsageError(f"{path}: user {user.dtype} {user.shape} came.", hint=WANTED)
    cut = [_even(points[a:b].astype(np.float64)) for a, b in pairwise(ends.tolist())]
    x = np.stack(cut).astype(np.float32)
    return Strokes(x, label.astype(np.int64), user.astype(np.int64))


def _even(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """POINTS points along a stroke, centred and scaled."""
    steps = np.hypot(*np.diff(points, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    at = np.linspace(0, along[-1], POINTS)
    even = np.stack([np.interp(at, along, column) for column in points.T], axis=1)
    even -= even.mean(axis=0)
    return np.asarray(even / max(float(np.abs(even).max()), 1e-9))
