"""Fetch the published strokes of the wand once, check them, and pack them as arrays."""

import hashlib
import json
import os
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from server.tasks.data import DownloadFailed, cache_folder, download

__all__ = ["wand_digits"]

URL = "https://github.com/petewarden/magic_wand_digit_data/archive/8170591.zip"
SHA256 = "1245f715b90ce97dade88df35f8d7bb26611adfecd30e92699bb14632a466ec4"
"""Of points (int8), offset and label (int64, little-endian) as packed here, one after the other;
archives of one commit may differ in their bytes."""
EACH = 80
"""Strokes of each digit, the first ones of its file."""
_SCALE = 128


def wand_digits(name: str) -> Path:
    """Digits drawn by one person (Warden, Apache-2.0): petewarden_DIGIT.json.

    Args:
        name: file name of the packed copy in the cache, laid out as `strokes.read` takes it.

    Raises:
        DownloadFailed: they cannot be fetched, or are not the published ones.
    """
    archive = download(URL, name="wand_digits.zip")
    try:
        points, offset, label = _strokes(archive)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        archive.unlink()
        raise DownloadFailed(f"{URL} holds no strokes: {error}.", hint="fetch it again") from error
    content = b"".join(array.tobytes() for array in (points, offset, label))
    if (found := hashlib.sha256(content).hexdigest()) != SHA256:
        archive.unlink()
        raise DownloadFailed(
            f"{URL}: the strokes are {found[:12]}, not the published {SHA256[:12]}.",
            hint=f"TINYFLEET_DATA=folder of {name}; docs/TASKS.md says what is in it",
        )
    target = cache_folder() / name
    part = target.with_name(f"{os.getpid()}-{name}")
    np.savez_compressed(part, points=points, offset=offset, label=label)
    part.replace(target)
    return target


def _strokes(archive: Path) -> tuple[NDArray[np.int8], NDArray[np.int64], NDArray[np.int64]]:
    """Points int8 [m, 2], offset int64 [n + 1] and label int64 [n] of the ten files."""
    drawn, labels = [], []
    with zipfile.ZipFile(archive) as opened:
        files = {entry.rsplit("/", 1)[-1]: entry for entry in opened.namelist()}
        for digit in range(10):
            found = json.loads(opened.read(files[f"petewarden_{digit}.json"]))
            for stroke in found["strokes"][:EACH]:
                points = [(point["x"], point["y"]) for point in stroke["strokePoints"]]
                whole = np.rint(np.array(points, np.float64) * _SCALE)
                drawn.append(np.clip(whole, -_SCALE, _SCALE - 1).astype(np.int8))
                labels.append(int(stroke["label"]))
    offset = np.cumsum([0, *map(len, drawn)], dtype="<i8")
    return np.concatenate(drawn), offset, np.array(labels, "<i8")
