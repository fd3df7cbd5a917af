"""Replace a file so that a crash or a power cut leaves the old one or the new one, whole."""

import errno
import logging
import os
from collections.abc import Callable
from pathlib import Path

__all__ = ["read_file", "replace_file", "set_aside", "shown", "tidy"]

_BESIDE = ".new"
_log = logging.getLogger("tinyfleet.state")


def read_file(path: Path) -> bytes | None:
    """All that a file holds; None where there is none.

    Raises:
        OSError: something is there that cannot be read, or is no file.
    """
    try:
        if not path.is_file() and os.path.lexists(path):
            raise OSError(errno.EINVAL, "it is no file")
        return path.read_bytes()
    except FileNotFoundError:
        return None


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
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        _remove(beside)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def tidy(folder: Path, ours: Callable[[str], bool]) -> None:
    """Remove what a process that was killed had begun to write, and what stands in our way.

    A folder, a broken link or a device with one of our names is renamed and warned of.

    Args:
        folder: it is there, and nobody else writes in it.
        ours: whether a name is one of a file of ours.
    """
    for path in _paths(folder):
        begun = path.name.endswith(_BESIDE)
        if begun and (path.is_symlink() or path.is_file()):
            _remove(path)
        elif begun or (ours(path.name) and not path.is_file()):
            set_aside(path)


def shown(path: Path) -> str:
    """A path for a log: what is no UTF-8 in it is escaped, or who reads the log breaks off."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def set_aside(path: Path) -> None:
    """Give something that is in the way of a file another name, and say so."""
    number = 1
    while os.path.lexists(aside := path.with_name(f"{path.name}.aside-{number}")):
        number += 1
    try:
        path.rename(aside)
    except OSError as error:
        _log.warning("%s is damaged: it is no file, and cannot be moved: %s.", shown(path), error)
    else:
        _log.warning(
            "%s is damaged: it is no file. It is called %s now.",
            shown(path),
            shown(Path(aside.name)),
        )


def _paths(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        _log.warning("%s cannot be read: %s.", folder, error)
        return []


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        _log.warning("%s cannot be removed: %s.", shown(path), error)
