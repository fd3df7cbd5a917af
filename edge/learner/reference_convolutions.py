"""Convolutions of the NumPy twin, in the order of tinylearn.h."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.chain_layer import ChainLayer
from edge.learner.reference_kernels import Step, squares, total
from edge.learner.reference_layers import Dense, FloatLayer, WeightedLayer
from edge.learner.reference_windows import taps, windows

__all__ = ["Convolution", "Depthwise", "float_layer"]

F = np.float32
Float32 = NDArray[np.float32]


class Convolution(WeightedLayer):
    """A convolution: weights [c_out][kh][kw][c_in].

    Sums over taps take all positions of a tap at once: no sum meets a tap twice. Sums over
    positions take all taps of a position at once: no weight meets a position twice.
    """

    def forward(self, x: Float32) -> Float32:
        """Compute z of every position, over kernel row, kernel column, input channel."""
        z = np.zeros(self.part.out_shape, F) + self.b
        image = x.reshape(self.part.in_shape)
        for tap in taps(self.part):
            sums, pixels = z[tap.out], image[tap.pixels]
            for channel in range(pixels.shape[2]):
                w = self.w[:, tap.row, tap.column, channel]
                sums = self.step(sums, w, pixels[..., channel, None])
            z[tap.out] = sums
        return z.reshape(-1)

    def back(self, x: Float32, d: Float32) -> Float32:
        """Compute dx of every pixel, position after position, output after output."""
        dx = np.zeros(self.part.in_shape, F)
        deltas = d.reshape(self.part.out_shape)
        for tap in reversed(list(taps(self.part))):  # a later position meets an earlier tap
            sums, here = dx[tap.pixels], deltas[tap.out]
            for o in range(here.shape[2]):
                sums = self.step(sums, self.w[o, tap.row, tap.column], here[..., o, None])
            dx[tap.pixels] = sums
        return dx.reshape(-1)

    def update(self, w: Float32, b: Float32, x: Float32, d: Float32, rate: Any) -> None:
        """Take rate * d x^T of every position from the weights, one after another."""
        image, steps = x.reshape(self.part.in_shape), (rate * d).reshape(self.part.out_shape)
        for window in windows(self.part):
            g = steps[window.row, window.column]
            self._update_at(w, window.kernel, g, image[window.pixels])
            b -= g

    def norm(self, x: Float32, d: Float32) -> Any:
        """Sum of the norms that each position's gradient has."""
        image, deltas = x.reshape(self.part.in_shape), d.reshape(self.part.out_shape)
        of_pixels, of_deltas, found = squares(image), squares(deltas), F(0)
        for window in windows(self.part):
            inside = of_pixels[window.pixels].reshape(-1)
            seen = total(inside) if inside.size else F(0)
            found = found + np.sqrt(of_deltas[window.row, window.column] * (seen + F(1)))
        return found

    def _update_at(self, w: Float32, kernel: tuple[slice, slice], g: Float32, x: Float32) -> None:
        rows, columns = kernel
        w[:, rows, columns] = self.step(w[:, rows, columns], g[:, None, None, None], -x)


class Depthwise(Convolution):
    """A convolution of each input channel by itself: weights [kh][kw][c_out]."""

    @property
    def multiplier(self) -> int:
        """Outputs of an input channel; they lie next to one another."""
        return self.part.out_shape[2] // self.part.in_shape[2]

    def forward(self, x: Float32) -> Float32:
        """Compute z of every position, over kernel row and kernel column."""
        z = np.zeros(self.part.out_shape, F) + self.b
        image = x.reshape(self.part.in_shape).repeat(self.multiplier, axis=2)
        for tap in taps(self.part):
            z[tap.out] = self.step(z[tap.out], self.w[tap.row, tap.column], image[tap.pixels])
        return z.reshape(-1)

    def back(self, x: Float32, d: Float32) -> Float32:
        """Compute dx of every pixel, position after position, output after output."""
        dx, each = np.zeros(self.part.in_shape, F), self.multiplier
        deltas = d.reshape(self.part.out_shape)
        for tap in reversed(list(taps(self.part))):  # a later position meets an earlier tap
            sums, here, w = dx[tap.pixels], deltas[tap.out], self.w[tap.row, tap.column]
            for o in range(each):
                sums = self.step(sums, w[o::each], here[..., o::each])
            dx[tap.pixels] = sums
        return dx.reshape(-1)

    def _update_at(self, w: Float32, kernel: tuple[slice, slice], g: Float32, x: Float32) -> None:
        w[kernel] = self.step(w[kernel], g, -x.repeat(self.multiplier, axis=2))


def float_layer(part: ChainLayer, step: Step) -> FloatLayer:
    """The twin of one float32 layer of a chain.

    Args:
        part: the layer as the file holds it.
        step: the arithmetic contract.
    """
    kinds: dict[str, type[WeightedLayer]] = {
        "dense": Dense,
        "conv": Convolution,
        "depthwise": Depthwise,
    }
    return kinds[part.kind](part, step) if part.kind in kinds else FloatLayer(part)
