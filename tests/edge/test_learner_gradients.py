"""A step follows the gradient: finite differences in float64, and torch where it is installed."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.layers import ActivateSpec, ConvSpec, Layer, LayerSpec, PadSpec, PoolSpec
from edge.learner import OnlineLearner, ReferenceLearner
from edge.spec import ModelSpec
from server.export import tflite
from tests.edge.convnets import convnets, everything
from tests.edge.twins import stream
from tests.edge.zoo import model, specs

F = np.float32
Float64 = NDArray[np.float64]
LEARNERS = sorted({OnlineLearner, ReferenceLearner}, key=lambda kind: kind.__name__)
SLOW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
ACTIVATIONS: dict[str, Callable[[Float64], Float64]] = {
    "linear": lambda z: z,
    "softmax": lambda z: z,  # the loss takes logits
    "relu": lambda z: np.maximum(z, 0),
    "relu6": lambda z: np.clip(z, 0, 6),
    "tanh": np.tanh,
    "logistic": lambda z: 1 / (1 + np.exp(-z)),
}


def parameters(spec: ModelSpec, seed: int) -> NDArray[np.float32]:
    noise = np.random.default_rng(seed).normal(0, 0.1, spec.n_parameters)
    return (spec.initial(seed) + noise).astype(F)


def linear64(layer: Layer, w: Float64, b: Float64, x: Float64) -> Float64:
    """A layer before its activation, from its definition."""
    if isinstance(layer, LayerSpec):
        return w @ x.reshape(-1) + b
    image = x.reshape(layer.in_shape)
    if isinstance(layer, ActivateSpec):
        return image
    top, bottom, left, right = layer.pads
    if isinstance(layer, PadSpec):
        return np.pad(image, ((top, bottom), (left, right), (0, 0)))
    kernel = layer.kernel if isinstance(layer, ConvSpec) else layer.window
    dilation = layer.dilation if isinstance(layer, ConvSpec) else (1, 1)
    outside = 0.0 if isinstance(layer, ConvSpec) else np.nan
    image = np.pad(image, ((top, bottom), (left, right), (0, 0)), constant_values=outside)
    z = np.empty(layer.out_shape)
    for row, column in np.ndindex(*layer.out_shape[:2]):
        y, x0 = row * layer.stride[0], column * layer.stride[1]
        window = image[y :: dilation[0], x0 :: dilation[1]][: kernel[0], : kernel[1]]
        if not isinstance(layer, ConvSpec):
            reduce = np.nanmax if layer.kind == "max" else np.nanmean
            z[row, column] = reduce(window, axis=(0, 1))
        elif layer.depthwise:
            each = layer.filters // layer.in_shape[2]
            z[row, column] = (w * window.repeat(each, axis=2)).sum((0, 1)) + b
        else:
            z[row, column] = np.einsum("oijc,ijc->o", w, window) + b
    return z


def loss64(spec: ModelSpec, vector: Float64, x: Float64, target: Any) -> float:
    """The loss from its definition, in float64, sharing no code with a learner."""
    parts, nothing = iter(spec.split(vector)), (np.zeros(0), np.zeros(0))
    for layer in spec.layers:
        w, b = next(parts) if layer.weight_shape else nothing
        x = ACTIVATIONS[layer.activation](linear64(layer, w, b, x))
    x = x.reshape(-1)
    if spec.loss == "cross_entropy":
        return float(np.log(np.exp(x - x.max()).sum()) + x.max() - x[int(target)])
    return float(((x - target) ** 2).mean())


def gradient(spec: ModelSpec, kind: Any, seed: int) -> tuple[Any, Any, Any, float]:
    """What a step of rate 1 takes from the parameters; also x, target and the loss."""
    learner = kind(tflite.write(spec, parameters(spec, seed), name="net"))
    x, target = stream(spec, 1, seed)[0]
    before = learner.parameters.astype(np.float64)
    loss = learner.learn_one(x, target, rate=1.0)
    return before - learner.parameters, x.astype(np.float64), target, loss


def assert_follows(spec: ModelSpec, kind: Any, seed: int) -> None:
    step, x, target, loss = gradient(spec, kind, seed)
    vector = parameters(spec, seed).astype(np.float64)
    assert loss == pytest.approx(loss64(spec, vector, x, target), rel=1e-4, abs=1e-5)
    rng, norm = np.random.default_rng(seed), np.linalg.norm(step)
    for _ in range(4):
        direction = rng.normal(size=vector.size)
        direction /= np.linalg.norm(direction)
        slopes = [
            (
                loss64(spec, vector + h * direction, x, target)
                - loss64(spec, vector - h * direction, x, target)
            )
            / (2 * h)
            for h in (1e-5, 1e-6)
        ]
        if abs(slopes[0] - slopes[1]) > 1e-4 * max(1, abs(slopes[0])):
            continue  # a kink of relu or of a maximum lies within the difference
        assert step @ direction == pytest.approx(slopes[1], rel=1e-3, abs=2e-4 * max(1, norm))


@pytest.mark.parametrize("kind", LEARNERS)
@pytest.mark.parametrize("seed", range(4))
def test_a_step_of_every_layer_follows_the_gradient(kind: Any, seed: int) -> None:
    assert_follows(everything(), kind, seed)


@SLOW
@given(convnets(), st.integers(0, 1000))
def test_a_step_of_a_convnet_follows_the_gradient(spec: ModelSpec, seed: int) -> None:
    assert_follows(spec, OnlineLearner, seed)


@SLOW
@given(specs(widest=6), st.integers(0, 1000))
def test_a_step_of_a_dense_net_follows_the_gradient(spec: ModelSpec, seed: int) -> None:
    assert_follows(spec, OnlineLearner, seed)


def torch_linear(torch: Any, layer: Layer, w: Any, b: Any, x: Any) -> Any:
    """A layer before its activation, by torch's own operators, which have channels first."""
    act = torch.nn.functional
    if isinstance(layer, LayerSpec):
        return w @ x.reshape(-1) + b
    if isinstance(layer, ActivateSpec):
        return x
    image = x.reshape(1, *layer.in_shape).permute(0, 3, 1, 2)
    top, bottom, left, right = layer.pads
    around = (left, right, top, bottom)
    if isinstance(layer, PoolSpec) and layer.kind == "max":
        image = act.max_pool2d(act.pad(image, around, value=-torch.inf), layer.window, layer.stride)
    elif isinstance(layer, PoolSpec):
        sums, counts = (
            act.avg_pool2d(act.pad(part, around), layer.window, layer.stride, divisor_override=1)
            for part in (image, torch.ones_like(image))
        )
        image = sums / counts
    elif isinstance(layer, PadSpec):
        image = act.pad(image, around)
    else:
        kernel = w.permute(2, 0, 1)[:, None] if layer.depthwise else w.permute(0, 3, 1, 2)
        groups = layer.in_shape[2] if layer.depthwise else 1
        image = act.conv2d(
            act.pad(image, around), kernel, b, layer.stride, 0, layer.dilation, groups
        )
    return image.permute(0, 2, 3, 1)


