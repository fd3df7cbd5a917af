"""Spoken words as arrays: clips with their words and speakers."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import UsageError
from server.tasks import originals
from server.tasks.data import arrays, find

__all__ = ["Clips", "commands", "digits", "read"]

Audio = NDArray[np.int16]
DIGIT_FILES = ("fsdd.npz", "fsdd_dev.npz")
COMMAND_FILES = ("gsc3_speakers.npz", "gsc3_speakers_dev.npz")
"""Packed copies; the first name is also what an original is packed to in the cache."""
WANTED = "audio int16, label and speaker [n]; audio [n, samples], or [samples] with offset [n + 1]"


@dataclass(frozen=True)
class Clips:
    """Clips of some speakers.

    Args:
        source: which data this is.
        audio: int16 [samples] of each clip.
        word: int64 [n], which word.
        speaker: int64 [n], who says it.
    """

    source: str
    audio: list[Audio]
    word: NDArray[np.int64]
    speaker: NDArray[np.int64]


def digits() -> Clips:
    """Free Spoken Digit Dataset (Jackson et al., CC BY-SA 4.0), 8 kHz, digits 0 to 9.

    Raises:
        DownloadFailed: there is no local copy and the original cannot be fetched.
    """
    path = _local(DIGIT_FILES) or originals.spoken_digits(DIGIT_FILES[0])
    return read(path, "Free Spoken Digit Dataset, CC BY-SA 4.0")


def commands() -> Clips:
    """Bed, cat and happy of Speech Commands v0.01 (Warden, arXiv:1804.03209, CC BY 4.0), 16 kHz.

    Raises:
        DownloadFailed: there is no local copy and the original cannot be fetched.
    """
    path = _local(COMMAND_FILES) or originals.speech_commands(COMMAND_FILES[0])
    return read(path, "Speech Commands v0.01, CC BY 4.0")


def read(path: Path, source: str = "") -> Clips:
    """Clips from an .npz.

    Args:
        path: `audio` int16 [n, samples], cut to `n_valid` where that is there, or [samples] cut by
            `offset` [n + 1]; `label` and `speaker` integers [n].
        source: what it is.

    Raises:
        UsageError: the file or an array of it is not so.
    """
    names = ("audio", "label", "speaker")
    found = arrays(path, names, WANTED)
    audio, word, speaker = (found[name] for name in names)
    n = len(word)
    if audio.dtype != np.int16 or audio.ndim not in (1, 2):
        raise UsageError(f"{path}: audio {audio.dtype} {audio.shape} came.", hint=WANTED)
    for name, array in (("label", word), ("speaker", speaker)):
        if array.shape != (n,) or array.dtype.kind not in "iu":
            raise UsageError(f"{path}: {name} {array.dtype} {array.shape} came.", hint=WANTED)
    cut = _rows(audio, found) if audio.ndim == 2 else _ragged(audio, found)
    if len(cut) != n or n == 0:
        raise UsageError(f"{path}: {len(cut)} clips came for {n} labels.", hint=WANTED)
    return Clips(source or path.name, cut, word.astype(np.int64), speaker.astype(np.int64))


def _local(names: tuple[str, ...]) -> Path | None:
    return next((found for name in names if (found := find(name))), None)


def _rows(audio: Audio, found: dict[str, NDArray[np.generic]]) -> list[Audio]:
    valid = found.get("n_valid")
    if valid is None or valid.shape != (len(audio),) or valid.dtype.kind not in "iu":
        return list(audio)
    return [row[: int(n)] for row, n in zip(audio, valid.tolist(), strict=True)]


def _ragged(audio: Audio, found: dict[str, NDArray[np.generic]]) -> list[Audio]:
    offset = found.get("offset")
    if offset is None or offset.ndim != 1 or offset.dtype.kind not in "iu" or not offset.size:
        raise UsageError("audio of one dimension needs offset.", hint=WANTED)
    ends = offset.astype(np.int64)
    if ends[0] < 0 or ends[-1] > audio.size or bool((np.diff(ends) < 0).any()):
        raise UsageError(f"offset goes beyond the {audio.size} samples.", hint=WANTED)
    return [audio[a:b] for a, b in pairwise(ends.tolist())]
