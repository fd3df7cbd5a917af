"""Find public data, a local copy first, then the cache, then by its URL; and read its arrays."""

import hashlib
import os
import sys
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import TinyfleetError, UsageError

__all__ = ["DownloadFailed", "arrays", "cache_folder", "download", "find"]

ROOT = Path(__file__).resolve().parents[2]
CHUNK = 1 << 16
TIMEOUT = 15.0


class DownloadFailed(TinyfleetError):
    """The original could not be fetched, or its checksum is not the published one."""


def cache_folder() -> Path:
    """Where fetched originals are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tinyfleet"


def find(name: str) -> Path | None:
    """The local copy of a data file, or None.

    TINYFLEET_DATA, where it is set, is the only folder looked at; else `../shared/data` beside
    the repository and beside the current folder, then the cache.
    """
    chosen = os.environ.get("TINYFLEET_DATA")
    folders = (
        [Path(chosen)]
        if chosen
        else [
            ROOT.parent / "shared" / "data",
            Path.cwd().parent / "shared" / "data",
            cache_folder(),
        ]
    )
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def arrays(path: Path, names: Sequence[str], wanted: str) -> dict[str, NDArray[Any]]:
    """All arrays of an .npz that must have some.

    Args:
        path: the file.
        names: what must be in it.
        wanted: what a user may read where it is not.

    Raises:
        UsageError: it cannot be read, or an array is missing.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            found = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UsageError(f"{path} cannot be read: {error}.", hint=wanted) from error
    missing = [name for name in names if name not in found]
    if missing:
        raise UsageError(f"{path} has no {', '.join(missing)}.", hint=wanted)
    return found


def download(url: str, *, name: str, md5: str = "", sha256: str = "") -> Path:
    """Fetch an original once into the cache, with a progress bar on a terminal.

    Args:
        url: where it is published.
        name: file name in the cache.
        md5: its published checksum, hex.
        sha256: another kind of checksum; without either the caller checks what is in it.

    With TINYFLEET_OFFLINE=1 nothing is fetched.

    Returns:
        The file in the cache, its checksum verified.

    Raises:
        DownloadFailed: it cannot be reached, or the checksum differs; nothing is kept then.
    """
    target, checksum = cache_folder() / name, sha256 or md5
    kind = "sha256" if sha256 else "md5"
    if os.environ.get("TINYFLEET_OFFLINE") == "1" and not target.is_file():
        raise DownloadFailed(f"{url} is not fetched: TINYFLEET_OFFLINE is set.")
    if target.is_file() and checksum in ("", _checksum(target, kind)):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(target.suffix + f".{os.getpid()}.part")
    try:
        _fetch(url, part)
        if checksum not in ("", _checksum(part, kind)):
            raise DownloadFailed(f"{url}: the checksum is not the published {checksum}.")
        part.replace(target)
    except (OSError, urllib.error.URLError) as error:
        raise DownloadFailed(
            f"{url} cannot be fetched: {error}.", hint="TINYFLEET_DATA=folder with a copy"
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return target


def _checksum(path: Path, kind: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def _fetch(url: str, part: Path) -> None:
    from rich.progress import Progress

    with (
        urllib.request.urlopen(url, timeout=TIMEOUT) as response,
        part.open("wb") as out,
        Progress(disable=not sys.stderr.isatty()) as progress,
    ):
        total = int(response.headers.get("Content-Length") or 0) or None
        bar = progress.add_task(part.name.split(".zip")[0], total=total)
        while chunk := response.read(CHUNK):
            out.write(chunk)
            progress.advance(bar, len(chunk))
