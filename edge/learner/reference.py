"""The NumPy twin of the C learner: the same operations in the same order, in float32.

It is the readable statement of what tinylearn.h promises, the oracle of the tests, and what
runs where there is no C build. On NumPy builds whose float32 arithmetic is IEEE-754 its bits
are those of the C library.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.artifact import Artifact
from edge.chain_layer import ChainLayer
from edge.errors import UsageError
from edge.int8 import Int8Layer
from edge.int8_scale import dequantise, quantise
from edge.learner import common
from edge.learner.classes import spare_class
from edge.learner.common import Float32, Sizes, as_floats, as_targets, as_vector, raise_for
from edge.learner.reference_convolutions import float_layer
from edge.learner.reference_kernels import Step, fused, plain
from edge.learner.reference_statistics import RunningStatistics
from edge.learner.reference_train import Tail

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
        smooths = common.check_optimiser(momentum, decay, clip)
        need = requirement(
            artifact,
            train_layers=train_layers,
            standardise=standardise,
            momentum=smooths,
            reconstruct=reconstruct,
        )
        if need.parameters == 0 and (not infer_only or standardise):
            raise_for(common.FROZEN)
        step = fused if common.check_arithmetic(arithmetic, True) else plain
        first = first_of_tail(artifact, train_layers)
        self._front = [_forward(part, step) for part in parts[:first]]
        self._tail = Tail(parts[first:], step, frozen=infer_only, smooths=smooths)
        self._ends = parts[0], parts[-1]
        self.n_in, self.n_out = self._spec.n_in, self._spec.n_out
        target = 0 if reconstruct else self._spec.n_target
        if reconstruct and (self._spec.loss != "mse" or need.features != self.n_out):
            raise_for(common.ARGUMENT)
        self.sizes = Sizes(
            need.parameters, target, need.features, need.ram_infer, need.ram_train, need.macs
        )
        self._statistics = RunningStatistics(need.features) if standardise else None
        self.set_optimiser(momentum, decay, clip)

    @property
    def parameters(self) -> Float32:
        """Copy of the trained parameters: float32 [sizes.parameters], see `ModelSpec`."""
        return self._tail.parameters

    @parameters.setter
    def parameters(self, values: Float32) -> None:
        self._tail.parameters = values

    def predict_one(self, x: Any) -> Float32:
        """Outputs for one input: float32 [n_in] to float32 [n_out]."""
        values = _finite(as_vector(x, self.n_in, "x"))
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

    def loss_one(self, x: Any, target: Any) -> float:
        """Loss of one sample, without learning from it."""
        x, t = self._checked(x, target, F(0))
        with np.errstate(all="ignore"):
            features = self._features(x, learns=False)
            loss = self._tail.loss(features, features if self._reconstruct else t)
        return float(_finite(loss))

    def learn_one(self, x: Any, target: Any, *, rate: float) -> float:
        """Take one SGD step on one sample; see `NativeLearner.learn_one`."""
        with np.errstate(all="ignore"):
            step_rate = F(rate)
            x, t = self._checked(x, target, step_rate)
            features = self._features(x, learns=True)
            loss = self._tail.learn(features, features if self._reconstruct else t, step_rate)
        return float(_finite(loss))

    def learn_many(self, x: Any, targets: Any, *, rate: float) -> Float32:
        """Take one step on each sample in turn; see `NativeLearner.learn_many`."""
        x = as_floats(x, self.n_in, "x")
        t = as_targets(targets, len(x), self.sizes.target)
        pairs = zip(x, t, strict=True)
        return np.array([self.learn_one(row, target, rate=rate) for row, target in pairs], F)

    def add_class(self, index: int | None = None) -> int:
        """Put a spare class into use; see `NativeLearner.add_class`."""
        trained = self._tail.trained
        has_head = bool(trained) and trained[-1].b.size == self.n_out
        if index is None:
            index = spare_class(trained[-1].b) if has_head else self.n_out
        common.check_class(index, self.n_out)
        if self._spec.loss != "cross_entropy":
            raise_for(common.ARGUMENT)
        if not has_head:
            raise_for(common.FROZEN)
        self._tail.add_class(index)
        return index

    def set_optimiser(self, momentum: float, decay: float, clip: float) -> None:
        """Change the options of the optimiser; see `NativeLearner.set_optimiser`."""
        smooths = common.check_optimiser(momentum, decay, clip)
        if self._tail.momentum is not None:
            self._tail.momentum.set_options(momentum, decay, clip)
        elif smooths:
            raise UsageError("the learner was made without momentum, decay and clipping.")

    def come_to_rest(self) -> None:
        """Forget what the last steps were moving with (momentum)."""
        if self._tail.momentum is not None:
            self._tail.momentum.rest()

    def state(self) -> dict[str, Any]:
        """What a restart needs: parameters; velocity and running statistics; samples seen."""
        kept = self._tail.momentum.flat() if self._tail.momentum is not None else []
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
        of_statistics = 4 * self.sizes.features if self._statistics is not None else 0
        if self._tail.momentum is not None:
            self._tail.momentum.load(kept[: needed - of_statistics])
        if self._statistics is not None:
            mean, m2 = np.split(kept[needed - of_statistics :], 2)
            self._statistics.mean, self._statistics.m2 = mean.reshape(2, -1), m2.reshape(2, -1)
            self._statistics.count = int(state["count"])

    def _run(self, x: Any) -> Any:
        """Outputs for values of the type that the model takes."""
        for forward in self._front:
            x = forward(x)
        if self._statistics is not None:
            x = self._statistics.apply(x)
        return self._tail.run(x)

    def _features(self, x: Any, *, learns: bool) -> Float32:
        """The tail's input, standardised if so asked."""
        for forward in self._front:
            x = forward(x)
        if self._statistics is None:
            return np.asarray(x, F)
        if not (np.abs(x) <= STEADY_LIMIT).all():
            raise_for(common.NONFINITE)
        if learns:
            self._statistics.observe(x)
        return self._statistics.apply(x)

    def _checked(self, x: Any, target: Any, rate: Any) -> tuple[Float32, Float32]:
        """What came in, checked in the order of `tl_learner_learn`."""
        x, t = as_vector(x, self.n_in, "x"), as_vector(target, self.sizes.target, "target")
        if self._infer_only:
            raise_for(common.FROZEN)
        _finite(rate)
        _finite(t)
        classifies = self._spec.loss == "cross_entropy" and not self._reconstruct
        if classifies and t[0] not in range(self.n_out):
            raise_for(common.ARGUMENT)
        return _finite(x), t


def _finite(values: Any) -> Any:
    if not np.isfinite(values).all():
        raise_for(common.NONFINITE)
    return values


def _forward(part: ChainLayer, step: Step) -> Callable[[Any], Any]:
    """How a layer that is not trained runs."""
    if part.dtype == "float32" and part.kind != "quantize":
        return float_layer(part, step).run
    return Int8Layer(part).forward
