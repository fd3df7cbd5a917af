"""Few-shot spoken words; each client is a speaker.

Features are those of the fixed-point front end, which boards run in C; see `edge.frontend`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from edge.errors import UsageError
from edge.frontend import LogMel, front_end, tables
from edge.spec import ModelSpec
from edge.steps import conv, dense
from server.tasks.base import Episode, Split, shuffled
from server.tasks.clips import Clips, commands, digits, read

__all__ = ["DigitsTask", "KeywordsTask", "Sounds", "SpeakerClient", "SpokenTask"]

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Sounds:
    """How clips become the input of a model.

    Args:
        rate: samples a second.
        frame: samples of a frame.
        hop: samples from one frame to the next.
        bands: mel bands.
        length: frames that the model takes.
        centred: cut them around the centre of energy, instead of stretching the clip to them.
    """

    rate: int
    frame: int
    hop: int
    bands: int
    length: int
    centred: bool

    def features(self, audio: NDArray[np.int16]) -> Float32:
        """float32 [length, bands] of one clip."""
        front = _front(self)
        chosen = front.centred if self.centred else front.stretched
        return chosen(audio, self.length)

    def bands_of(self, audio: NDArray[np.int16]) -> NDArray[np.int16]:
        """int16 [frames, bands] of one clip, before they are brought to a length."""
        return _front(self).bands(audio)[0]


@cache
def _front(sounds: Sounds) -> LogMel:
    return front_end(tables(sounds.rate, sounds.frame, sounds.hop, sounds.bands))


@dataclass(frozen=True)
class SpeakerClient:
    """One speaker's clips, grouped by word.

    Args:
        name: for people.
        groups: float32 [clips, n_in] for each word.
        scarce: some words have few takes: support repeats them, and queries are those left over.
    """

    name: str
    groups: tuple[Float32, ...]
    scarce: bool = False

    def episode(self, rng: np.random.Generator, *, shots: int, queries: int) -> Episode:
        """Different takes of each word for support and query, shuffled.

        Raises:
            UsageError: there are too few takes to leave one to measure on.
        """
        support, query = [], []
        for label, takes in enumerate(self.groups):
            order = rng.permutation(len(takes))
            learnt = order[: max(min(shots, len(takes) - 1), 1)] if self.scarce else order[:shots]
            support += [(takes[learnt[i % len(learnt)]], label) for i in range(shots)]
            query += [(takes[i], label) for i in order[len(learnt) :][:queries]]
            if not self.scarce and shots >= len(takes):
                raise UsageError(
                    f"{shots} shots leave nothing of the {len(takes)} takes that {self.name} has.",
                    hint="fewer shots",
                )
        if not query:
            raise UsageError(f"{self.name} says every word once: nothing is left to measure on.")
        return Episode(*shuffled(support, rng), *shuffled(query, rng))


class SpokenTask:
    """Words said by speakers; the test speakers are never heard in training.

    Args:
        fold: which share of the speakers is kept unseen, from 0.
        everyone: train on all speakers; those of the fold are then no longer unseen.
        data: an .npz whose speakers become the test clients, all others being trained on; see
            `clips.read`.
        filters: of the first convolution.
    """

    name: str
    sounds: ClassVar[Sounds]
    folds: ClassVar[int]
    words: ClassVar[tuple[str, ...]]
    load: ClassVar[Callable[[], Clips]]
    scarce: ClassVar[bool] = False
    metric = "accuracy"
    higher_is_better = True
    preprocessing = "log-mel frames in fixed point, less their mean (edge.frontend)"

    def __init__(
        self,
        *,
        fold: int = 0,
        everyone: bool = False,
        data: Path | None = None,
        filters: int = 8,
    ) -> None:
        if not 0 <= fold < self.folds:
            raise UsageError(f"fold is {fold}, 0 to {self.folds - 1} are there.")
        self.ways, self._filters = len(self.words), filters
        known = type(self).load()
        if data is None:
            order = np.random.default_rng(1).permutation(np.unique(known.speaker))
            unseen = np.isin(known.speaker, order[fold :: self.folds])
            self.train = known if everyone else _chosen(known, ~unseen)
            self.test = _chosen(known, unseen)
        else:
            self.train, self.test = known, read(Path(data))
        if int(self.test.word.max()) >= self.ways or int(self.test.word.min()) < 0:
            raise UsageError(f"label {self.test.word.max()} came, 0 to {self.ways - 1} are known.")
        self.description = f"{known.source}; {', '.join(self.words)}; other speakers to test on"
        self._clients: dict[Split, list[SpeakerClient]] = {}

    def spec(self) -> ModelSpec:
        """Three convolutions of stride 2 and a dense softmax, small enough to train on a board."""
        filters, shape = self._filters, (self.sounds.length, self.sounds.bands, 1)
        steps = [conv(filters << i, stride=2) for i in range(3)]
        return ModelSpec.convnet(shape, [*steps, dense(self.ways, "softmax")])

    def clients(self, split: Split) -> int:
        """How many speakers a split has."""
        return len(self._speakers(split))

    def client(self, index: int, split: Split) -> SpeakerClient:
        """One speaker."""
        speakers = self._speakers(split)
        return speakers[index % len(speakers)]

    def measure(self, outputs: Float32, targets: Float32) -> float:
        """Share of the queries whose largest output is the right word."""
        return float(np.mean(outputs.argmax(axis=1) == targets[:, 0]))

    def features(self, clips: Clips) -> Float32:
        """float32 [clips, n_in] of the front end."""
        return np.stack([self.sounds.features(audio).reshape(-1) for audio in clips.audio])

    def _speakers(self, split: Split) -> list[SpeakerClient]:
        if split not in self._clients:
            clips = self.train if split == "train" else self.test
            features, found = self.features(clips), []
            for speaker in np.unique(clips.speaker):
                mine = clips.speaker == speaker
                groups = tuple(features[mine & (clips.word == w)] for w in range(self.ways))
                if all(len(takes) for takes in groups):
                    name = f"{self.name}-{split}-{speaker}"
                    found.append(SpeakerClient(name, groups, self.scarce))
            if not found:
                raise UsageError(f"no speaker says all of {', '.join(self.words)}.")
            self._clients[split] = found
        return self._clients[split]


class DigitsTask(SpokenTask):
    """Spoken digits 0 to 9 at 8 kHz; a fold is one speaker."""

    name = "digits"
    sounds = Sounds(8000, 256, 80, 24, 32, centred=False)
    folds = 4
    words = tuple("0123456789")
    load = staticmethod(digits)


class KeywordsTask(SpokenTask):
    """Bed, cat and happy at 16 kHz; a fold is a fifth of the speakers."""

    name = "keywords"
    sounds = Sounds(16000, 512, 256, 32, 48, centred=True)
    folds = 5
    words = ("bed", "cat", "happy")
    load = staticmethod(commands)
    scarce = True


def _chosen(clips: Clips, mine: NDArray[np.bool_]) -> Clips:
    rows = np.flatnonzero(mine)
    return replace(
        clips,
        audio=[clips.audio[row] for row in rows],
        word=clips.word[rows],
        speaker=clips.speaker[rows],
    )
