"""Windows of a fan's vibration, as energies in frequency bands."""

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import UsageError
from server.tasks.data import DownloadFailed, arrays, find

__all__ = ["BANDS", "Machine", "machines", "read"]

FILES = ("fan_vibration.npz", "fan_vibration_dev.npz")
ORIGINAL = "github.com/ShawnHymel/tinyml-example-anomaly-detection, commit 4530061"
WANTED = (
    "accel int16 [n, samples, axes] in order of time, condition and machine and anomaly [n], "
    "counts_per_g; see docs/TASKS.md"
)
BANDS = 20
"""Bands of each axis, of the same width: 5 Hz at 200 samples a second."""
_FLOOR, _CENTRE, _SPREAD = 1e-8, -10.0, 3.0  # g^2; of the logarithm, about
_NAME = re.compile(r"(?P<machine>.+)_(?P<weights>\d+)_weight.*")


@dataclass(frozen=True)
class Machine:
    """What one machine does.

    Args:
        name: for people.
        x: float32 [n, axes * BANDS], a row for each window, in the order of time.
        anomaly: bool [n].
        session: int64 [n], which recording a window is of.
    """

    name: str
    x: NDArray[np.float32]
    anomaly: NDArray[np.bool_]
    session: NDArray[np.int64]


def machines() -> list[Machine]:
    """A ceiling fan at each of its speeds (Hymel); at two of them also with a coin on a blade.

    Raises:
        DownloadFailed: there is no local copy; the original says that its data may be used, and
            has no licence to pass it on.
    """
    path = next((found for name in FILES if (found := find(name))), None)
    if path is None:
        raise DownloadFailed(
            f"there is no {FILES[0]}; its original is {ORIGINAL}.",
            hint=f"TINYFLEET_DATA=folder of {FILES[0]}; docs/TASKS.md says what is in it",
        )
    return read(path)


def read(path: Path) -> list[Machine]:
    """Machines from an .npz: `accel`, `counts_per_g`, `condition`, `machine`, `anomaly`.

    Instead of the last two, `condition_names` such as fan_0_low_1_weight may name the machine (the
    fan at that speed) and its weights; with any weight it is an anomaly.

    Raises:
        UsageError: the file or an array of it is not so.
    """
    found = arrays(path, ("accel", "condition", "counts_per_g"), WANTED)
    accel, condition = found["accel"], found["condition"]
    if accel.dtype != np.int16 or accel.ndim != 3 or accel.shape[1] < 2 * BANDS or not accel.size:
        raise UsageError(f"{path}: accel {accel.dtype} {accel.shape} came.", hint=WANTED)
    per_g = np.asarray(found["counts_per_g"], np.float64)
    if per_g.size != 1 or not float(per_g.reshape(())) > 0:
        raise UsageError(f"{path}: counts_per_g {per_g.shape} came.", hint=WANTED)
    names, anomaly = _labels(path, found, len(accel))
    x = _energies(accel, float(per_g.reshape(())))
    return [
        Machine(
            str(name), x[names == name], anomaly[names == name],
            condition[names == name].astype(np.int64),
        )
        for name in np.unique(names)
    ]  # fmt: skip


def _labels(
    path: Path, found: dict[str, NDArray[np.generic]], n: int
) -> tuple[NDArray[np.str_], NDArray[np.bool_]]:
    """The machine's name and whether it is an anomaly, of each window."""
    condition = found["condition"]
    named = found.get("condition_names")
    for name in ("condition", "machine", "anomaly"):
        array = found.get(name)
        if name != "condition" and named is not None:
            continue
        if array is None or array.shape != (n,) or array.dtype.kind not in "iub":
            came = "nothing" if array is None else f"{array.dtype} {array.shape}"
            raise UsageError(f"{path}: {name}: {came} came.", hint=WANTED)
    if named is None:
        return found["machine"].astype(str), found["anomaly"].astype(bool)
    rows = condition.astype(np.int64)
    if named.dtype.kind != "U" or named.ndim != 1 or not 0 <= rows.min() <= rows.max() < len(named):
        raise UsageError(
            f"{path}: condition {rows.min()} to {rows.max()} came with condition_names "
            f"{named.dtype} {named.shape}.",
            hint=WANTED,
        )
    parts = [_NAME.fullmatch(str(name)) for name in named]
    if unknown := [str(name) for name, part in zip(named, parts, strict=True) if part is None]:
        raise UsageError(
            f"{path}: condition_names has {unknown[0]!r}, which does not say its weights.",
            hint="names such as fan_0_low_1_weight, or machine and anomaly instead of names",
        )
    machine = np.array([part["machine"] for part in parts if part])
    weights = np.array([int(part["weights"]) for part in parts if part])
    return machine[rows], weights[rows] > 0


def _energies(accel: NDArray[np.int16], per_g: float) -> NDArray[np.float32]:
    """Logarithms of the energy in each band of each axis; gravity is left out."""
    g = accel.astype(np.float64) / per_g
    shaken = (g - g.mean(axis=1, keepdims=True)) * np.hanning(accel.shape[1])[None, :, None]
    power = np.abs(np.fft.rfft(shaken, axis=1))[:, 1:] ** 2
    edges = np.linspace(0, power.shape[1], BANDS + 1).astype(int)
    bands = [power[:, a:b].mean(axis=1) for a, b in pairwise(edges)]
    energies = np.log(np.concatenate(bands, axis=1) + _FLOOR)
    return np.asarray((energies - _CENTRE) / _SPREAD, np.float32)
