"""Other speakers, speeds, rooms and microphones out of the mel bands of a clip.

Vocal tract: Jaitly and Hinton, ICML workshop 2013 (VTLP), here on the mel scale. Masks: Park et
al., SpecAugment, Interspeech 2019.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from server.tasks.sounds import Sounds

__all__ = ["Ranges", "Voice", "augmented", "voice"]

Float32 = NDArray[np.float32]
UNIT = 512.0  # the front end's: two octaves of energy


@dataclass(frozen=True)
class Ranges:
    """How far clips are changed; units of energy are those of the front end, two octaves.

    Args:
        tract: most a vocal tract is longer or shorter.
        speed: most a clip is longer or shorter.
        shift: most frames it is moved, where it is cut around its centre.
        cut: most of a clip that is missing at each end, where it is stretched.
        tempo: how uneven its speed becomes, standard deviation of a step's logarithm.
        tilt: of the spectrum, standard deviation at its ends.
        noise: of each value.
        floor: most that silence is raised.
        mask: share of clips that lose some frames, or some bands.
        wavering: how much one voice's tract and tilt differ between its clips, as a share of the
            above.
    """

    tract: float = 0.17
    speed: float = 0.22
    shift: int = 5
    cut: float = 0.1
    tempo: float = 0.0
    tilt: float = 0.43
    noise: float = 0.11
    floor: float = 2.9
    mask: float = 0.5
    wavering: float = 0.0


@dataclass(frozen=True)
class Voice:
    """A speaker and his microphone, as changes to another.

    Args:
        tract: length of the vocal tract.
        offset: bands that all is moved by.
        tilt: of the spectrum, at its ends.
        floor: of silence above the clip's own.
    """

    tract: float
    offset: float
    tilt: float
    floor: float


def voice(how: Ranges, rng: np.random.Generator) -> Voice:
    """Somebody else."""
    return Voice(
        tract=float(np.exp(rng.uniform(-1, 1) * np.log1p(how.tract))),
        offset=float(rng.uniform(-1, 1)),
        tilt=float(rng.normal(0, how.tilt)),
        floor=float(rng.uniform(0, how.floor)),
    )


def augmented(
    bands: NDArray[np.int16],
    sounds: Sounds,
    who: Voice,
    how: Ranges,
    rng: np.random.Generator,
) -> Float32:
    """One changed clip.

    Args:
        bands: int16 [frames, bands] of `LogMel.bands`.
        sounds: how clips become the input of the model.
        who: whose voice it becomes.
        how: how far it is changed.
        rng: where all randomness comes from.

    Returns:
        float32 [length, bands], scaled as the front end does it.
    """
    wavering = how.wavering * rng.normal(size=2)
    factor = who.tract * (1 + how.tract * wavering[0])
    x = _along(bands / UNIT, np.arange(bands.shape[1]) * factor + who.offset, axis=1)
    x = _centred(x, sounds.length, how, rng) if sounds.centred else _cut(x, how, rng)
    x = _along(x, _tempo(len(x), sounds.length, how, rng), axis=0)
    x += (who.tilt + how.tilt * wavering[1]) * np.linspace(-1, 1, sounds.bands)
    x += rng.normal(0, how.noise, x.shape)
    floor = x.min() + who.floor
    x = np.logaddexp2(2 * x, 2 * floor) / 2
    for axis in (0, 1):
        if rng.random() < how.mask:
            size = x.shape[axis] // 8
            first = int(rng.integers(x.shape[axis] - size))
            chosen = slice(first, first + int(rng.integers(1, size + 1)))
            x[(chosen, slice(None)) if axis == 0 else (slice(None), chosen)] = x.mean()
    return np.asarray(x - x.mean(), np.float32)


def _along(x: NDArray[np.float64], at: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Values between those of an axis, linearly."""
    at = np.clip(at, 0, x.shape[axis] - 1)
    before = np.minimum(at.astype(int), max(x.shape[axis] - 2, 0))
    after = np.minimum(before + 1, x.shape[axis] - 1)
    share = (at - before)[:, None] if axis == 0 else at - before
    return np.asarray(x.take(before, axis) * (1 - share) + x.take(after, axis) * share)


def _tempo(frames: int, length: int, how: Ranges, rng: np.random.Generator) -> NDArray[np.float64]:
    steps = np.cumsum(np.exp(rng.normal(0, how.tempo, length)))
    return np.asarray((steps - steps[0]) / max(steps[-1] - steps[0], 1e-9) * (frames - 1))


def _centred(
    x: NDArray[np.float64], length: int, how: Ranges, rng: np.random.Generator
) -> NDArray[np.float64]:
    """A cut of about the length around the centre of energy; beyond the ends is silence."""
    energy = np.exp2(2 * (x - x.max())).sum(1)
    wanted = round(length * np.exp(rng.uniform(-1, 1) * np.log1p(how.speed)))
    centre = int((energy * np.arange(len(x))).sum() / energy.sum())
    first = centre - wanted // 2 + int(rng.integers(-how.shift, how.shift + 1))
    at = np.arange(first, first + wanted)
    inside = (at >= 0) & (at < len(x))
    return np.asarray(np.where(inside[:, None], x[np.clip(at, 0, len(x) - 1)], x.min()))


def _cut(x: NDArray[np.float64], how: Ranges, rng: np.random.Generator) -> NDArray[np.float64]:
    begin, end = (int(rng.uniform(0, how.cut) * len(x)) for _ in range(2))
    return x[begin : len(x) - end]
