"""How a training step is made beyond its rate, the same on host and board."""

import struct
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from edge.errors import UsageError

__all__ = ["Arithmetic", "Schedule", "Steps", "Watching"]

Arithmetic = Literal["mul_add", "fma"]
Schedule = Literal["constant", "linear"]

_STANDARDISE, _FMA, _MOMENTUM, _RECONSTRUCT = 1, 4, 8, 16


@dataclass(frozen=True, kw_only=True)
class Steps:
    """Options of an SGD step.

    Args:
        momentum: share of the last step that is taken again, from 0 to below 1.
        decay: L2 weight decay of the weights, not of the biases; 0: none.
        clip: largest norm of a layer's gradient; 0: any.
        arithmetic: `mul_add` rounds product and sum, `fma` once.
        schedule: of the rate: `constant`, or `linear` down to 0 over the samples.
        reconstruct: the target of a sample is its own input (autoencoder).

    Raises:
        UsageError: a value is out of range, not finite as float32, or unknown.
    """

    momentum: float = 0.0
    decay: float = 0.0
    clip: float = 0.0
    arithmetic: Arithmetic = "mul_add"
    schedule: Schedule = "constant"
    reconstruct: bool = False

    def __post_init__(self) -> None:
        """Refuse what no learner does."""
        if not 0 <= np.float32(self.momentum) < 1:
            raise UsageError(f"momentum is {self.momentum}, 0 to below 1 is allowed.")
        for name, value in (("weight decay", self.decay), ("clip", self.clip)):
            if not 0 <= value <= float(np.finfo(np.float32).max):
                raise UsageError(f"{name} is {value}, a finite number from 0 is needed.")
        for name, chosen, known in (
            ("arithmetic", self.arithmetic, get_args(Arithmetic)),
            ("schedule", self.schedule, get_args(Schedule)),
        ):
            if chosen not in known:
                raise UsageError(f"no {name} {chosen!r}.", hint=" or ".join(known))

    @property
    def smooths(self) -> bool:
        """Whether a step needs what is kept for momentum, decay and clipping (TL_MOMENTUM)."""
        return bool(self.momentum or self.decay or self.clip)

    def flags(self, *, standardise: bool) -> int:
        """The bits of the learner's layout, as in tinylearn.h."""
        return (
            _STANDARDISE * standardise
            | _FMA * (self.arithmetic == "fma")
            | _MOMENTUM * self.smooths
            | _RECONSTRUCT * self.reconstruct
        )

    @property
    def options(self) -> dict[str, Any]:
        """What a learner is made with."""
        return {
            "arithmetic": self.arithmetic,
            "momentum": self.momentum,
            "decay": self.decay,
            "clip": self.clip,
            "reconstruct": self.reconstruct,
        }

    def words(self) -> bytes:
        """Momentum, decay, clip and schedule as the serial link takes them."""
        return struct.pack("<3fI", self.momentum, self.decay, self.clip, self.schedule == "linear")

    def rates(self, rate: float, samples: int) -> NDArray[np.float32]:
        """The rate of each sample, in the firmware's float32 operations.

        Args:
            rate: of the first sample.
            samples: how many in all, every epoch counted.

        Returns:
            float32 [samples]: `rate`, or `rate * ((samples - i) / samples)`.

        >>> Steps(schedule="linear").rates(0.5, 4)
        array([0.5  , 0.375, 0.25 , 0.125], dtype=float32)
        """
        first = np.float32(rate)
        if self.schedule == "constant":
            return np.full(samples, first, np.float32)
        left = np.arange(samples, 0, -1).astype(np.float32) / np.float32(samples)
        return np.asarray(first * left, np.float32)


@dataclass(frozen=True, kw_only=True)
class Watching:
    """When a rise of the losses is a drift, and how long it is learnt from.

    Learning goes on until the losses are back, at most `most` steps; then they count as normal.

    Args:
        warm_up: losses seen before it judges, 2 to 2**24.
        allowance: a rise that is no drift, in standard deviations of the loss.
        threshold: summed rise beyond the allowance that is one, in standard deviations.
        most: steps that one drift may switch on.

    Raises:
        UsageError: a value is out of range or not finite.
    """

    warm_up: int = 100
    allowance: float = 0.5
    threshold: float = 20.0
    most: int = 500

    def __post_init__(self) -> None:
        """Refuse what the monitor refuses."""
        with np.errstate(over="ignore"):
            allowance, threshold = np.float32(self.allowance), np.float32(self.threshold)
        if not 2 <= self.warm_up <= 2**24:
            raise UsageError(f"warm_up is {self.warm_up}, 2 to 16777216 losses are allowed.")
        if not 0 <= allowance < np.inf:
            raise UsageError(f"allowance is {self.allowance}, a finite number from 0 is needed.")
        if not 0 < threshold < np.inf:
            raise UsageError(f"threshold is {self.threshold}, a finite number above 0 is needed.")
        if not 1 <= self.most < 2**32:
            raise UsageError(f"most is {self.most}, 1 to 4294967295 steps are allowed.")

    def words(self) -> bytes:
        """The fields in order, as the serial link takes them."""
        return struct.pack("<I2fI", self.warm_up, self.allowance, self.threshold, self.most)
