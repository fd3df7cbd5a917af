"""Rooms with sensors of temperature, light and CO2, and whether somebody was there."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import UsageError
from server.tasks.data import DownloadFailed, arrays, find

__all__ = ["Room", "read", "rooms"]

FILES = ("presence_rooms.npz", "presence_rooms_dev.npz")
ORIGINALS = "UCI 357, UCI 864, and figshare 10.6084/m9.figshare.19234530"
WANTED = "features float32 [n, 4], occupied 0 or 1, room and time [n], see docs/TASKS.md"
_SPANS = (300.0, 900.0, 2700.0, 7200.0)
"""Time constants of the running means, seconds."""
_GAP = 6 * 3600.0
"""After a gap so long, running means begin anew."""


@dataclass(frozen=True)
class Room:
    """One room's rows in the order of time.

    Args:
        name: for people.
        x: float32 [n, 17], each column with mean 0 and variance 1 over the room.
        y: int64 [n], 1 where somebody was there.
        day: int64 [n], number of the local day.
    """

    name: str
    x: NDArray[np.float32]
    y: NDArray[np.int64]
    day: NDArray[np.int64]


def rooms() -> list[Room]:
    """The rooms of three published data sets, CC BY 4.0.

    Candanedo and Feldheim, Energy and Buildings 112 (2016), UCI 357; Tekler et al., Building
    Simulation (2022), ROBOD; Singh et al. (2018), UCI 864.

    Raises:
        DownloadFailed: there is no local copy; the originals are in three places and forms.
    """
    path = next((found for name in FILES if (found := find(name))), None)
    if path is None:
        raise DownloadFailed(
            f"there is no {FILES[0]}, and its originals are three: {ORIGINALS}.",
            hint=f"TINYFLEET_DATA=folder of {FILES[0]}; docs/TASKS.md says what is in it",
        )
    return read(path)


def read(path: Path) -> list[Room]:
    """Rooms from an .npz: features (degC, percent, lux, ppm), occupied, room, time (local, s).

    Raises:
        UsageError: the file or an array of it is not so.
    """
    names = ("features", "occupied", "room", "time")
    found_in = arrays(path, names, WANTED)
    features, occupied, room, time = (found_in[name] for name in names)
    if features.dtype.kind != "f" or features.ndim != 2 or features.shape[1] != 4:
        raise UsageError(f"{path}: features {features.dtype} {features.shape} came.", hint=WANTED)
    for name, array in (("occupied", occupied), ("room", room), ("time", time)):
        if array.shape != (len(features),) or array.dtype.kind not in "iuf":
            raise UsageError(f"{path}: {name} {array.dtype} {array.shape} came.", hint=WANTED)
    found = []
    for number in np.unique(room):
        mine = np.flatnonzero(room == number)
        rows = mine[np.argsort(time[mine], kind="stable")]
        y = (occupied[rows] > 0).astype(np.int64)
        seconds = time[rows].astype(np.float64)
        if 0 < y.sum() < len(y):
            day = (seconds // 86400).astype(np.int64)
            found.append(Room(f"room {number}", _columns(features[rows], seconds), y, day))
    if not found:
        raise UsageError(f"{path}: no room is both occupied and empty at times.", hint=WANTED)
    return found


def _columns(raw: NDArray[np.float32], seconds: NDArray[np.float64]) -> NDArray[np.float32]:
    """Temperature, log light and log CO2; each less its running means; hour as an angle.

    Humidity is left out: a room of the data has none. Means look back only, as a device does.
    """
    values = np.stack(
        [raw[:, 0], np.log1p(np.maximum(raw[:, 2], 0)), np.log(np.maximum(raw[:, 3], 1))], axis=1
    ).astype(np.float64)
    hour = seconds % 86400 / 86400 * 2 * np.pi
    parts = [values, *(values - _running(values, seconds, span) for span in _SPANS)]
    parts.append(np.stack([np.sin(hour), np.cos(hour)], axis=1))
    columns = np.nan_to_num(np.concatenate(parts, axis=1))
    scaled = (columns - columns.mean(axis=0)) / (columns.std(axis=0) + 1e-6)
    return np.asarray(scaled, np.float32)


def _running(
    values: NDArray[np.float64], seconds: NDArray[np.float64], span: float
) -> NDArray[np.float64]:
    steps = np.diff(seconds, prepend=seconds[0])
    shares = np.where(steps > _GAP, 1.0, 1 - np.exp(-steps / span))
    found, mean = np.empty_like(values), values[0]
    for row, share in enumerate(shares):
        mean = mean + share * (values[row] - mean)
        found[row] = mean
    return found
