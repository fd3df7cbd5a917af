"""Random small convolutional models, for tests of files and learners."""

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge import steps
from edge.errors import UsageError
from edge.layers import ActivateSpec
from edge.spec import ModelSpec
from edge.steps import Step

SIDES = st.integers(1, 3)
BOTH = st.tuples(SIDES, SIDES)
FUSED = st.sampled_from(["linear", "relu", "relu6"])
ANY = st.sampled_from(["linear", "relu", "relu6", "tanh", "logistic"])


@st.composite
def step(draw: st.DrawFn, activations: st.SearchStrategy[str]) -> Step:
    """Any layer but a dense one."""
    kind = draw(st.sampled_from(["conv", "depthwise", "max_pool", "average_pool", "mean", "pad"]))
    if kind == "mean":
        return steps.mean()
    if kind == "pad":
        return steps.pad(draw(st.tuples(*[st.integers(0, 2)] * 4)))
    padding = draw(st.sampled_from(["same", "valid"]))
    if kind.endswith("pool"):
        return getattr(steps, kind)(draw(BOTH), stride=draw(BOTH), padding=padding)
    options = {"padding": padding, "activation": draw(activations)}
    options |= {"stride": draw(BOTH), "dilation": draw(BOTH)}
    if kind == "conv":
        return steps.conv(draw(st.integers(1, 5)), draw(BOTH), **options)
    return steps.depthwise(draw(BOTH), multiplier=draw(st.integers(1, 3)), **options)


@st.composite
def convnets(draw: st.DrawFn, activations: st.SearchStrategy[str] = ANY) -> ModelSpec:
    """One to four such layers, and one or two dense ones at the end or none."""
    shape = draw(st.tuples(st.integers(1, 8), st.integers(1, 8), st.integers(1, 3)))
    made: list[Step] = []
    for wanted in draw(st.lists(step(activations), min_size=1, max_size=4)):
        try:
            ModelSpec.convnet(shape, [*made, wanted])
        except UsageError:
            continue  # it does not fit the layer before
        made.append(wanted)
    last = draw(st.sampled_from(["linear", "relu", "tanh", "logistic", "softmax"]))
    made += [steps.dense(draw(st.integers(1, 6)), draw(activations))] * draw(st.integers(0, 1))
    return ModelSpec.convnet(shape, [*made, steps.dense(draw(st.integers(1, 5)), last)])


def everything() -> ModelSpec:
    """Every kind of layer once."""
    spec = ModelSpec.convnet(
        (9, 8, 2),
        [
            steps.conv(6, 3, stride=2, padding=(1, 1, 1, 1)),
            steps.depthwise(3, multiplier=2, activation="relu6"),
            steps.max_pool(2, stride=1, padding="same"),
            steps.conv(4, 1, activation="tanh"),
            steps.average_pool(2),
            steps.conv(4, (1, 2), padding="valid"),
            steps.mean(),
            steps.dense(5, "logistic"),
            steps.dense(3, "softmax"),
        ],
    )
    layers = list(spec.layers)
    layers.insert(7, ActivateSpec((2, 1, 4), "tanh"))
    return ModelSpec.of(layers)


def inputs(spec: ModelSpec, n: int = 12, seed: int = 0) -> NDArray[np.float32]:
    """Samples between -1 and 1."""
    return np.random.default_rng(seed).uniform(-1, 1, (n, spec.n_in)).astype(np.float32)
