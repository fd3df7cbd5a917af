"""Which artefacts a Linux agent has: the active one and the one before it, on disk or in memory."""

import hashlib
import json
import logging
import re
from pathlib import Path

from edge.atomic import read_file, replace_file, tidy
from edge.errors import TinyfleetError, UsageError
from edge.learnt import LearntFiles, is_learnt

__all__ = ["ArtefactStore", "MemoryStore"]

_INDEX = "index.json"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_KEPT = 2
_log = logging.getLogger("tinyfleet.state")


class NothingBefore(TinyfleetError):
    """There is no artefact before the active one."""


class MemoryStore:
    """Keeps two artefacts as long as the process lives; see `ArtefactStore`."""

    learnt = None

    def __init__(self) -> None:
        """Start without an artefact."""
        self.kept: list[bytes] = []

    @property
    def before(self) -> bytes:
        """The artefact before the active one."""
        return _there(self.kept[1] if len(self.kept) > 1 else None)

    def deploy(self, data: bytes) -> None:
        """Make an artefact the active one."""
        self.kept = [data, *(old for old in self.kept if old != data)][:_KEPT]

    def rollback(self) -> None:
        """Forget the active one: the one before it is active."""
        self.kept = self.kept[1:]

    def use(self, data: bytes) -> None:
        """Go by what can be used here."""
        self.kept = self.kept[self.kept.index(data) :]


class ArtefactStore:
    """A folder with two artefacts and an index; every change is one atomic replacement.

    Args:
        folder: made if it is not there; one agent's alone (see `edge.claim`).

    Raises:
        UsageError: the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        """Open the folder; what is damaged in it is warned of and counts as not there."""
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"no folder can be made at {str(folder)!r}: {error}.") from error
        tidy(folder, _is_ours)
        self._order = self._found()
        self.learnt = LearntFiles(folder)

    @property
    def active(self) -> bytes | None:
        """The active artefact's bytes; None: there is none."""
        return self._read(self._order[0]) if self._order else None

    @property
    def kept(self) -> list[bytes]:
        """The artefacts that are whole: the active one, then the one before it."""
        return [data for sha in self._order if (data := self._read(sha)) is not None]

    @property
    def before(self) -> bytes:
        """The artefact before the active one.

        Raises:
            NothingBefore: there is none.
        """
        return _there(self._read(self._order[1]) if len(self._order) > 1 else None)

    def deploy(self, data: bytes) -> None:
        """Keep an artefact and make it the active one; what was learnt before is forgotten.

        Raises:
            OSError: it cannot be written; the old one stays active.
        """
        sha = hashlib.sha256(data).hexdigest()
        replace_file(self._model(sha), data)
        self._write([sha, *(old for old in self._order if old != sha)][:_KEPT])

    def rollback(self) -> None:
        """Make the artefact before the active one active; what was learnt since is forgotten.

        Raises:
            OSError: it cannot be written; the old one stays active.
        """
        self._write(self._order[1:])

    def use(self, data: bytes) -> None:
        """Go by what can be used here: the artefacts before this one in the order could not."""
        self._order = self._order[self._order.index(hashlib.sha256(data).hexdigest()) :]

    def _write(self, order: list[str]) -> None:
        replace_file(self._folder / _INDEX, json.dumps(order).encode())
        self._order = order
        try:
            self.learnt.clear()
            for path in self._folder.glob("*.model"):
                if path.stem not in order:
                    path.unlink(missing_ok=True)
        except OSError as error:
            _log.warning("what is not needed any more cannot be removed: %s.", error)

    def _found(self) -> list[str]:
        """Digests of the whole artefacts: as the index has them, else the newest in the folder."""
        listed, fault = self._listed()
        if fault == "damaged":
            _log.warning("%s is damaged; it is left out.", self._folder / _INDEX)
        whole = [sha for sha in listed if self._is_whole(sha)]
        if whole:
            return whole
        files = sorted(self._folder.glob("*.model"), key=_age)
        beside = [file.stem for file in files if file.stem not in listed]
        found = [sha for sha in beside if self._is_whole(sha)][:_KEPT]
        if found:
            why = f"{_INDEX} is {fault}" if fault else f"no artefact that {_INDEX} names is whole"
            _log.warning("%s; model %s, the newest beside it, is taken.", why, found[0][:12])
        return found

    def _listed(self) -> tuple[list[str], str]:
        """The digests of the index, and what is wrong with it: `missing`, `damaged` or nothing."""
        try:
            data = read_file(self._folder / _INDEX)
            found = None if data is None else json.loads(data)
        except (OSError, ValueError, RecursionError):
            return [], "damaged"
        if data is None:
            return [], "missing"
        if not isinstance(found, list) or not 0 < len(found) <= _KEPT:
            return [], "damaged"
        if not all(isinstance(sha, str) and _SHA256.fullmatch(sha) for sha in found):
            return [], "damaged"
        return list(dict.fromkeys(found)), ""

    def _model(self, sha: str) -> Path:
        return self._folder / f"{sha}.model"

    def _is_whole(self, sha: str) -> bool:
        if self._read(sha) is None:
            _log.warning("%s is missing or damaged; it is left out.", self._model(sha))
            return False
        return True

    def _read(self, sha: str) -> bytes | None:
        try:
            data = read_file(self._model(sha))
        except OSError:
            return None
        return data if data is not None and hashlib.sha256(data).hexdigest() == sha else None


def _there(before: bytes | None) -> bytes:
    if before is None:
        raise NothingBefore("there is no artefact to go back to.", hint="deploy another one")
    return before


def _is_ours(name: str) -> bool:
    return name == _INDEX or name.endswith(".model") or is_learnt(name)


def _age(path: Path) -> int:
    """Nanoseconds, the newest the least; a file that is gone meanwhile is the oldest."""
    try:
        return -path.stat().st_mtime_ns
    except OSError:
        return 0
