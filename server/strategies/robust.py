"""Robust aggregation: what becomes of a cohort's deltas where some of them may lie.

A rule is a name and, after a colon, its number; every strategy that averages takes one.

- `mean`: no defence.
- `clip:NORM`: a delta longer than NORM (L2) is shortened to it; Sun et al., "Can You Really
  Backdoor Federated Learning?", 2019.
- `median`: the median of every coordinate; Yin et al., "Byzantine-Robust Distributed Learning",
  ICML 2018.
- `trimmed:SHARE`: the mean of every coordinate without the SHARE smallest and largest; same paper.
- `krum:F`: the mean of the n - F deltas that lie closest to their neighbours; Multi-Krum,
  Blanchard et al., "Machine Learning with Adversaries", NeurIPS 2017.

All but `mean` hold a cohort's deltas in memory. Apart from `clip`, samples do not weigh.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from edge.errors import UsageError
from server.strategies.base import Contribution, Mean

__all__ = ["RULES", "check_rule", "require_enough", "robust_mean"]

Float64 = NDArray[np.float64]
RULES = ("mean", "clip:NORM", "median", "trimmed:SHARE", "krum:F")
"""How rules are written."""


def check_rule(rule: str) -> tuple[str, float]:
    """Take a rule apart.

    Args:
        rule: as in `RULES`.

    Returns:
        Its name and number; 0 where it has none.

    Raises:
        UsageError: there is no such rule, or its number is not allowed.

    >>> check_rule("trimmed:0.25")
    ('trimmed', 0.25)
    """
    name, colon, text = rule.partition(":")
    try:
        number = float(text) if colon else 0.0
    except ValueError:
        number = float("nan")
    allowed = {
        "mean": not colon,
        "median": not colon,
        "clip": 0 < number < float("inf"),
        "trimmed": bool(colon) and 0 <= number < 0.5,
        "krum": bool(colon) and number >= 0 and number.is_integer(),
    }
    if not allowed.get(name, False):
        raise UsageError(f"robust rule {rule!r} is not allowed.", hint=", ".join(RULES))
    return name, number


def require_enough(rule: str, deltas: int) -> None:
    """Refuse a rule that so few deltas cannot keep: Krum's proof needs 2 F + 3 where F lie.

    Args:
        rule: as in `RULES`.
        deltas: how many a round takes.

    Raises:
        UsageError: they are too few.
    """
    name, number = check_rule(rule)
    needed = 2 * int(number) + 3 if name == "krum" and number else 1
    if deltas < needed:
        most = max((deltas - 3) // 2, 0)
        raise UsageError(
            f"{rule} needs {needed} devices or more in a round (2 F + 3), here are {deltas}.",
            hint=f"more devices, or --robust {f'krum:{most}' if most else 'median'}",
        )


def robust_mean(rule: str, updates: Sequence[Contribution], *, by_samples: bool = False) -> Mean:
    """Combine deltas; the same bits in whatever order they come.

    Args:
        rule: as in `RULES`.
        updates: one or more, of one length.
        by_samples: weigh deltas by their samples (`mean`, `clip`).
    """
    name, number = check_rule(rule)
    ordered = sorted(updates, key=lambda update: update.device)
    mean = Mean(ordered[0].delta.size)
    if name in ("mean", "clip"):
        for update in ordered:
            delta = update.delta if name == "mean" else _shortened(update.delta, number)
            mean.add(delta, float(update.samples) if by_samples else 1.0)
        return mean
    deltas = np.stack([update.delta for update in ordered]).astype(np.float64)
    mean.sum += _MIDDLE[name](deltas, number)
    mean.weight = 1.0
    return mean


def _shortened(delta: NDArray[np.float32], most: float) -> NDArray[np.float32]:
    norm = float(np.linalg.norm(delta.astype(np.float64)))
    return delta if norm <= most else (delta * (most / norm)).astype(np.float32)


def _median(deltas: Float64, _: float) -> Float64:
    return np.asarray(np.median(deltas, axis=0), np.float64)


def _trimmed(deltas: Float64, share: float) -> Float64:
    cut = int(share * len(deltas))
    kept = np.sort(deltas, axis=0)[cut : len(deltas) - cut]
    return np.asarray(kept.mean(axis=0), np.float64)


def _krum(deltas: Float64, liars: float) -> Float64:
    """With fewer than 2 F + 3 deltas, as many liars are reckoned with as that allows."""
    n = len(deltas)
    f = max(min(int(liars), (n - 3) // 2), 0)
    squares = (deltas**2).sum(axis=1)
    distances = squares[:, None] + squares[None] - 2 * deltas @ deltas.T
    np.fill_diagonal(distances, np.inf)
    closest = np.sort(distances, axis=1)[:, : max(n - f - 2, 1)]
    chosen = np.sort(np.argsort(closest.sum(axis=1), kind="stable")[: n - f])
    return np.asarray(deltas[chosen].mean(axis=0), np.float64)


_MIDDLE: dict[str, Callable[[Float64, float], Float64]] = {
    "median": _median,
    "trimmed": _trimmed,
    "krum": _krum,
}
