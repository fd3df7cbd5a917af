"""A folder of exported files: what an earlier export left goes, what is a user's own stays."""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from edge.atomic import replace_file
from edge.errors import UsageError

__all__ = ["REPORTS", "SUMS", "make_folder", "publish", "writing"]

SUMS = "SHA256SUMS"
"""Digests of the files, as `sha256sum --check` reads them; what it lists, an export has written."""
REPORTS = ("parity.json", "parity.md", "parity.html")
_LINE = re.compile(r"([0-9a-f]{64})  ([\w.-]+)")


def make_folder(folder: Path) -> None:
    """Make a folder for exported files.

    Raises:
        UsageError: it cannot be written to.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise UsageError(f"the folder {folder} is not writable.", hint="--out exports")


def publish(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files and their digests, and remove files and reports of an earlier export.

    Args:
        folder: it is there.
        files: content by name.

    Raises:
        UsageError: one of the names is a file that no export has written, such as the model that is
            exported; or the folder cannot be written to. Nothing is changed then.
    """
    with writing(folder):
        older = _older(folder)
        for name, data in files.items():
            path = folder / name
            if os.path.lexists(path) and name not in older and not _holds(path, data):
                raise UsageError(
                    f"{path} is there, and no export has written it.", hint="another --out"
                )
        for name in [*older, *REPORTS, SUMS]:
            (folder / name).unlink(missing_ok=True)
        listed = (f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items())
        replace_file(folder / SUMS, "".join(listed).encode())
        for name, data in files.items():
            replace_file(folder / name, data)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Say of whatever goes wrong with a disk which folder it was."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"cannot write to the folder {folder}: {error.strerror}.", hint="--out exports"
        ) from error


def _older(folder: Path) -> list[str]:
    """Names that an earlier export has written, and nobody has changed since."""
    try:
        text = (folder / SUMS).read_text()
    except (OSError, UnicodeDecodeError):
        return []
    listed = [match.groups() for line in text.splitlines() if (match := _LINE.fullmatch(line))]
    return [name for digest, name in listed if _digest(folder / name) == digest]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _holds(path: Path, data: bytes) -> bool:
    return path.is_file() and path.read_bytes() == data
