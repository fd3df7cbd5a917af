"""How a device follows a plan: one pass over its samples, or several that build on each other."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge.layout import sent
from edge.messages import Plan
from edge.spec import ModelSpec
from edge.worker import TrainResult, Trend

__all__ = ["Part", "Train", "follow", "one_pass"]

Float32 = NDArray[np.float32]
Part = Literal["support", "query", "again"]
"""Which samples a pass takes: the next ones, those to send the pass of, the support once more."""
Train = Callable[[Float32, Plan, Part], TrainResult]
"""Trains as planned from all float32 parameters of the model; the delta is of those trained."""


def one_pass(plan: Plan) -> bool:
    """Whether training once as planned is all."""
    return plan.local is None and plan.meta is None and not plan.proximal


def follow(
    train: Train, start: Float32, spec: ModelSpec, plan: Plan, kept: Float32 | None = None
) -> tuple[TrainResult, Float32 | None]:
    """Train as planned.

    A local part: Singhal et al., "Federated Reconstruction", NeurIPS 2021, and Collins et al.,
    "Exploiting Shared Representations for Personalized Federated Learning", ICML 2021. In the pass
    over the shared part the local one keeps stepping: the learner freezes only from the front.
    A pass over other samples: Finn, Abbeel and Levine, "Model-Agnostic Meta-Learning", ICML 2017,
    online: its steps are the outer gradient.

    Args:
        train: one pass.
        start: float32 [spec.n_parameters].
        spec: the model's float32 layers.
        plan: how; see its fields.
        kept: float32 [m], the local part as the last round left it.

    Returns:
        What is sent, float32 [n] by `layout.sent`, with all passes' figures; and the local part.

    Raises:
        UsageError: the plan trains or keeps more layers than there are.
    """
    if one_pass(plan):
        return train(start, plan, "support"), None
    part = sent(spec, plan)
    once = replace(plan, local=None, meta=None, proximal=0.0)
    walk = _Walk(train, start)
    if plan.local is not None:
        if kept is not None and not plan.local.fresh and kept.size == start.size - part.stop:
            walk.at[part.stop :] = kept
        if plan.local.epochs:
            walk.go(replace(once, train_layers=plan.local.layers, epochs=plan.local.epochs))
    if plan.meta is not None:
        delta = _outer(walk, once, plan)
    else:
        for _ in range(plan.epochs if plan.proximal else 1):
            walk.go(replace(once, epochs=1) if plan.proximal else once)
            walk.at = _drawn(walk.at, start, plan)
        delta = walk.at - start
    local = walk.at[part.stop :].copy() if plan.local is not None else None
    return walk.result(delta[part]), local


class _Walk:
    """Passes one after the other, and what they found."""

    def __init__(self, train: Train, start: Float32) -> None:
        self.train, self.at = train, start.copy()
        self.found: list[TrainResult] = []

    def go(self, plan: Plan, part: Part = "support") -> None:
        """One more pass."""
        result = self.train(self.at, plan, part)
        self.found.append(result)
        self.at = _moved(self.at, result.delta)

    def result(self, delta: Float32) -> TrainResult:
        """All passes as one."""
        samples = sum(found.samples for found in self.found)
        meters: dict[str, float] = {}
        for found in self.found:
            for name, value in found.meters.items():
                meters[name] = meters.get(name, 0.0) + value
        first, last = self.found[0].trend, self.found[-1].trend
        return TrainResult(
            delta,
            samples,
            self.found[0].loss_first,
            sum(found.loss_mean * found.samples for found in self.found) / samples,
            self.found[-1].loss_last,
            meters,
            Trend(first.samples, first.early, last.late) if first and last else None,
        )


def _moved(at: Float32, delta: Float32) -> Float32:
    """Add the delta of the last parameters."""
    moved = at.copy()
    moved[at.size - delta.size :] += delta
    return moved


def _drawn(at: Float32, start: Float32, plan: Plan) -> Float32:
    """The proximal point of mu / 2 |w - start|^2, after steps of `rate` over an epoch's samples.

    Parikh and Boyd, "Proximal Algorithms", 2014, section 4.2 (forward-backward splitting).
    """
    strength = np.float32(plan.rate * plan.samples * plan.proximal)
    return start + (at - start) / (np.float32(1) + strength) if plan.proximal else at


def _outer(walk: _Walk, once: Plan, plan: Plan) -> Float32:
    """Adapt, then give what the pass over the query samples changes."""
    assert plan.meta is not None
    start = walk.at
    inner = replace(once, train_layers=plan.meta.layers or plan.train_layers)
    walk.go(inner)
    adapted = walk.at
    walk.go(replace(once, samples=plan.meta.query, epochs=1), "query")
    step = walk.at - adapted
    length = float(np.linalg.norm(step.astype(np.float64)))
    if plan.meta.curvature and length:
        step = step + _turned(walk.train, start, inner, step, plan.meta.curvature / length)
    return step


def _turned(train: Train, start: Float32, inner: Plan, step: Float32, scale: float) -> Float32:
    """What adapting does to a small step: its derivative along it, by central differences.

    Exact for one gradient step, whose derivative is symmetric; Fallah, Mokhtari and Ozdaglar,
    "Personalized Federated Learning with Theoretical Guarantees", NeurIPS 2020 (Per-FedAvg HF).
    """
    apart = np.float32(scale) * step
    ahead = train(start + apart, inner, "again").delta
    behind = train(start - apart, inner, "again").delta
    return _moved(np.zeros_like(step), (ahead - behind) / np.float32(2 * scale))
