"""Remove what an earlier export left in a folder, and nothing else."""

import re
from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.artifact import Artifact
from edge.errors import TinyfleetError
from server.export.wanted import DTYPES

__all__ = ["remove_older"]

_FILES = re.compile(rf"model\.({'|'.join(DTYPES.values())})\.(tflite|onnx|h)")
_REPORTS = ("parity.json", "parity.md", "parity.html")


def remove_older(folder: Path, kept: Collection[str], parameters: NDArray[np.float32]) -> None:
    """Remove reports, and files that an export may write and this one does not.

    Args:
        folder: where.
        kept: names that are written anew.
        parameters: float32 [n] of the model; a float32 `.tflite` of these very weights stays: it
            may be the one that is exported.
    """
    for path in folder.iterdir():
        exported = _FILES.fullmatch(path.name) and path.name not in kept
        if not path.is_file() or not (exported or path.name in _REPORTS):
            continue
        if not (exported and _holds(path, parameters)):
            path.unlink()


def _holds(path: Path, parameters: NDArray[np.float32]) -> bool:
    if path.name != "model.f32.tflite":
        return False
    try:
        return np.array_equal(Artifact(path.read_bytes()).parameters(), parameters)
    except TinyfleetError:
        return False
