"""Both learners side by side, for tests of their bits."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.errors import TinyfleetError
from edge.learner import NativeLearner, ReferenceLearner
from edge.learner.native import library
from edge.spec import ModelSpec

C = library()
needs_c = pytest.mark.skipif(C is None, reason="no C compiler")
ARITHMETICS = ["mul_add", "fma"] if C is not None and C.tl_has_fma() else ["mul_add"]


def optimisers() -> st.SearchStrategy[dict[str, float]]:
    """Momentum, weight decay and clipping: all, some or none."""
    return st.fixed_dictionaries(
        {
            "momentum": st.sampled_from([0.0, 0.5, 0.9]),
            "decay": st.sampled_from([0.0, 1e-2]),
            "clip": st.sampled_from([0.0, 0.3]),
        }
    )


def bits(values: Any) -> bytes:
    """The bits of float32 values; which NaN it is does not count."""
    array = np.asarray(values, np.float32)
    return np.where(np.isnan(array), np.float32(np.nan), array).tobytes()


def outcome(call: Callable[[], Any]) -> bytes | str:
    """What a call gave, or how it failed."""
    try:
        return bits(call())
    except TinyfleetError as error:
        return f"{type(error).__name__}: {error}"


def stream(spec: ModelSpec, n: int, seed: int) -> list[tuple[NDArray[np.float32], Any]]:
    """Samples with a target each; some inputs are 0, as after a ReLU."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, spec.n_in)).astype(np.float32)
    x[rng.random(x.shape) < 0.3] = 0
    if spec.loss == "cross_entropy":
        return list(zip(x, rng.integers(0, spec.n_out, n), strict=True))
    return list(zip(x, rng.normal(size=(n, spec.n_out)), strict=True))


def answers(learner: Any, x: Any, target: Any, rate: float) -> list[bytes | str]:
    """Loss, step, prediction, and what the learner remembers after them."""
    return [
        outcome(lambda: learner.loss_one(x, target)),
        outcome(lambda: learner.learn_one(x, target, rate=rate)),
        outcome(lambda: learner.predict_one(x)),
        *[bits(learner.state()[part]) for part in ("parameters", "statistics", "count")],
    ]


def assert_same(
    model: bytes, samples: list[tuple[Any, Any]], rate: float = 0.05, **options: Any
) -> None:
    """Hold every answer of the C learner, and all it remembers, against the twin's.

    Weights that are no longer finite end it: from there on the bits are not promised.
    """
    c, twin = NativeLearner(model, **options), ReferenceLearner(model, **options)
    assert c.sizes == twin.sizes
    for step, (x, target) in enumerate(samples):
        ours, theirs = (answers(learner, x, target, rate) for learner in (c, twin))
        if not (np.isfinite(c.parameters).all() and np.isfinite(twin.parameters).all()):
            return
        assert ours == theirs, step
