"""Float32 layers of the NumPy twin: forward, backward and update, in the order of tinylearn.h."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.chain_layer import ChainLayer
from edge.learner.reference_kernels import Step, squares
from edge.learner.reference_pools import pool_back, pool_forward
from edge.learner.reference_windows import Tap, taps

__all__ = ["FloatLayer"]

F = np.float32
Float32 = NDArray[np.float32]


class FloatLayer:
    """One float32 layer, with its parameters in the order of the file.

    Args:
        part: the layer as the file holds it.
        step: the arithmetic contract.
    """

    def __init__(self, part: ChainLayer, step: Step) -> None:
        """Copy the parameters; there is no -0 among them."""
        self.part, self.step = part, step
        channels = part.out_shape[2]
        self.w: Float32 = np.zeros(0, F)
        self.b: Float32 = np.zeros(0, F)
        if part.weights is not None:
            self.w = part.weights.astype(F) + F(0)
            bias = np.zeros(channels, F) if part.bias is None else part.bias.astype(F)
            self.b = bias + F(0)

    def forward(self, x: Float32) -> Float32:
        """Outputs before the activation: float32 [n_in] to float32 [n_out]."""
        part = self.part
        if part.kind == "dense":
            z = self.b.copy()
            for i, value in enumerate(x):
                z = self.step(z, self.w[:, i], value)
            return np.asarray(z, F)
        if part.weights is None:
            return pool_forward(part, x)
        z = np.zeros(part.out_shape, F) + self.b
        image = x.reshape(part.in_shape)
        for tap in taps(part):
            for w, channel in self._products(tap):
                z[tap.out] = self.step(z[tap.out], w, image[tap.pixels][..., channel])
        return z.reshape(-1)

    def back(self, x: Float32, d: Float32) -> Float32:
        """dL/dx from d = dL/dz: float32 [n_out] to float32 [n_in]."""
        part = self.part
        if part.kind == "dense":
            dx: Any = np.zeros(x.size, F)
            for o, delta in enumerate(d):
                dx = self.step(dx, self.w[o], delta)
            return np.asarray(dx, F)
        if part.weights is None:
            return pool_back(part, x, d)
        dx = np.zeros(part.in_shape, F)
        deltas = d.reshape(part.out_shape)
        for tap in reversed(list(taps(part))):  # so that every pixel is met position by position
            here, sums = deltas[tap.out], dx[tap.pixels]
            for o in range(self._outputs_of_one()):
                chosen = self._weights_of_output(tap, o)
                sums = self.step(sums, chosen, self._delta_of_output(here, o))
            dx[tap.pixels] = sums
        return np.asarray(dx, F).reshape(-1)

    def update(self, w: Float32, b: Float32, x: Float32, d: Float32, rate: Any) -> None:
        """Take w -= rate * dL/dw and b -= rate * dL/db, in place."""
        part = self.part
        if part.kind == "dense":
            g = rate * d
            w[:] = self.step(w, g[:, None], -x[None, :])
            b -= g
            return
        image, steps = x.reshape(part.in_shape), (rate * d).reshape(part.out_shape)
        places = [(tap, _index(tap)) for tap in taps(part)]
        for row, column in np.ndindex(*part.out_shape[:2]):
            g = steps[row, column]
            for tap, index in places:
                pixel = index.get((row, column))
                if pixel is not None:
                    self._update_tap(w, tap, g, -image[pixel])
            b -= g

    def norm(self, x: Float32, d: Float32) -> Any:
        """Norm of one sample's gradient; of a convolution an upper bound of it."""
        part = self.part
        if part.kind == "dense":
            return np.sqrt(squares(d) * (squares(x) + F(1)))
        image, deltas = x.reshape(part.in_shape), d.reshape(part.out_shape)
        places, found = [_index(tap) for tap in taps(part)], F(0)
        for row, column in np.ndindex(*part.out_shape[:2]):
            window = F(0)
            for index in places:
                pixel = index.get((row, column))
                if pixel is not None:
                    window = window + squares(image[pixel])
            found = found + np.sqrt(squares(deltas[row, column]) * (window + F(1)))
        return found

    def _products(self, tap: Tap) -> Iterator[tuple[Float32, Any]]:
        """Weights [c_out] and the input channels that they meet, in the order of the sum."""
        channels = self.part.in_shape[2]
        if self.part.kind == "depthwise":
            multiplier = self.part.out_shape[2] // channels
            yield self.w[tap.row, tap.column], np.repeat(np.arange(channels), multiplier)
            return
        for channel in range(channels):
            yield self.w[:, tap.row, tap.column, channel], slice(channel, channel + 1)

    def _outputs_of_one(self) -> int:
        """How many output channels an input channel goes into."""
        channels = self.part.out_shape[2]
        return channels // self.part.in_shape[2] if self.part.kind == "depthwise" else channels

    def _weights_of_output(self, tap: Tap, o: int) -> Float32:
        if self.part.kind == "depthwise":
            return np.asarray(self.w[tap.row, tap.column, o :: self._outputs_of_one()], F)
        return np.asarray(self.w[o, tap.row, tap.column], F)

    def _delta_of_output(self, here: Float32, o: int) -> Float32:
        if self.part.kind == "depthwise":
            return here[..., o :: self._outputs_of_one()]
        return here[..., o : o + 1]

    def _update_tap(self, w: Float32, tap: Tap, g: Float32, x: Float32) -> None:
        if self.part.kind == "depthwise":
            x = np.repeat(x, self._outputs_of_one())
            w[tap.row, tap.column] = self.step(w[tap.row, tap.column], g, x)
        else:
            old = w[:, tap.row, tap.column]
            w[:, tap.row, tap.column] = self.step(old, g[:, None], x[None, :])


def _index(tap: Tap) -> dict[tuple[int, int], tuple[int, int]]:
    """Output position to input pixel, of one tap."""
    rows = zip(_range(tap.out[0]), _range(tap.pixels[0]), strict=True)
    pairs = list(rows)
    columns = list(zip(_range(tap.out[1]), _range(tap.pixels[1]), strict=True))
    return {(y, x): (i, j) for y, i in pairs for x, j in columns}


def _range(chosen: slice) -> range:
    return range(chosen.start, chosen.stop, chosen.step or 1)
