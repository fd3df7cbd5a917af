"""The NumPy twin of the C learner: the same operations in the same order, in float32.

It is the readable statement of what tinylearn.h promises, the oracle of the tests, and what
runs where there is no C build. On NumPy builds whose float32 arithmetic is IEEE-754 its bits
are those of the C library.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.artifact import Artifact
from edge.errors import UsageError
from edge.learner import common
from edge.learner.classes import add_class, spare_class
from edge.learner.common import Float32, Sizes, as_floats, as_targets, as_vector, raise_for
from edge.learner.reference_math import exp, log, tanh

__all__ = ["ReferenceLearner"]

F = np.float32
COUNT_LIMIT = 1 << 24
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
    ) -> None:
        from edge.budget import requirement

        artifact = Artifact(model)
        self._spec = artifact.spec
        self._int8 = artifact.int8_layers() if artifact.dtype == "int8" else None
        if self._int8 is not None and not infer_only:
            raise_for(common.FROZEN)
        if not 0 <= train_layers <= len(self._spec.layers):
            raise UsageError(
                f"train_layers is {train_layers}, the model has {len(self._spec.layers)} layers."
            )
        self._infer_only, self._standardise = infer_only, standardise
        need = requirement(artifact, train_layers=train_layers, standardise=standardise)
        self.sizes = Sizes(
            need.parameters,
            self._spec.n_target,
            self._spec.n_in,
            need.ram_infer,
            need.ram_train,
            need.macs,
        )
        self.n_in, self.n_out = self._spec.n_in, self._spec.n_out
        count = len(self._spec.layers)
        self._first = count if infer_only else count - train_layers if train_layers else 0
        self._layers: list[tuple[Float32, Float32]] = []
        if self._int8 is None:
            self._layers = [
                (w.copy(), b.copy()) for w, b in self._spec.split(artifact.parameters())
            ]
        self._count = 0
        features = self.n_in if standardise else 0
        self._mean, self._squares = np.zeros(features, F), np.zeros(features, F)

    @property
    def parameters(self) -> Float32:
        """Copy of the trained parameters: float32 [sizes.parameters], see `ModelSpec`."""
        parts = [a.ravel() for pair in self._layers[self._first :] for a in pair]
        return np.concatenate(parts) if parts else np.zeros(0, F)

    @parameters.setter
    def parameters(self, values: Float32) -> None:
        trained = self._layers[self._first :]
        vector = as_vector(values, sum(w.size + b.size for w, b in trained), "parameters").copy()
        if not np.isfinite(vector).all():
            raise common.NonFinite("parameters with NaN or infinity came; the old ones are kept.")
        start = 0
        for index, (w, b) in enumerate(trained, self._first):
            end = start + w.size
            self._layers[index] = vector[start:end].reshape(w.shape), vector[end : end + b.size]
            start = end + b.size

    def predict_one(self, x: Any) -> Float32:
        """Outputs for one input: float32 [n_in] to float32 [n_out]."""
        x = self._prepare(self._finite(as_vector(x, self.n_in, "x")))
        with np.errstate(all="ignore"):
            return self._answer(x)

    def _answer(self, x: Float32) -> Float32:
        if self._int8 is not None:
            last = self._int8[-1]
            out = self._predict_int8(self._int8[0].quantise(x))
            return np.asarray((out.astype(np.int32) - last.act_zero).astype(F) * last.act_scale, F)
        return self._forward(x)[0][-1]

    def predict_many(self, x: Any) -> Float32:
        """Outputs for many inputs: float32 [n, n_in] to float32 [n, n_out]."""
        x = as_floats(x, self.n_in, "x")
        rows = [self.predict_one(row) for row in x]
        return np.array(rows, F).reshape(len(x), self.n_out)

    def predict_int8(self, x: NDArray[np.int8]) -> NDArray[np.int8]:
        """Outputs of an int8 model in its own numbers: int8 [n_in] to int8 [n_out]."""
        if self._int8 is None:
            raise_for(common.ARGUMENT)
        values = np.ascontiguousarray(x, np.int8)
        if values.size != self.n_in:
            raise UsageError(f"x of shape {values.shape} came, ({self.n_in},) is needed.")
        return self._predict_int8(values.reshape(self.n_in))

    def loss_one(self, x: Any, target: Any) -> float:
        """Loss of one sample, without learning from it."""
        x, t = self._checked(x, target)
        with np.errstate(all="ignore"):
            outputs, logits = self._forward(self._prepare(x))
            loss, _ = self._loss(outputs[-1], logits, t)
        return float(self._finite(loss))

    def learn_one(self, x: Any, target: Any, *, rate: float) -> float:
        """Take one SGD step on one sample; see `NativeLearner.learn_one`."""
        x, t = self._checked(x, target)
        step_rate = self._finite(F(rate))
        if self._standardise:
            self._observe(x)
        x = self._prepare(x)
        with np.errstate(all="ignore"):
            outputs, logits = self._forward(x)
            loss, d = self._loss(outputs[-1], logits, t)
            self._finite(loss)
            self._backward(x, outputs, d, step_rate)
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
        weights, bias = self._layers[-1]
        chosen = spare_class(bias) if index is None else index
        common.check_class(chosen, self.n_out)
        if self._spec.loss != "cross_entropy":
            raise_for(common.ARGUMENT)
        add_class(weights, bias, chosen)
        return chosen

    def set_optimiser(self, momentum: float, decay: float, clip: float) -> None:
        """Change the options of the optimiser; see `NativeLearner.set_optimiser`."""
        if common.check_optimiser(momentum, decay, clip):
            raise UsageError("the learner was made without momentum, decay and clipping.")

    def come_to_rest(self) -> None:
        """Forget what the last steps were moving with (momentum)."""

    def state(self) -> dict[str, Any]:
        """What a restart needs: parameters and running statistics (mean, squares, count)."""
        statistics = np.concatenate([self._mean, self._squares])
        return {"parameters": self.parameters, "statistics": statistics, "count": self._count}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take a state that `state` gave, of the same architecture and options."""
        statistics = as_vector(state["statistics"], 2 * self._mean.size, "statistics")
        self.parameters = state["parameters"]
        self._mean, self._squares = np.split(statistics.copy(), 2)
        self._count = int(state["count"])

    def _forward(self, x: Float32) -> tuple[list[Float32], Float32]:
        outputs, z = [], x
        for layer, (w, b) in zip(self._spec.layers, self._layers, strict=True):
            z = b.copy()
            for i in range(layer.n_in):
                z += w[:, i] * x[i]
            x = _activate(layer.activation, z)
            outputs.append(x)
        return outputs, z

    def _backward(self, x: Float32, outputs: list[Float32], d: Float32, rate: Any) -> None:
        for index in reversed(range(self._first, len(self._layers))):
            w, b = self._layers[index]
            y, before = outputs[index], outputs[index - 1] if index else x
            if self._spec.layers[index].activation == "relu":
                d = np.where(y > 0, d, F(0))
            elif self._spec.layers[index].activation == "tanh":
                d = d * (F(1) - y * y)
            dx = np.zeros(len(before), F)
            for o in np.flatnonzero(d):
                dx += w[o] * d[o]
                step = rate * d[o]
                w[o] -= step * before
                b[o] -= step
            d = dx

    def _loss(self, y: Float32, logits: Float32, target: Float32) -> tuple[Any, Float32]:
        if self._spec.loss == "mse":
            error, total = y - target, F(0)
            for value in error * error:
                total = total + value
            return total / F(self.n_out), (F(2) / F(self.n_out)) * error
        chosen, d = int(target[0]), y.copy()
        d[chosen] -= F(1)
        shifted = logits - logits.max()
        return log(_total(exp(shifted))) - shifted[chosen], d

    def _prepare(self, x: Float32) -> Float32:
        if not self._standardise:
            return x
        centred = x - self._mean
        if self._count < 2:
            return centred
        deviation = np.sqrt(self._squares / F(self._count))
        return np.where(deviation > F(1e-6), centred / np.maximum(deviation, F(1e-6)), centred)

    def _observe(self, x: Float32) -> None:
        if self._count >= COUNT_LIMIT:
            return
        self._count += 1
        before = x - self._mean
        self._mean = self._mean + before / F(self._count)
        self._squares = self._squares + before * (x - self._mean)

    def _checked(self, x: Any, target: Any) -> tuple[Float32, Float32]:
        if self._infer_only:
            raise_for(common.FROZEN)
        x = self._finite(as_vector(x, self.n_in, "x"))
        t = self._finite(as_vector(target, self.sizes.target, "target"))
        if self._standardise and (np.abs(x) > STEADY_LIMIT).any():
            raise_for(common.NONFINITE)
        if self._spec.loss == "cross_entropy" and t[0] not in range(self.n_out):
            raise_for(common.ARGUMENT)
        return x, t

    def _finite(self, values: Any) -> Any:
        if not np.isfinite(values).all():
            raise_for(common.NONFINITE)
        return values

    def _predict_int8(self, x: NDArray[np.int8]) -> NDArray[np.int8]:
        assert self._int8 is not None
        for layer in self._int8:
            x = layer.forward(x)
        return x


def _total(values: Float32) -> Any:
    total = F(0)
    for value in values:
        total = total + value
    return total


def _activate(activation: str, z: Float32) -> Float32:
    if activation == "relu":
        return np.where(z > 0, z, F(0))
    if activation == "tanh":
        return tanh(z)
    if activation == "softmax":
        powers = exp(z - z.max())
        return np.asarray(powers / _total(powers), F)
    return z
