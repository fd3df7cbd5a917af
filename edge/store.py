"""What a Linux agent keeps over restarts: two artefacts, and what it learnt."""

import hashlib
import json
import logging
from pathlib import Path

from edge.atomic import remove_unfinished, replace_file
from edge.errors import TinyfleetError, UsageError
from edge.learnt import LearntFiles

__all__ = ["ArtefactStore"]

_INDEX = "index.json"
_log = logging.getLogger("tinyfleet.state")


class ArtefactStore:
    """A folder with two artefacts and an index; every change is one atomic replacement.

    Args:
        folder: made if it is not there; one agent's alone.

    Raises:
        UsageError: the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        """Open the folder; what is damaged in it is warned of and counts as not there."""
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            remove_unfinished(folder)
        except OSError as error:
            raise UsageError(f"no folder can be made at {str(folder)!r}: {error}.") from error
        self._order = [sha for sha in self._index() if self._whole(sha)]
        self.learnt = LearntFiles(folder)

    @property
    def active(self) -> bytes | None:
        """The active artefact's bytes; None: there is none."""
        return self._read(self._order[0]) if self._order else None

    @property
    def kept(self) -> list[bytes]:
        """The artefacts that are whole: the active one, then the one before it."""
        return [data for sha in self._order if (data := self._read(sha)) is not None]

    def deploy(self, data: bytes) -> None:
        """Keep an artefact and make it the active one; what was learnt before is forgotten."""
        sha = hashlib.sha256(data).hexdigest()
        replace_file(self._model(sha), data)
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
        replace_file(self._folder / _INDEX, json.dumps(order).encode())
        self._order = order
        self.learnt.clear()
        for path in self._folder.glob("*.model"):
            if path.stem not in order:
                path.unlink(missing_ok=True)

    def _index(self) -> list[str]:
        """Digests in order; where the index is damaged, those of the files, the newest first."""
        path = self._folder / _INDEX
        try:
            found = json.loads(path.read_bytes())
        except FileNotFoundError:
            return []
        except (OSError, ValueError):
            found = None
        if isinstance(found, list) and all(isinstance(sha, str) for sha in found):
            return found
        _log.warning("%s is damaged; the newest artefact beside it is taken.", path)
        files = self._folder.glob("*.model")
        return [file.stem for file in sorted(files, key=lambda file: -file.stat().st_mtime_ns)][:2]

    def _model(self, sha: str) -> Path:
        return self._folder / f"{Path(sha).name}.model"

    def _whole(self, sha: str) -> bool:
        if self._read(sha) is None:
            _log.warning("%s is missing or damaged; it is left out.", self._model(sha))
            return False
        return True

    def _read(self, sha: str) -> bytes | None:
        try:
            data = self._model(sha).read_bytes()
        except (OSError, ValueError):
            return None
        return data if hashlib.sha256(data).hexdigest() == sha else None
