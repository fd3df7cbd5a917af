"""Artefacts that a Linux agent keeps over restarts: the active one and the one before it."""

import contextlib
import hashlib
import json
import os
from pathlib import Path

from edge.errors import TinyfleetError, UsageError

__all__ = ["ArtefactStore"]


class ArtefactStore:
    """A folder with two artefacts and an index; every change is one atomic replacement.

    Args:
        folder: made if it is not there.

    Raises:
        UsageError: the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        """Open the folder; what is damaged in it counts as not there."""
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"no folder can be made at {str(folder)!r}: {error}.") from error
        self._order = [sha for sha in self._index() if self._read(sha) is not None]

    @property
    def active(self) -> bytes | None:
        """The active artefact's bytes; None: there is none."""
        return self._read(self._order[0]) if self._order else None

    def deploy(self, data: bytes) -> None:
        """Keep an artefact and make it the active one."""
        sha = hashlib.sha256(data).hexdigest()
        _replace(self._folder / f"{sha}.model", data)
        self._write([sha, *(old for old in self._order if old != sha)][:2])

    def rollback(self) -> bytes:
        """Make the artefact before the active one active; gives its bytes.

        Raises:
            TinyfleetError: there is none.
        """
        data = self._read(self._order[1]) if len(self._order) > 1 else None
        if data is None:
            raise TinyfleetError("there is no artefact to go back to.", hint="deploy another one")
        self._write(self._order[1:])
        return data

    def _write(self, order: list[str]) -> None:
        _replace(self._folder / "index.json", json.dumps(order).encode())
        self._order = order
        for path in self._folder.glob("*.model"):
            if path.stem not in order:
                path.unlink(missing_ok=True)

    def _index(self) -> list[str]:
        with contextlib.suppress(OSError, ValueError):
            found = json.loads((self._folder / "index.json").read_bytes())
            if isinstance(found, list):
                return [sha for sha in found if isinstance(sha, str)]
        return []

    def _read(self, sha: str) -> bytes | None:
        try:
            data = (self._folder / f"{Path(sha).name}.model").read_bytes()
        except (OSError, ValueError):
            return None
        return data if hashlib.sha256(data).hexdigest() == sha else None


def _replace(path: Path, data: bytes) -> None:
    """Write beside, flush to the disk, then rename: a power cut leaves the old or the new."""
    beside = path.with_name(path.name + ".new")
    with beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
