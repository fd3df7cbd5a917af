"""Samples in a file that a user names on the server, laid out as for a device."""

from pathlib import Path

import numpy as np

from edge.errors import UsageError
from edge.sources import Replay, open_source
from server.tasks.data import arrays

__all__ = ["read_samples"]

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
        found = arrays(path, ["x"], _WANTED)
        if "y" not in found:
            return Replay(found["x"], np.full(len(found["x"]), np.nan))
    source = open_source(str(path))
    assert isinstance(source, Replay)
    return source
