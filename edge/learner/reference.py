"""The NumPy twin of the C learner: the same operations in the same order, in float32.

It is the readable statement of what tinylearn.h promises, the oracle of the tests, and what
runs where there is no C build. On NumPy builds whose float32 arithmetic is IEEE-754 its bits
are those of the C library.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.artifact import Artifact
from edge.chain_layer import ChainLayer
from edge.errors import UsageError
from edge.int8 import Int8Layer
from edge.int8_scale import dequantise, quantise
from edge.learner import common
from edge.learner.classes import add_class, spare_class
from edge.learner.common import Float32, Sizes, as_floats, as_targets, as_vector, raise_for
from edge.learner.reference_activations import activate, activate_back, cross_entropy, squared_error
from edge.learner.reference_kernels import fused, plain
from edge.learner.reference_layers import FloatLayer
from edge.learner.reference_statistics import RunningStatistics

__all__ = ["ReferenceLearner"]

F = np.float32
STEADY_LIMIT = F(1e18)


class ReferenceLearner:
    """The twin; arguments, methods and errors are those of `NativeLearner`."""

    backend = "numpy"

    def __init__(
        self,
        model: bytes,
        *,
        train_layers: int = 0,
        standardise: bool = False,
        infer_only: bool = False,
        arithmetic: str = "mul_add",
        momentum: float = 0.0,
        decay: float = 0.0,
        clip: float = 0.0,
        reconstruct: bool = False,
    ) -> None:
        from edge.budget import first_of_tail, requirement

        artifact = Artifact(model)
        self._spec, parts = artifact.spec, artifact.chain
        self._infer_only, self._reconstruct = infer_only, reconstruct
        self._smooths = common.check_optimiser(momentum, decay, clip)
        need = requirement(
            artifact,
            train_layers=train_layers,
            standardise=standardise,
            momentum=self._smooths,
            reconstruct=reconstruct,
        )
        if need.parameters == 0 and (not infer_only or standardise):
            raise_for(common.FROZEN)
        step = fused if common.check_arithmetic(arithmetic, True) else plain
        first = first_of_tail(artifact, train_layers)
        self._front = [
            FloatLayer(part, step) if _is_float(part) else Int8Layer(part) for part in parts[:first]
        ]
        self._tail = [FloatLayer(part, step) for part in parts[first:]]
        self._ends = parts[0], parts[-1]
        self.n_in, self.n_out = self._spec.n_in, self._spec.n_out
        features = need.features
        target = 0 if reconstruct else self._spec.n_target
        if reconstruct and (self._spec.loss != "mse" or features != self.n_out):
            raise_for(common.ARGUMENT)
        self.sizes = Sizes(
            need.parameters, target, features, need.ram_infer, need.ram_train, need.macs
        )
        self._statistics = RunningStatistics(features) if standardise else None
        weighted = [layer for layer in self._tail if layer.w.size]
        self._velocity = [
            (np.zeros_like(x.w), np.zeros_like(x.b)) for x in weighted if self._smooths
        ]
        self._weighted = [] if infer_only else weighted
        self.set_optimiser(momentum, decay, clip)

    @property
    def parameters(self) -> Float32:
        """Copy of the trained parameters: float32 [sizes.parameters], see `ModelSpec`."""
        parts = [a.ravel() for layer in self._weighted for a in (layer.w, layer.b)]
        return np.concatenate(parts) if parts else np.zeros(0, F)

    @parameters.setter
    def parameters(self, values: Float32) -> None:
        count = sum(layer.w.size + layer.b.size for layer in self._weighted)
        vector = as_vector(values, count, "parameters")
        if not np.isfinite(vector).all():
            raise common.NonFinite("parameters with NaN or infinity came; the old ones are kept.")
        start = 0
        for layer in self._weighted:
            for array in (layer.w, layer.b):
                array[...] = vector[start : start + array.size].reshape(array.shape) + F(0)
                start += array.size

    def predict_one(self, x: Any) -> Float32:
        """Outputs for one input: float32 [n_in] to float32 [n_out]."""
        values = self._finite(as_vector(x, self.n_in, "x"))
        first, last = self._ends
        with np.errstate(all="ignore"):
            if first.dtype == "int8":
                values = quantise(values, first.in_scale, first.in_zero)
            y = self._run(values)
            if y.dtype == np.int8:
                return dequantise(y, last.out_scale, last.out_zero)
        return np.asarray(y, F)

    def predict_many(self, x: Any) -> Float32:
        """Outputs for many inputs: float32 [n, n_in] to float32 [n, n_out]."""
        x = as_floats(x, self.n_in, "x")
        rows = [self.predict_one(row) for row in x]
        return np.array(rows, F).reshape(len(x), self.n_out)

    def predict_int8(self, x: NDArray[np.int8]) -> NDArray[np.int8]:
        """Outputs of an int8 model in its own numbers: int8 [n_in] to int8 [n_out]."""
        first, last = self._ends
        if first.dtype != "int8" or last.dtype != "int8" or last.kind == "dequantize":
            raise_for(common.ARGUMENT)
        values = np.ascontiguousarray(x, np.int8)
        if values.size != self.n_in:
            raise UsageError(f"x of shape {values.shape} came, ({self.n_in},) is needed.")
        return np.asarray(self._run(values.reshape(self.n_in)), np.int8)

    def loss_one(self, x: Any, target: Any = None) -> float:
        """Loss of one sample, without learning from it."""
        x, t = self._checked(x, target)
        with np.errstate(all="ignore"):
            features = self._features(x, learns=False)
            outputs = self._forward(features)
            loss, _, _ = self._loss(outputs[-1], features if self._reconstruct else t)
        return float(self._finite(loss))

    def learn_one(self, x: Any, target: Any = None, *, rate: float) -> float:
        """Take one SGD step on one sample; see `NativeLearner.learn_one`."""
        x, t = self._checked(x, target)
        step_rate = self._finite(F(rate))
        with np.errstate(all="ignore"):
            features = self._features(x, learns=True)
            outputs = self._forward(features)
            loss, y, d = self._loss(outputs[-1], features if self._reconstruct else t)
            self._finite(loss)
            outputs[-1] = y
            self._backward(features, outputs, d, step_rate)
        return float(loss)

    def learn_many(self, x: Any, targets: Any, *, rate: float) -> Float32:
        """Take one step on each sample in turn; see `NativeLearner.learn_many`."""
        x = as_floats(x, self.n_in, "x")
        t = as_targets(targets, len(x), self.sizes.target)
        pairs = zip(x, t, strict=True)
        return np.array([self.learn_one(row, target, rate=rate) for row, target in pairs], F)

    def add_class(self, index: int | None = None) -> int:
        """Put a spare class into use; see `NativeLearner.add_class`."""
        if self._infer_only:
            raise_for(common.FROZEN)
        head = self._weighted[-1]
        chosen = spare_class(head.b) if index is None else index
        common.check_class(chosen, self.n_out)
        if self._spec.loss != "cross_entropy":
            raise_for(common.ARGUMENT)
        if add_class(_by_output(head.w), head.b, chosen) and self._smooths:
            for array in self._velocity[-1]:
                _by_output(array)[chosen] = 0
        return chosen

    def set_optimiser(self, momentum: float, decay: float, clip: float) -> None:
        """Change the options of the optimiser; see `NativeLearner.set_optimiser`."""
        if common.check_optimiser(momentum, decay, clip) and not self._smooths:
            raise UsageError("the learner was made without momentum, decay and clipping.")
        self._momentum, self._decay, self._clip = F(momentum), F(decay), F(clip)

    def come_to_rest(self) -> None:
        """Forget what the last steps were moving with (momentum)."""
        for arrays in self._velocity:
            for array in arrays:
                array[...] = 0

    def state(self) -> dict[str, Any]:
        """What a restart needs: parameters; velocity and running statistics; samples seen."""
        kept = [_turned(array) for arrays in self._velocity for array in arrays]
        if self._statistics is not None:
            kept += [self._statistics.mean.ravel(), self._statistics.m2.ravel()]
        statistics = np.concatenate(kept) if kept else np.zeros(0, F)
        count = self._statistics.count if self._statistics is not None else 0
        return {"parameters": self.parameters, "statistics": statistics, "count": count}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take a state that `state` gave, of the same architecture and options."""
        needed = self.state()["statistics"].size
        kept = as_vector(state["statistics"], needed, "statistics").copy()
        self.parameters = state["parameters"]
        for arrays in self._velocity:
            for array in arrays:
                array[...] = _returned(kept[: array.size], array.shape)
                kept = kept[array.size :]
        if self._statistics is not None:
            mean, m2 = np.split(kept, 2)
            self._statistics.mean, self._statistics.m2 = mean.reshape(2, -1), m2.reshape(2, -1)
            self._statistics.count = int(state["count"])

    def _run(self, x: Any) -> Any:
        for layer in self._front:
            x = _activated(layer, layer.forward(x))
        if self._statistics is not None:
            x = self._statistics.apply(x)
        for tail_layer in self._tail:
            x = _activated(tail_layer, tail_layer.forward(x))
        return x

    def _features(self, x: Any, *, learns: bool) -> Float32:
        for layer in self._front:
            x = _activated(layer, layer.forward(x))
        if self._statistics is None:
            return np.asarray(x, F)
        if not (np.abs(x) <= STEADY_LIMIT).all():
            raise_for(common.NONFINITE)
        if learns:
            self._statistics.observe(x)
        return self._statistics.apply(x)

    def _forward(self, x: Float32) -> list[Float32]:
        """Outputs of the tail's layers; of a last softmax its logits."""
        outputs = []
        for layer in self._tail:
            x = layer.forward(x)
            if layer.part.activation != "softmax":
                x = activate(layer.part.activation, x)
            outputs.append(x)
        return outputs

    def _loss(self, z: Float32, target: Float32) -> tuple[Any, Float32, Float32]:
        if self._spec.loss == "mse":
            loss, d = squared_error(z, target)
            return loss, z, d
        return cross_entropy(z, int(target[0]))

    def _backward(self, x: Float32, outputs: list[Float32], d: Float32, rate: Any) -> None:
        before = [x, *outputs]
        which = len(self._weighted)
        for index in reversed(range(len(self._tail))):
            layer = self._tail[index]
            d = activate_back(layer.part.activation, outputs[index], d)
            dx = layer.back(before[index], d) if index else d
            if layer.w.size:
                which -= 1
                if self._smooths:
                    self._smooth(layer, self._velocity[which], before[index], d, rate)
                else:
                    layer.update(layer.w, layer.b, before[index], d, rate)
            d = dx

    def _smooth(
        self,
        layer: FloatLayer,
        velocity: tuple[Float32, Float32],
        x: Float32,
        d: Float32,
        rate: Any,
    ) -> None:
        """Step with momentum, weight decay and clipping; see tl_momentum.c."""
        norm = layer.norm(x, d) if self._clip > 0 else F(0)
        if norm > self._clip:
            d = (self._clip / norm) * d
        for array in velocity:
            array[...] = self._momentum * array + F(0)
        layer.update(*velocity, x, d, F(-1))
        layer.w -= rate * (velocity[0] + self._decay * layer.w)
        layer.b -= rate * (velocity[1] + F(0))

    def _checked(self, x: Any, target: Any) -> tuple[Float32, Float32]:
        if self._infer_only:
            raise_for(common.FROZEN)
        x = self._finite(as_vector(x, self.n_in, "x"))
        if self._reconstruct:
            return x, x
        t = self._finite(as_vector(target, self.sizes.target, "target"))
        if self._spec.loss == "cross_entropy" and t[0] not in range(self.n_out):
            raise_for(common.ARGUMENT)
        return x, t

    def _finite(self, values: Any) -> Any:
        if not np.isfinite(values).all():
            raise_for(common.NONFINITE)
        return values


def _is_float(part: ChainLayer) -> bool:
    return part.dtype == "float32" and part.kind != "quantize"


def _activated(layer: FloatLayer | Int8Layer, y: Any) -> Any:
    return activate(layer.part.activation, y) if isinstance(layer, FloatLayer) else y


def _by_output(array: Float32) -> Float32:
    """A view with the output channels first; those of a depthwise convolution are last."""
    return np.moveaxis(array, -1, 0) if array.ndim == 3 else array


def _turned(array: Float32) -> Float32:
    """As the C library's arena holds it: inputs first, then output channels."""
    return array.reshape(array.shape[0], -1).T.ravel() if array.ndim in (2, 4) else array.ravel()


def _returned(flat: Float32, shape: tuple[int, ...]) -> Float32:
    turned = len(shape) in (2, 4)
    return flat.reshape(-1, shape[0]).T.reshape(shape) if turned else flat.reshape(shape)
