"""A learner behind a front that an installed runtime runs: TinyOL on a network we do not know."""

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from edge import runtime
from edge.artifact import Artifact
from edge.errors import MissingExtra, UsageError
from edge.learner import NonFinite, OnlineLearner
from edge.split import Split, split

__all__ = ["FrontedLearner", "learner_of"]

Float32 = NDArray[np.float32]


def learner_of(artefact: bytes, **options: Any) -> OnlineLearner:
    """The learner of a file: over all of it, or over its tail where the front is not known.

    Args:
        artefact: the bytes of a model file.
        options: as `OnlineLearner` takes them.

    Raises:
        MissingExtra: the front needs a runtime, and none is installed.
        UnsupportedOperator: the file has no tail that could be learnt.
        ArtifactError: it is broken, or the runtime refuses the front.
        LearnerError: there is nothing to train.
        UsageError: an option is out of range.
    """
    parts = split(Artifact(artefact))
    if parts is None:
        return OnlineLearner(artefact, **options)
    return cast(OnlineLearner, FrontedLearner(parts, **options))


class FrontedLearner:
    """Learns on features: what a frozen front makes of each sample.

    It is used as `OnlineLearner` is. Everything but the samples is that of the tail: parameters,
    running statistics, sizes.

    Args:
        parts: the file, split.
        options: as `OnlineLearner` takes them.

    Raises:
        MissingExtra: no runtime for the front is installed.
        ArtifactError: the runtime refuses the front.
        LearnerError: there is nothing to train.
        UsageError: an option is out of range.
    """

    def __init__(self, parts: Split, **options: Any) -> None:
        """Load the front into a runtime, and the tail into the learner."""
        self.tail = OnlineLearner(parts.tail.data, **options)
        self.runtime = _loaded(parts)
        self.n_in, self.n_out = parts.whole.input.elements, self.tail.n_out
        self.backend, self.sizes = self.tail.backend, self.tail.sizes
        self._seen: tuple[bytes, Float32] | None = None

    @property
    def parameters(self) -> Float32:
        """Copy of the trained parameters of the tail: float32 [sizes.parameters]."""
        return self.tail.parameters

    @parameters.setter
    def parameters(self, values: Float32) -> None:
        self.tail.parameters = values

    def predict_one(self, x: Any) -> Float32:
        """Outputs for one input: float32 [n_in] to float32 [n_out]."""
        return self.tail.predict_one(self._one(x))

    def predict_many(self, x: Any) -> Float32:
        """Outputs for many inputs: float32 [n, n_in] to float32 [n, n_out]."""
        return self.tail.predict_many(self._many(x))

    def loss_one(self, x: Any, target: Any) -> float:
        """Loss of one sample, without learning from it."""
        return self.tail.loss_one(self._one(x), target)

    def learn_one(self, x: Any, target: Any, *, rate: float) -> float:
        """Take one step of the tail; gives the loss before it."""
        return self.tail.learn_one(self._one(x), target, rate=rate)

    def learn_many(self, x: Any, targets: Any, *, rate: float) -> Float32:
        """Take one step of the tail on each sample in turn; gives the losses before them."""
        return self.tail.learn_many(self._many(x), targets, rate=rate)

    def add_class(self, index: int | None = None) -> int:
        """Put a spare class of the tail into use."""
        return self.tail.add_class(index)

    def set_optimiser(self, momentum: float, decay: float, clip: float) -> None:
        """Change the options of the optimiser."""
        self.tail.set_optimiser(momentum, decay, clip)

    def come_to_rest(self) -> None:
        """Forget what the last steps were moving with (momentum)."""
        self.tail.come_to_rest()

    def state(self) -> dict[str, Any]:
        """What a restart needs; see `OnlineLearner`."""
        return self.tail.state()

    def load_state(self, state: dict[str, Any]) -> None:
        """Take a state that `state` gave."""
        self.tail.load_state(state)

    def _one(self, x: Any) -> Float32:
        """Features of a sample; the last ones are remembered, for a sample often comes twice."""
        row = self._checked(np.asarray(x, np.float32).reshape(1, -1))
        key = row.tobytes()
        if self._seen is None or self._seen[0] != key:
            self._seen = key, np.asarray(self.runtime.run(row), np.float32)[0]
        return self._seen[1]

    def _many(self, x: Any) -> Float32:
        rows = self._checked(np.asarray(x, np.float32))
        if not len(rows):
            return np.zeros((0, self.tail.n_in), np.float32)
        return np.asarray(self.runtime.run(rows), np.float32)

    def _checked(self, rows: Float32) -> Float32:
        if rows.ndim != 2 or rows.shape[1] != self.n_in:
            raise UsageError(f"x of shape {rows.shape} came, ({self.n_in},) a sample is needed.")
        if not np.isfinite(rows).all():
            raise NonFinite("a sample with NaN or infinity came; nothing was learnt from it.")
        return rows


def _loaded(parts: Split) -> runtime.Runtime:
    try:
        return runtime.load(parts.front)
    except MissingExtra as error:
        raise MissingExtra(
            f"the learner does not know all of this model, and {error.message}", hint=error.hint
        ) from error
