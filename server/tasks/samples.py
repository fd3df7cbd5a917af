"""Samples in a file that a user names on the server, laid out as for a device."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import UsageError
from edge.needs import INDICES, from_one_hot
from edge.sources import Replay, open_source, stored_arrays

__all__ = ["hits", "read_samples", "squares", "targets_of"]

Float32 = NDArray[np.float32]

_WANTED = "an .npz with arrays x [n, inputs] and y, or a .csv whose last column is y"


def read_samples(path: Path, *, labels: bool = True) -> Replay:
    """The samples of an .npz or a .csv; see `edge.sources.open_source`.

    Args:
        path: the file.
        labels: whether an .npz needs y; its targets are NaN otherwise.

    Returns:
        x float32 [n, n_in] and y float32 [n, k].

    Raises:
        UsageError: it is neither, or does not hold samples.
    """
    if not path.is_file() or path.suffix.lower() not in (".npz", ".csv"):
        raise UsageError(f"there are no samples at {path}.", hint=_WANTED)
    if not labels and path.suffix.lower() == ".npz":
        found = stored_arrays(path, ("x",))
        if "y" not in found:
            return Replay(found["x"], np.full(len(found["x"]), np.nan))
    source = open_source(str(path))
    assert isinstance(source, Replay)
    return source


def targets_of(y: Float32, outputs: int, path: Path, *, classifier: bool) -> tuple[Float32, bool]:
    """Targets as they are measured, and whether they are classes, not values.

    Args:
        y: float32 [n, k], none of them NaN.
        outputs: how many the model has; with more than one, a single y is the index of a class.
        path: where they are from, to be named.
        classifier: whether the model ends in a softmax; as many y as outputs are one-hot then.

    Returns:
        float32 [n, 1], class indices, or float32 [n, outputs], values.

    Raises:
        UsageError: they are neither.
    """
    width, hint = y.shape[1], INDICES if classifier else ""
    if width == outputs:
        if not classifier or outputs == 1:
            return y, False
        found = from_one_hot(y)
        if found is None:
            raise UsageError(
                f"y in {path} is {width} wide and not one-hot, the model is a classifier.",
                hint=hint,
            )
        return found, True
    if width != 1:
        raise UsageError(
            f"y in {path} is {width} wide, the model has {outputs} outputs.", hint=hint
        )
    if not np.isin(y, np.arange(outputs)).all():
        raise UsageError(
            f"y in {path} goes from {y.min():g} to {y.max():g}, the model has {outputs} outputs.",
            hint=f"whole numbers from 0 to {outputs - 1}, the classes",
        )
    return y, True


def hits(outputs: Float32, targets: Float32) -> float:
    """Share of classes answered right, of outputs [n, n_out] and class indices [n, 1]."""
    return float(np.mean(outputs.argmax(axis=1) == targets[:, 0]))


def squares(outputs: Float32, targets: Float32) -> float:
    """Mean squared error of outputs and targets [n, n_out]."""
    return float(np.mean((outputs - targets) ** 2))