def torch_gradient(spec: ModelSpec, seed: int, x: Any, target: Any) -> tuple[Any, float]:
    """The gradient that torch's autograd finds in float64; how near a kink of a ReLU is."""
    torch = pytest.importorskip("torch")
    activations = {
        "relu": torch.relu,
        "relu6": torch.nn.functional.relu6,
        "tanh": torch.tanh,
        "logistic": torch.sigmoid,
    }
    wide = parameters(spec, seed).astype(np.float64)
    parts = [[torch.tensor(a, requires_grad=True) for a in pair] for pair in spec.split(wide)]
    value, left, near = torch.tensor(x), iter(parts), np.inf
    for layer in spec.layers:
        w, b = next(left) if layer.weight_shape else (None, None)
        value = torch_linear(torch, layer, w, b, value)
        if layer.activation in ("relu", "relu6"):
            kinks = np.abs([value.detach().numpy(), value.detach().numpy() - 6])
            near = min(near, kinks[kinks > 0].min(initial=np.inf))
        value = activations.get(layer.activation, lambda z: z)(value)
    y = value.reshape(-1)
    if spec.loss == "cross_entropy":
        loss = torch.nn.functional.cross_entropy(y[None], torch.tensor([int(target)]))
    else:
        loss = ((y - torch.tensor(target)) ** 2).mean()
    loss.backward()
    return np.concatenate([a.grad.numpy().ravel() for pair in parts for a in pair]), near


@SLOW
@given(convnets(), st.integers(0, 1000))
def test_every_slope_is_the_one_of_torch(spec: ModelSpec, seed: int) -> None:
    step, x, target, _ = gradient(spec, ReferenceLearner, seed)
    expected, near = torch_gradient(spec, seed, x, target)
    assume(near > 1e-5)
    np.testing.assert_allclose(step, expected, rtol=1e-3, atol=1e-5 * (1 + abs(expected).max()))


@pytest.mark.parametrize("kind", LEARNERS)
@pytest.mark.parametrize("clip", [0.0, 0.2])
def test_momentum_decay_and_clipping_are_as_stated(kind: Any, clip: float) -> None:
    """v = mu v + g, w -= rate (v + decay w), b -= rate v; g shrunk to a norm of clip."""
    spec, rate, mu, decay = ModelSpec.mlp([4, 5, 3], output="softmax"), 0.1, 0.8, 0.05
    file = model(spec, 1)
    learner = kind(file, momentum=mu, decay=decay, clip=clip)
    w, v = learner.parameters.astype(np.float64), np.zeros(spec.n_parameters)
    for x, target in stream(spec, 10, 2):
        plain = kind(file)
        plain.parameters = w.astype(F)
        plain.learn_one(x, target, rate=1.0)
        wanted = []
        for old, new in zip(spec.split(w), spec.split(plain.parameters), strict=True):
            layer = np.concatenate([(a - b).ravel() for a, b in zip(old, new, strict=True)])
            norm = np.linalg.norm(layer)
            wanted.append(layer * (clip / norm if clip and norm > clip else 1.0))
        v = mu * v + np.concatenate(wanted)
        decayed = spec.join([(a, np.zeros_like(b)) for a, b in spec.split(w)])
        w = w - rate * (v + decay * decayed)
        learner.learn_one(x, target, rate=rate)
        np.testing.assert_allclose(learner.parameters, w, rtol=1e-4, atol=1e-5)


@SLOW
@given(convnets(), st.integers(0, 1000))
def test_clipping_bounds_the_norm_of_every_layer(spec: ModelSpec, seed: int) -> None:
    clip = 0.05
    file = tflite.write(spec, parameters(spec, seed), name="net")
    learner, free = ReferenceLearner(file, clip=clip), ReferenceLearner(file)
    x, target = stream(spec, 1, seed)[0]
    steps = []
    for one in (learner, free):
        before = one.parameters.astype(np.float64)
        one.learn_one(x, target, rate=1.0)
        steps.append(before - one.parameters)
    for clipped, whole in zip(*(spec.split(step) for step in steps), strict=True):
        norms = [np.sqrt(sum((a**2).sum() for a in pair)) for pair in (clipped, whole)]
        assert norms[0] <= clip * (1 + 1e-3) + 1e-6
        if norms[1] > 1e-3 and len(clipped[0].shape) == 2:
            assert norms[0] == pytest.approx(min(norms[1], clip), rel=1e-2)
