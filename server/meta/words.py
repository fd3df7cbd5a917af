"""Train a classifier of spoken words that works for speakers it never heard.

Clips are changed into those of other speakers and rooms (`server.meta.augment`) and mixed in
pairs: Zhang et al., "mixup", 2018 (arXiv:1710.09412). One cycle of rates: Smith and Topin, 2018
(arXiv:1708.07120).
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

__all__ = ["Recipe", "pool", "train_words"]

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Recipe:
    """How words are learnt.

    Args:
        steps: batches to learn from.
        variants: changed copies of each clip; a step draws one of them.
        batch: clips of a step.
        rate: highest rate of AdamW.
        decay: weight decay.
        mixing: both parameters of mixup's beta distribution.
        seed: of weights, changes and batches.
        ranges: how far clips are changed.
    """

    steps: int = 600
    variants: int = 10
    batch: int = 64
    rate: float = 4e-3
    decay: float = 2e-2
    mixing: float = 0.3
    seed: int = 0
    ranges: Ranges = field(default_factory=Ranges)


def pool(clips: Clips, sounds: Sounds, how: Recipe) -> Float32:
    """Changed copies of all clips: float32 [variants, clips, length, bands]."""
    rng = np.random.default_rng(how.seed)
    bands, far = [sounds.bands_of(audio) for audio in clips.audio], how.ranges
    return np.stack([
        np.stack([augmented(clip, sounds, voice(far, rng), far, rng) for clip in bands])
        for _ in range(how.variants)
    ])  # fmt: skip


def train_words(
    net: ConvNet,
    clips: Clips,
    sounds: Sounds,
    how: Recipe,
    on_step: Callable[[int, float], None] | None = None,
) -> nn.Sequential:
    """Train on clips.

    Args:
        net: the architecture.
        clips: what is learnt.
        sounds: how clips become the input.
        how: the recipe.
        on_step: called with the step, from 1, and its loss.

    Returns:
        The module, ready to infer.
    """
    torch.manual_seed(how.seed)
    copies, words = pool(clips, sounds, how), torch.from_numpy(clips.word)
    module = net.module()
    optimiser = torch.optim.AdamW(module.parameters(), weight_decay=how.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, how.rate, total_steps=how.steps)
    rng = np.random.default_rng([how.seed, 1])
    for step in range(1, how.steps + 1):
        rows = rng.integers(len(words), size=how.batch)
        x = torch.from_numpy(copies[rng.integers(how.variants, size=how.batch), rows])[:, None]
        y, other = words[rows], torch.from_numpy(rng.permutation(how.batch))
        share = float(rng.beta(how.mixing, how.mixing))
        scores = module(share * x + (1 - share) * x[other])
        loss = share * functional.cross_entropy(scores, y)
        loss = loss + (1 - share) * functional.cross_entropy(scores, y[other])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if on_step is not None:
            on_step(step, float(loss.detach()))
    return module.eval()
