"""OnlineLearner: run a `.tflite` and train it one sample at a time, in C or in its NumPy twin."""

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import UsageError
from edge.learner.common import (
    Float32,
    LearnerError,
    NonFinite,
    Sizes,
    as_floats,
    as_targets,
    as_vector,
    check_arithmetic,
    check_class,
    check_optimiser,
    raise_for,
)
from edge.learner.native import (
    FMA,
    INFER_ONLY,
    MAX_LAYERS,
    MOMENTUM,
    RECONSTRUCT,
    STANDARDISE,
    CLayer,
    CLearner,
    CModel,
    CSizes,
    library,
)

__all__ = ["NativeLearner"]


class NativeLearner:
    """The C learner over one model file; one thread at a time.

    Args:
        model: the bytes of a `.tflite` (float32 to train, int8 to predict).
        train_layers: train the last so many layers; 0 trains all.
        standardise: standardise inputs with running statistics that learning updates.
        infer_only: predict only; needed for int8 models.
        arithmetic: `mul_add` (two roundings a step of a sum), or `fma` (one).
        momentum: 0 <= momentum < 1, of the velocity (Polyak 1964).
        decay: L2 weight decay, 0 or more; biases do not decay.
        clip: largest norm of a layer's gradient; 0 does not clip.
        reconstruct: an autoencoder: the target of the tail is its own input.

    Raises:
        ArtifactError: the file is broken or holds something unsupported.
        LearnerError: the model has nothing to train.
        UsageError: `train_layers` or an option is out of range, or the CPU has no fma.
    """

    backend = "c"

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
        lib = library()
        if lib is None:
            raise LearnerError("there is no C build of the learner.", hint="a C compiler")
        self._lib = lib
        self._file = np.zeros(-(-len(model) // 4), np.uint32)  # aligned, as the learner needs
        self._file.view(np.uint8)[: len(model)] = np.frombuffer(model, np.uint8)
        self._model, self._learner = CModel(), CLearner()
        self._layers = (CLayer * MAX_LAYERS)()
        status = lib.tl_model_open(
            self._model, self._file.ctypes.data, len(model), self._layers, MAX_LAYERS
        )
        raise_for(status, self._model.culprit)
        if not 0 <= train_layers <= self._model.n_trainable:
            raise UsageError(
                f"train_layers is {train_layers}, the model has {self._model.n_trainable} "
                "layers that can be trained."
            )
        flags = STANDARDISE * standardise | INFER_ONLY * infer_only | RECONSTRUCT * reconstruct
        flags |= FMA * check_arithmetic(arithmetic, bool(lib.tl_has_fma()))
        self._smooths = check_optimiser(momentum, decay, clip)
        flags |= MOMENTUM * self._smooths
        sizes = CSizes()
        raise_for(lib.tl_model_sizes(self._model, train_layers, flags, sizes))
        self.sizes = Sizes(
            sizes.parameters,
            sizes.target,
            sizes.features,
            sizes.arena_infer,
            sizes.arena_train,
            sizes.macs,
        )
        needed = sizes.arena_infer if infer_only else sizes.arena_train
        self._arena = np.zeros(max(needed // 4, 1), np.float32)
        raise_for(
            lib.tl_learner_init(
                self._learner, self._model, train_layers, flags, self._arena.ctypes.data, needed
            )
        )
        self.set_optimiser(momentum, decay, clip)
        self.n_in, self.n_out = int(self._model.n_in), int(self._model.n_out)
        self._count = int(self._learner.n_parameters)
        self._velocity = self._count if flags & MOMENTUM else 0
        kept = self._velocity + (4 * int(sizes.features) if standardise else 0)
        self._kept = self._arena[self._count : self._count + kept]
        # Made once: on small models their making takes longer than the step itself.
        self._x, self._t = np.zeros(self.n_in, np.float32), np.zeros(sizes.target, np.float32)
        self._at_x, self._at_t = self._x.ctypes.data, self._t.ctypes.data
        self._loss = ctypes.c_float()

    @property
    def parameters(self) -> Float32:
        """Copy of the trained parameters: float32 [sizes.parameters], see `ModelSpec`."""
        values = np.empty(self._count, np.float32)
        raise_for(self._lib.tl_learner_read(self._learner, 0, self._count, values.ctypes.data))
        return values

    @parameters.setter
    def parameters(self, values: Float32) -> None:
        vector = as_vector(values, self._count, "parameters")
        if not np.isfinite(vector).all():
            raise NonFinite("parameters with NaN or infinity came; the old ones are kept.")
        raise_for(self._lib.tl_learner_write(self._learner, 0, self._count, vector.ctypes.data))

    def predict_one(self, x: Any) -> Float32:
        """Outputs for one input: float32 [n_in] to float32 [n_out]."""
        _put(x, self._x, "x")
        y = np.empty(self.n_out, np.float32)
        raise_for(self._lib.tl_learner_predict(self._learner, self._at_x, y.ctypes.data))
        return y

    def predict_many(self, x: Any) -> Float32:
        """Outputs for many inputs: float32 [n, n_in] to float32 [n, n_out]."""
        x = as_floats(x, self.n_in, "x")
        y = np.empty((len(x), self.n_out), np.float32)
        for row, out in zip(x, y, strict=True):
            raise_for(self._lib.tl_learner_predict(self._learner, row.ctypes.data, out.ctypes.data))
        return y

    def predict_int8(self, x: NDArray[np.int8]) -> NDArray[np.int8]:
        """Outputs of an int8 model in its own numbers: int8 [n_in] to int8 [n_out]."""
        values = np.ascontiguousarray(x, np.int8)
        if values.size != self.n_in:
            raise UsageError(f"x of shape {values.shape} came, ({self.n_in},) is needed.")
        y = np.empty(self.n_out, np.int8)
        pointer = ctypes.POINTER(ctypes.c_int8)
        raise_for(
            self._lib.tl_learner_predict_int8(
                self._learner, values.ctypes.data_as(pointer), y.ctypes.data_as(pointer)
            )
        )
        return y

    def loss_one(self, x: Any, target: Any) -> float:
        """Loss of one sample, without learning from it."""
        _put(x, self._x, "x")
        _put(target, self._t, "target")
        raise_for(self._lib.tl_learner_loss(self._learner, self._at_x, self._at_t, self._loss))
        return self._loss.value

    def learn_one(self, x: Any, target: Any, *, rate: float) -> float:
        """Take one SGD step on one sample.

        Args:
            x: float32 [n_in].
            target: a class index (cross-entropy) or float32 [n_out] (mean squared error).
            rate: learning rate.

        Returns:
            The loss before the step.

        Raises:
            NonFinite: NaN or infinity; the weights are as they were.
            UsageError: a wrong shape or class index.
        """
        _put(x, self._x, "x")
        _put(target, self._t, "target")
        raise_for(
            self._lib.tl_learner_learn(self._learner, self._at_x, self._at_t, rate, self._loss)
        )
        return self._loss.value

    def learn_many(self, x: Any, targets: Any, *, rate: float) -> Float32:
        """Take one step on each sample in turn: the same bits as a loop of `learn_one`.

        Args:
            x: float32 [n, n_in].
            targets: [n] class indices, or float32 [n, n_out].
            rate: learning rate.

        Returns:
            float32 [n] losses, each before its step.

        Raises:
            NonFinite: at the first such sample; the ones before it have been learnt.
        """
        x = as_floats(x, self.n_in, "x")
        t = as_targets(targets, len(x), self.sizes.target)
        losses, done = np.empty(len(x), np.float32), ctypes.c_uint32()
        raise_for(
            self._lib.tl_learner_learn_many(
                self._learner,
                len(x),
                x.ctypes.data,
                t.ctypes.data,
                rate,
                losses.ctypes.data,
                done,
            )
        )
        return losses

    def add_class(self, index: int | None = None) -> int:
        """Put a spare class of a softmax model into use; nothing happens if it is.

        Args:
            index: which one; None: the first that is spare.

        Returns:
            Its index.

        Raises:
            LearnerError: its layer is not trained.
            UsageError: no such class, or no spare one.
        """
        if index is None:
            index = int(self._lib.tl_learner_spare_class(self._learner))
        check_class(index, self.n_out)
        raise_for(self._lib.tl_learner_add_class(self._learner, index))
        return index

    def set_optimiser(self, momentum: float, decay: float, clip: float) -> None:
        """Change the options of the optimiser.

        Raises:
            UsageError: out of range, or the learner was made without any of them.
        """
        if check_optimiser(momentum, decay, clip) and not self._smooths:
            raise UsageError("the learner was made without momentum, decay and clipping.")
        self._learner.momentum, self._learner.decay, self._learner.clip = momentum, decay, clip

    def come_to_rest(self) -> None:
        """Forget what the last steps were moving with (momentum)."""
        self._kept[: self._velocity] = 0

    def state(self) -> dict[str, Any]:
        """What a restart needs: parameters; velocity and running statistics; samples seen."""
        return {
            "parameters": self.parameters,
            "statistics": self._kept.copy(),
            "count": int(self._learner.standardiser.count),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Take a state that `state` gave, of the same architecture and options."""
        statistics = as_vector(state["statistics"], self._kept.size, "statistics")
        self.parameters = state["parameters"]
        self._kept[:] = statistics
        self._learner.standardiser.count = int(state["count"])


def _put(values: Any, into: Float32, what: str) -> None:
    """Copy into a float32 [n] that the learner reads from.

    Raises:
        UsageError: another number of values.
    """
    array = np.asarray(values)
    if array.shape != into.shape:
        array = as_vector(array, into.size, what)
    into[:] = array
