"""Meta-train a classifier of spoken words to learn a new speaker from few takes.

Episodes are speakers: their support takes move the last dense layer by the steps that a device
takes, and the loss of their query takes reaches all layers and the rate itself. That is MAML with
the head alone in the inner loop (ANIL: Raghu et al., ICLR 2020, arXiv:1909.09157) and a learnt
inner rate (Li et al., Meta-SGD, 2017, arXiv:1707.09835). The head's own loss is added, so that it
knows the words before it adapts. Speakers are few, so most are made: changed copies of the real
ones, each with a voice of its own (`server.meta.augment`).
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from server.meta.augment import Ranges, augmented, voice
from server.meta.convnet import ConvNet
from server.tasks.clips import Clips
from server.tasks.sounds import Sounds

__all__ = ["SpeakerRecipe", "made_speakers", "train_speakers"]

Float32 = NDArray[np.float32]
OWN_SHARE = 0.5  # of the head's own loss


@dataclass(frozen=True)
class SpeakerRecipe:
    """How words are learnt from speakers.

    Args:
        steps: episodes, one optimiser step each.
        voices: made speakers of each real one.
        takes: of each word that a made speaker says.
        shots: takes of a word to adapt to, drawn from these.
        queries: takes of a word to measure on.
        passes: over the support takes, one step of the inner loop for each shot of all words.
        others: takes of a step that any made speaker says, for the head's own loss.
        rate: highest rate of AdamW.
        decay: weight decay.
        seed: of weights, voices and episodes.
        ranges: how far voices and clips are changed.
    """

    steps: int = 2500
    voices: int = 20
    takes: int = 20
    shots: tuple[int, ...] = (1, 1, 2, 5)
    queries: int = 4
    passes: int = 5
    others: int = 30
    rate: float = 3e-3
    decay: float = 2e-2
    seed: int = 0
    ranges: Ranges = field(
        default_factory=lambda: Ranges(
            tract=0.28, tempo=0.3, tilt=0.5, noise=0.11, floor=3.0, mask=0.3, wavering=0.07
        )
    )


def made_speakers(clips: Clips, words: int, sounds: Sounds, how: SpeakerRecipe) -> Float32:
    """Changed copies of all speakers: float32 [speakers, words, takes, length, bands]."""
    rng = np.random.default_rng(how.seed)
    bands = [sounds.bands_of(audio) for audio in clips.audio]
    found = []
    for speaker in np.unique(clips.speaker):
        mine = [
            np.flatnonzero((clips.speaker == speaker) & (clips.word == w)) for w in range(words)
        ]
        for _ in range(how.voices):
            who = voice(how.ranges, rng)
            found.append([
                [augmented(bands[i], sounds, who, how.ranges, rng) for i in _some(rows, how, rng)]
                for rows in mine
            ])  # fmt: skip
    return np.array(found, np.float32)


def _some(
    rows: NDArray[np.int64], how: SpeakerRecipe, rng: np.random.Generator
) -> NDArray[np.int64]:
    return np.resize(rng.permutation(rows), how.takes)


def train_speakers(
    net: ConvNet,
    clips: Clips,
    sounds: Sounds,
    how: SpeakerRecipe,
    on_step: Callable[[int, float], None] | None = None,
) -> nn.Sequential:
    """Train on the speakers of clips.

    Args:
        net: the architecture; its last dense layer is what adapts.
        clips: what is learnt; every speaker says every word.
        sounds: how clips become the input.
        how: the recipe.
        on_step: called with the step, from 1, and its loss.

    Returns:
        The module, ready to infer.
    """
    torch.manual_seed(how.seed)
    speakers = made_speakers(clips, net.classes, sounds, how)
    module = net.module()
    *body, head = module
    features, rate = nn.Sequential(*body), nn.Parameter(torch.tensor(np.log(0.01)).float())
    optimiser = torch.optim.AdamW(
        [
            {"params": module.parameters(), "weight_decay": how.decay},
            {"params": [rate], "weight_decay": 0.0},
        ]
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, [how.rate, 3 * how.rate], total_steps=how.steps
    )
    rng = np.random.default_rng([how.seed, 1])
    for step in range(1, how.steps + 1):
        shots = int(rng.choice(how.shots))
        taken, count = _episode(speakers, shots + how.queries, rng), net.classes
        x, y = _anyone(speakers, how.others, rng)
        clips_in = np.concatenate([taken.reshape(-1, *x.shape[1:]), x])
        found = features(torch.from_numpy(clips_in)[:, None])
        mine = found[: len(found) - how.others].reshape(count, shots + how.queries, -1)
        w, b = _adapted(head, mine[:, :shots], rate.exp(), how.passes)
        words = torch.arange(count)
        loss = functional.cross_entropy(
            mine[:, shots:].flatten(0, 1) @ w.T + b, words.repeat_interleave(how.queries)
        )
        known = torch.cat([words.repeat_interleave(shots + how.queries), torch.from_numpy(y)])
        own = functional.cross_entropy(head(found), known, label_smoothing=0.1)
        loss = loss + OWN_SHARE * own
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(module.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        if on_step is not None:
            on_step(step, float(loss.detach()))
    return module.eval()


def _adapted(
    head: nn.Module, support: torch.Tensor, rate: torch.Tensor, passes: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights and bias of the head after steps on support [words, shots, features]."""
    w, b = head.weight, head.bias
    wanted = torch.eye(len(support))
    for _ in range(passes):
        for shot in support.unbind(1):
            error = torch.softmax(shot @ w.T + b, 1) - wanted
            w, b = w - rate * error.T @ shot, b - rate * error.sum(0)
    return w, b


def _episode(speakers: Float32, takes: int, rng: np.random.Generator) -> Float32:
    """[words, takes, length, bands] of one speaker."""
    one = speakers[rng.integers(len(speakers))]
    return np.stack([word[rng.choice(len(word), takes, replace=False)] for word in one])


def _anyone(
    speakers: Float32, n: int, rng: np.random.Generator
) -> tuple[Float32, NDArray[np.int64]]:
    """Takes [n, length, bands] of any speakers, and their words int64 [n]."""
    who, word, take = (rng.integers(size, size=n) for size in speakers.shape[:3])
    return speakers[who, word, take], word
