"""Meta-train the sine model through all the steps that a device will take.

Finn, Abbeel and Levine, "Model-Agnostic Meta-Learning", ICML 2017 (arXiv:1703.03400), with plain
SGD sample by sample in the inner loop, several passes, and a learnt rate (Li et al., Meta-SGD,
2017, arXiv:1707.09835). Gradients pass through every inner step, which only a server can afford.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from server.export import tflite
from server.tasks.sine import SineStreams, SineTask

__all__ = ["WaveRecipe", "sine_model", "train_waves"]

Weights = list[torch.Tensor]
FAR = 100.0  # a wave with a worse loss ran away: it is left out


@dataclass(frozen=True)
class WaveRecipe:
    """How waves are learnt from.

    Args:
        steps: optimiser steps.
        waves: of a step.
        shots: points to adapt to.
        passes: over these.
        queries: points to measure on.
        rate: highest rate of Adam.
        inner_rate: where the learnt rate of a device starts.
        seed: of weights and waves.
    """

    steps: int = 25_000
    waves: int = 64
    shots: int = 8
    passes: int = 4
    queries: int = 20
    rate: float = 2e-3
    inner_rate: float = 1e-3
    seed: int = 0


def sine_model(how: WaveRecipe, on_step: Callable[[int, float], None] | None = None) -> bytes:
    """Meta-train 1-40-40-1 on simulated waves; see `train_waves`.

    Returns:
        A float32 `.tflite`.
    """
    parameters, _ = train_waves(how, on_step)
    return tflite.write(SineTask().spec(), parameters, name="sine")


def train_waves(
    how: WaveRecipe, on_step: Callable[[int, float], None] | None = None
) -> tuple[NDArray[np.float32], float]:
    """Meta-train 1-40-40-1.

    Args:
        how: the recipe.
        on_step: called with the step, from 1, and its loss.

    Returns:
        Parameters float32 [1761] to start from, and the rate of a device that was learnt.
    """
    weights = _fresh(how.seed)
    rate = torch.tensor(float(np.log(how.inner_rate)), requires_grad=True)
    optimiser = torch.optim.Adam([{"params": weights}, {"params": [rate]}])
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, [how.rate, how.rate], total_steps=how.steps, pct_start=0.05
    )
    rng = np.random.default_rng([how.seed, 1])
    for step in range(1, how.steps + 1):
        x, y = _waves(how, step)
        adapted: Weights = [w.expand(how.waves, *w.shape) for w in weights]
        for _ in range(how.passes):
            for i in rng.permutation(how.shots):
                adapted = _step(adapted, x[:, i], y[:, i], rate.exp())
        errors = _forward(adapted, x[:, how.shots :]) - y[:, how.shots :]
        each = (errors**2).mean(1)
        loss = each[each < FAR].mean()
        optimiser.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_([*weights, rate], 5.0)
        if torch.isfinite(norm):
            optimiser.step()
        schedule.step()
        if on_step is not None:
            on_step(step, float(loss.detach()))
    flat = np.concatenate([w.detach().numpy().ravel() for w in weights])
    return flat, float(rate.detach().exp())


def _fresh(seed: int) -> Weights:
    spec = SineTask().spec()
    parts = [part for pair in spec.split(spec.initial(seed)) for part in pair]
    return [torch.from_numpy(part.copy()).requires_grad_() for part in parts]


def _waves(how: WaveRecipe, step: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Points [waves, shots + queries], and the waves there."""
    x, y = SineStreams(how.seed, step, how.shots + how.queries).draw(0, how.waves)
    return torch.from_numpy(x[..., 0].copy()), torch.from_numpy(y[..., 0].copy())


def _forward(weights: Weights, x: torch.Tensor) -> torch.Tensor:
    """Outputs [waves, n] at x [waves, n], each wave with weights of its own."""
    w1, b1, w2, b2, w3, b3 = weights
    h = torch.relu(x[:, :, None] * w1[:, None, :, 0] + b1[:, None])
    h = torch.relu(torch.bmm(h, w2.transpose(1, 2)) + b2[:, None])
    return (torch.bmm(h, w3.transpose(1, 2)) + b3[:, None])[:, :, 0]


def _step(weights: Weights, x: torch.Tensor, y: torch.Tensor, rate: torch.Tensor) -> Weights:
    """One SGD step of each wave at one point, x and y [waves], on the squared error."""
    w1, b1, w2, b2, w3, b3 = weights
    before1 = x[:, None] * w1[:, :, 0] + b1
    h1 = torch.relu(before1)
    before2 = torch.bmm(w2, h1[:, :, None])[:, :, 0] + b2
    h2 = torch.relu(before2)
    error = 2 * (torch.bmm(w3, h2[:, :, None])[:, 0, 0] + b3[:, 0] - y)[:, None]
    d2 = error * w3[:, 0] * (before2 > 0)
    d1 = torch.bmm(w2.transpose(1, 2), d2[:, :, None])[:, :, 0] * (before1 > 0)
    slopes = (
        (d1 * x[:, None])[:, :, None],
        d1,
        d2[:, :, None] * h1[:, None],
        d2,
        (error * h2)[:, None],
        error,
    )
    return [w - rate * slope for w, slope in zip(weights, slopes, strict=True)]
