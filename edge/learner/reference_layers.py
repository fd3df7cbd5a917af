"""Float32 layers of the NumPy twin: forward, backward and update, in the order of tinylearn.h."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.chain_layer import ChainLayer
from edge.learner.reference_activations import activate
from edge.learner.reference_kernels import Step, squares
from edge.learner.reference_pools import pool_back, pool_forward

__all__ = ["Dense", "FloatLayer", "WeightedLayer"]

F = np.float32
Float32 = NDArray[np.float32]


class FloatLayer:
    """One float32 layer; as it stands, one without weights.

    Args:
        part: the layer as the file holds it.
    """

    def __init__(self, part: ChainLayer) -> None:
        """Keep the geometry."""
        self.part = part

    def forward(self, x: Float32) -> Float32:
        """Outputs before the activation: float32 [n_in] to float32 [n_out]."""
        return pool_forward(self.part, x)

    def back(self, x: Float32, d: Float32) -> Float32:
        """dL/dx from d = dL/dz: float32 [n_out] to float32 [n_in]."""
        return pool_back(self.part, x, d)

    def run(self, x: Float32) -> Float32:
        """Outputs: float32 [n_in] to float32 [n_out]."""
        return activate(self.part.activation, self.forward(x))


class WeightedLayer(FloatLayer):
    """A layer with weights and a bias, in the order of the file.

    Args:
        part: the layer as the file holds it.
        step: the arithmetic contract.
    """

    def __init__(self, part: ChainLayer, step: Step) -> None:
        """Copy the parameters; there is no -0 among them."""
        super().__init__(part)
        self.step = step
        assert part.weights is not None
        channels = part.out_shape[2]
        bias = np.zeros(channels, F) if part.bias is None else part.bias.astype(F)
        self.w: Float32 = part.weights.astype(F) + F(0)
        self.b: Float32 = bias + F(0)

    def update(self, w: Float32, b: Float32, x: Float32, d: Float32, rate: Any) -> None:
        """Take w -= rate * dL/dw and b -= rate * dL/db, in place; w and b may be a velocity."""
        raise NotImplementedError

    def norm(self, x: Float32, d: Float32) -> Any:
        """Norm of one sample's gradient; of a convolution an upper bound of it."""
        raise NotImplementedError


class Dense(WeightedLayer):
    """A dense layer: weights [n_out][n_in]."""

    def forward(self, x: Float32) -> Float32:
        """Compute z = b + w x, input after input."""
        z: Any = self.b.copy()
        for i in np.flatnonzero(x):  # a 0 adds nothing
            z = self.step(z, self.w[:, i], x[i])
        return np.asarray(z, F)

    def back(self, x: Float32, d: Float32) -> Float32:
        """Compute dx = w^T d, output after output."""
        dx: Any = np.zeros(x.size, F)
        for w, delta in zip(self.w, d, strict=True):
            dx = self.step(dx, w, delta)
        return np.asarray(dx, F)

    def update(self, w: Float32, b: Float32, x: Float32, d: Float32, rate: Any) -> None:
        """Take rate * d x^T from the weights."""
        g = rate * d
        w[:] = self.step(w, g[:, None], -x[None, :])
        b -= g

    def norm(self, x: Float32, d: Float32) -> Any:
        """Norm of (d x^T, d), which has rank one."""
        return np.sqrt(squares(d) * (squares(x) + F(1)))
