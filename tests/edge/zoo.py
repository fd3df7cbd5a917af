"""Random dense models, their files and samples, for tests of the learner."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.spec import ModelSpec
from server.export import tflite

ACTIVATIONS = st.sampled_from(["relu", "tanh", "linear"])


@st.composite
def specs(draw: st.DrawFn, widest: int = 12) -> ModelSpec:
    """Any small dense model: 1 to 4 layers, every activation and both losses."""
    widths = draw(st.lists(st.integers(1, widest), min_size=2, max_size=5))
    output = draw(st.sampled_from(["linear", "relu", "tanh", "softmax"]))
    return ModelSpec.mlp(widths, hidden=draw(ACTIVATIONS), output=output)


def parameters(spec: ModelSpec, seed: int = 0) -> NDArray[np.float32]:
    """Initial weights, with biases that are not zero."""
    rng = np.random.default_rng(seed)
    return spec.initial(seed) + rng.normal(0, 0.1, spec.n_parameters).astype(np.float32)


def model(spec: ModelSpec, seed: int = 0) -> bytes:
    """A float32 file."""
    return tflite.write(spec, parameters(spec, seed), name="zoo")


def samples(spec: ModelSpec, n: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Inputs and targets of the kind that the model's loss needs."""
    rng = np.random.default_rng(seed + 1)
    x = rng.normal(size=(n, spec.n_in)).astype(np.float32)
    if spec.loss == "cross_entropy":
        return x, rng.integers(0, spec.n_out, n)
    return x, rng.normal(size=(n, spec.n_out)).astype(np.float32)
