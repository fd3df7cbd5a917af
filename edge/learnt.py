"""What a device has learnt, in two files that take turns: one of them is always whole."""

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.atomic import read_file, replace_file, shown
from edge.errors import TinyfleetError
from edge.layout import Layout
from edge.stepping import Steps
from edge.wire import dumps, loads

__all__ = ["Learnt", "LearntFiles", "is_learnt"]

_MAGIC = b"TFLEARN1"
_SLOTS = ("learnt-0", "learnt-1")
_log = logging.getLogger("tinyfleet.state")


@dataclass(frozen=True, eq=False)
class Learnt:
    """A learner that can be made again.

    Args:
        running: SHA-256 of the artefact that was active; None: none was.
        layout: which part of the model the learner trains; None: as a deployed model is loaded.
        steps: how it steps.
        parameters: float32 [n], the trained ones.
        statistics: float32 [m], velocity and running statistics of `OnlineLearner.state`.
        count: samples that the running statistics have seen.
        made: steps since the weights were given.
    """

    running: str | None
    layout: Layout | None
    steps: Steps
    parameters: NDArray[np.float32]
    statistics: NDArray[np.float32]
    count: int
    made: int = 0

    @property
    def state(self) -> dict[str, Any]:
        """What `OnlineLearner.load_state` takes."""
        return {
            "parameters": self.parameters,
            "statistics": self.statistics,
            "count": self.count,
        }


class LearntFiles:
    """Two files that are written in turn, and the artefacts that they were learnt from.

    A file is a mark of 8 bytes, the SHA-256 of what follows, and a CBOR map.

    Args:
        folder: where the files are; it exists.
    """

    def __init__(self, folder: Path) -> None:
        """Read what is there; what is damaged is warned of and counts as not there."""
        self._folder = folder
        self._bases: dict[str, str] = {}
        self._number, self._next = 0, 0
        self._found: list[dict[str, Any]] = []
        for index, found in enumerate([self._read(name) for name in _SLOTS]):
            if found is None:
                continue
            self._found.append(found)
            if self._base_of(found) is not None:
                self._bases[_SLOTS[index]] = found["base"]
            if found["number"] >= self._number:
                self._number, self._next = found["number"], 1 - index

    @property
    def number(self) -> int:
        """The number of the last one; each that is written has the next."""
        return self._number

    def save(self, learnt: Learnt, base: bytes) -> None:
        """Write one, over the older of the two.

        Args:
            learnt: the learner.
            base: the artefact that it was made from; written once.

        Raises:
            OSError: it cannot be written; the earlier ones stay.
        """
        sha = hashlib.sha256(base).hexdigest()
        if sha not in self._bases.values():
            replace_file(self._base(sha), base)
        fields: dict[str, Any] = dict(vars(learnt)) | {
            "layout": None if learnt.layout is None else asdict(learnt.layout),
            "steps": asdict(learnt.steps),
            "number": self._number + 1,
            "base": sha,
        }
        body = dumps(fields)
        slot = _SLOTS[self._next]
        replace_file(self._folder / slot, _MAGIC + hashlib.sha256(body).digest() + body)
        self._bases[slot] = sha
        self._number, self._next = self._number + 1, 1 - self._next
        self._prune()

    def found(self, running: str | None) -> Iterator[tuple[Learnt, bytes]]:
        """What had been learnt while an artefact was active, the newest first, with its base.

        Files that were damaged, and such as belong to another artefact, are left out. What was
        found is given once: it is not held in memory any longer.

        Args:
            running: SHA-256 of the artefact that is active.
        """
        read, self._found = self._found, []
        lacking: set[str] = set()
        for found in sorted(read, key=lambda fields: -int(fields["number"])):
            if found["running"] != running:
                continue
            base = self._base_of(found)
            if base is not None:
                yield _learnt(found), base
            elif found["base"] not in lacking:
                path = self._base(found["base"])
                _log.warning(
                    "%s is missing or damaged; what was learnt on it is left out.", shown(path)
                )
                lacking.add(found["base"])

    def clear(self) -> None:
        """Forget everything: another artefact is active."""
        for slot in _SLOTS:
            (self._folder / slot).unlink(missing_ok=True)
        self._bases.clear()
        self._prune()

    def _prune(self) -> None:
        for path in self._folder.glob("*.base"):
            if path.stem not in self._bases.values():
                path.unlink(missing_ok=True)

    def _base(self, sha: str) -> Path:
        return self._folder / f"{Path(sha).name}.base"

    def _base_of(self, found: dict[str, Any]) -> bytes | None:
        try:
            data = read_file(self._base(found["base"]))
        except (OSError, ValueError):
            return None
        whole = data is not None and hashlib.sha256(data).hexdigest() == found["base"]
        return data if whole else None

    def _read(self, slot: str) -> dict[str, Any] | None:
        """The fields of a file; None where there is none, or it is damaged."""
        path = self._folder / slot
        try:
            data = read_file(path)
        except OSError as error:
            _log.warning("%s is damaged (%s); it is left out.", shown(path), error.strerror)
            return None
        if data is None:
            return None
        start = len(_MAGIC)
        digest, body = data[start : start + 32], data[start + 32 :]
        if data[:start] == _MAGIC and hashlib.sha256(body).digest() == digest:
            try:
                fields = dict(loads(body))
                _learnt(fields)
                if type(fields["number"]) is int and type(fields["base"]) is str:
                    return fields
            except (TinyfleetError, TypeError, KeyError, ValueError, OverflowError):
                pass
        _log.warning("%s is damaged (%d bytes); it is left out.", shown(path), len(data))
        return None


def is_learnt(name: str) -> bool:
    """Whether a file of that name is one of those that are written here."""
    return name in _SLOTS or name.endswith(".base")


def _learnt(fields: dict[str, Any]) -> Learnt:
    """The record of a file's fields; an error where they are others."""
    layout = fields["layout"]
    return Learnt(
        fields["running"],
        None if layout is None else Layout(**layout),
        Steps(**fields["steps"]),
        np.array(fields["parameters"], np.float32),
        np.array(fields["statistics"], np.float32),
        int(fields["count"]),
        int(fields.get("made", 0)),
    )
