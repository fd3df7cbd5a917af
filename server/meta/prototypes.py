"""Meta-train a backbone so that class means tell classes apart.

Snell, Swersky and Zemel, "Prototypical Networks for Few-shot Learning", NeurIPS 2017, with inner
products in place of distances: a query's score for a class is its product with the class mean
less the mean of all, which is what one small SGD step on a dense softmax head from zero gives.
Classes are augmented by quarter turns (new classes), drawings by small affine maps.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from server.meta.backbone import Backbone

__all__ = ["Episodes", "meta_train"]

Images = NDArray[np.float32]


@dataclass(frozen=True)
class Episodes:
    """How episodes are drawn and learnt from.

    Args:
        steps: episodes, one optimiser step each.
        ways: classes of an episode.
        shots: most support drawings of a class; each episode draws 1 to so many.
        queries: query drawings of a class.
        rate: first learning rate of AdamW, taken down to 0 along a cosine.
        seed: of weights and episodes.
    """

    steps: int = 15_000
    ways: int = 60
    shots: int = 3
    queries: int = 3
    rate: float = 2e-3
    seed: int = 0


def meta_train(
    backbone: Backbone,
    classes: list[Images],
    how: Episodes,
    on_step: Callable[[int, float], None] | None = None,
) -> nn.Sequential:
    """Train a backbone on episodes.

    Args:
        backbone: the architecture.
        classes: float32 [drawings, side, side] in 0..1 of each class.
        how: the episodes.
        on_step: called with the step, from 1, and its loss.

    Returns:
        The module, ready to infer.
    """
    torch.manual_seed(how.seed)
    net = backbone.module().to(memory_format=torch.channels_last)
    scale = nn.Parameter(torch.tensor(-2.0))
    optimiser = torch.optim.AdamW([*net.parameters(), scale], lr=how.rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, how.steps)
    rng = np.random.default_rng(how.seed)
    for step in range(1, how.steps + 1):
        shots = int(rng.integers(1, how.shots + 1))
        drawn = _episode(classes, how.ways, shots + how.queries, rng)
        features = net(drawn).reshape(how.ways, shots + how.queries, -1)
        means = features[:, :shots].mean(1)
        scores = features[:, shots:].flatten(0, 1) @ (means - means.mean(0)).T * scale.exp()
        labels = torch.arange(how.ways).repeat_interleave(how.queries)
        loss = functional.cross_entropy(scores, labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if on_step is not None:
            on_step(step, float(loss.detach()))
    return net.eval()


def _episode(
    classes: list[Images], ways: int, drawings: int, rng: np.random.Generator
) -> torch.Tensor:
    """Drawings [ways * drawings, 1, side, side] of different classes, augmented."""
    chosen = []
    for number in rng.choice(len(classes), ways, replace=False):
        picked = rng.choice(len(classes[number]), drawings, replace=False)
        chosen.append(np.rot90(classes[number][picked], rng.integers(4), axes=(1, 2)))
    images = torch.from_numpy(np.concatenate(chosen)[:, None].astype(np.float32))
    grid = functional.affine_grid(_maps(len(images), rng), list(images.shape), align_corners=False)
    moved = functional.grid_sample(images, grid, align_corners=False)
    return moved.contiguous(memory_format=torch.channels_last)


def _maps(n: int, rng: np.random.Generator) -> torch.Tensor:
    """Affine maps [n, 2, 3]: up to 14 degrees, 15 % in size, 0.2 in shear, 3 pixels of 28."""
    angle, shear = rng.uniform(-0.25, 0.25, n), rng.uniform(-0.2, 0.2, n)
    size = rng.uniform(0.85, 1.15, (2, n))
    maps = np.empty((n, 2, 3), np.float32)
    maps[:, 0, 0], maps[:, 0, 1] = np.cos(angle) * size[0], shear - np.sin(angle)
    maps[:, 1, 0], maps[:, 1, 1] = np.sin(angle), np.cos(angle) * size[1]
    maps[:, :, 2] = rng.uniform(-0.125, 0.125, (n, 2))
    return torch.from_numpy(maps)
