"""What the learner over C and its NumPy twin share: sizes, errors and argument checks."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import ArtifactError, TinyfleetError, UsageError

__all__ = [
    "LearnerError",
    "NonFinite",
    "Sizes",
    "as_floats",
    "as_targets",
    "as_vector",
    "check_arithmetic",
    "check_class",
    "check_optimiser",
    "raise_for",
]

Float32 = NDArray[np.float32]

TRUNCATED, FORMAT, OPERATOR, TYPE, SHAPE, LIMIT = -1, -2, -3, -4, -5, -6
ARENA, ARGUMENT, FROZEN, NONFINITE = -7, -8, -9, -10

MEANINGS = {
    TRUNCATED: "the file ends before what it points at",
    FORMAT: "this is not a .tflite file, or it is broken",
    TYPE: "a tensor is neither float32, int8 nor int32 as its place needs",
    SHAPE: "the operators do not form a chain of layers whose shapes agree",
    LIMIT: "more than 256 operators, or a tensor or layer that is too large",
    ARENA: "the arena is too small",
}


class LearnerError(TinyfleetError):
    """The learner refused a call; nothing was changed."""


class NonFinite(LearnerError):
    """A sample, target, rate or loss is NaN or infinite; the weights are as they were."""


@dataclass(frozen=True)
class Sizes:
    """What a model needs: counts of float32 (parameters, target, features), bytes, and MACs."""

    parameters: int
    target: int
    features: int
    arena_infer: int
    arena_train: int
    macs: int


def check_arithmetic(arithmetic: str, has_fma: bool) -> bool:
    """Whether the contract is fma.

    Raises:
        UsageError: an unknown one, or fma where there is none.
    """
    if arithmetic not in ("mul_add", "fma"):
        raise UsageError(f"arithmetic {arithmetic!r} came.", hint="mul_add or fma")
    if arithmetic == "fma" and not has_fma:
        raise UsageError("this processor has no fused multiply-add.", hint="arithmetic mul_add")
    return arithmetic == "fma"


def check_class(index: int, n_out: int) -> None:
    """Refuse a class that a model does not have.

    Raises:
        UsageError: there is none of this index, or none was spare (`index` is `n_out`).
    """
    if not 0 <= index < n_out:
        raise UsageError(
            f"class {index} is not one of the model's {n_out}, or no class is spare.",
            hint="export with spare classes",
        )


def check_optimiser(momentum: float, decay: float, clip: float) -> bool:
    """Whether any of momentum, weight decay and clipping is asked for.

    Raises:
        UsageError: one is out of range.
    """
    if not (0 <= momentum < 1 and 0 <= decay < np.inf and 0 <= clip < np.inf):
        raise UsageError(
            f"momentum {momentum}, decay {decay}, clip {clip} came.",
            hint="0 <= momentum < 1; decay and clip finite, 0 or more",
        )
    return momentum > 0 or decay > 0 or clip > 0


def raise_for(status: int, culprit: int = 0) -> None:
    """Raise the error that belongs to a `tl_status`; 0 raises nothing."""
    if status == 0:
        return
    if status == OPERATOR:
        raise ArtifactError(
            f"operator {culprit} (builtin code) or its version is not supported.",
            hint="see docs/SPEC.md for the operators that the learner knows",
        )
    if status in MEANINGS:
        raise ArtifactError(f"{MEANINGS[status]}.", hint="export the model again")
    if status == FROZEN:
        raise LearnerError(
            "the model has no float32 layer to train, or was opened to predict only.",
            hint="the float32 file of the same model, or its hybrid",
        )
    if status == NONFINITE:
        raise NonFinite(
            "a sample, target or rate is NaN, infinite or too large, or the loss became so; "
            "nothing was learnt from it.",
            hint="check the sensor's values, or a smaller rate",
        )
    raise UsageError("an argument is out of range, such as a class index or a layer count.")


def as_vector(x: Any, n: int, what: str) -> Float32:
    """One float32 [n], copied only if it must be.

    Raises:
        UsageError: another number of values.
    """
    array = np.ascontiguousarray(x, np.float32)
    if array.size != n or array.ndim > 2:
        raise UsageError(f"{what} of shape {array.shape} came, ({n},) is needed.")
    return array.reshape(n)


def as_floats(x: Any, n: int, what: str) -> Float32:
    """A float32 [rows, n].

    Raises:
        UsageError: another shape.
    """
    array = np.ascontiguousarray(x, np.float32)
    if array.ndim != 2 or array.shape[1] != n:
        raise UsageError(f"{what} of shape {array.shape} came, (rows, {n}) is needed.")
    return array


def as_targets(targets: Any, rows: int, n: int) -> Float32:
    """A float32 [rows, n]; [rows] is taken too where n is 1.

    Raises:
        UsageError: another shape.
    """
    array = np.ascontiguousarray(targets, np.float32)
    if array.size != rows * n or (array.ndim == 1 and n != 1):
        raise UsageError(f"targets of shape {array.shape} came, ({rows}, {n}) is needed.")
    return array.reshape(rows, n)
