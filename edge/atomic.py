"""Replace a file so that a crash or a power cut leaves the old one or the new one, whole."""

import os
from pathlib import Path

__all__ = ["remove_unfinished", "replace_file"]

_BESIDE = ".new"


def replace_file(path: Path, data: bytes) -> None:
    """Write beside, flush to the disk, rename, and flush the folder too.

    Without the last step a power cut may forget the rename, and with it what was acknowledged.

    Args:
        path: the file to make or replace; its folder is there.
        data: all that it holds afterwards.

    Raises:
        OSError: the disk is full or read-only; the old file stays.
    """
    beside = path.with_name(path.name + _BESIDE)
    with beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def remove_unfinished(folder: Path) -> None:
    """Remove what a process that was killed had begun to write."""
    for path in folder.glob(f"*{_BESIDE}"):
        path.unlink(missing_ok=True)
