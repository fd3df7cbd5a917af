"""One layer as a file holds it: numbers in the order of the file, scales, geometry."""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edge.errors import ArtifactError
from edge.layers import Activation, Padding
from edge.windows import Pads, Pair, Shape

__all__ = ["ChainLayer", "Kind", "UnsupportedOperator"]

Kind = Literal[
    "dense",
    "conv",
    "depthwise",
    "max_pool",
    "average_pool",
    "mean",
    "pad",
    "activate",
    "quantize",
    "dequantize",
]
"""As `tl_kind` in tinylearn.h."""

_NONE = np.float32(0)


class UnsupportedOperator(ArtifactError):
    """The file holds an operator, version or form that the learner does not know."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ChainLayer:
    """What `tl_layer` in tinylearn.h holds of one layer.

    Args:
        kind: what it does.
        dtype: float32 or int8: what it computes with (quantize: the type of its input).
        in_shape: height, width, channels; a vector is (1, 1, n).
        out_shape: the same of the output.
        activation: that follows within the layer. An int8 tanh, logistic or softmax is always
            a layer of its own (its input has another scale).
        weights: float32 or int8; dense [n_out][n_in], conv [c_out][kh][kw][c_in], depthwise
            [kh][kw][c_out]; None where the kind has none.
        bias: float32 or int32 [c_out]; None is zero.
        scales: of int8 weights: float32 [1] or [c_out]; else empty.
        in_scale: of the input, float32; 0 where it is not int8.
        in_zero: zero point of the input.
        out_scale: of the output, float32; 0 where it is not int8.
        out_zero: zero point of the output.
        kernel: of a convolution or a window, down and to the right.
        stride: as the kernel.
        dilation: as the kernel.
        padding: as the file names it.
        pads: top, bottom, left, right: what that comes to.
        tensors: index of the weights and of the bias in the graph; -1: none.
    """

    kind: Kind
    dtype: str
    in_shape: Shape
    out_shape: Shape
    activation: Activation = "linear"
    weights: NDArray[Any] | None = None
    bias: NDArray[Any] | None = None
    scales: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    in_scale: np.float32 = _NONE
    in_zero: int = 0
    out_scale: np.float32 = _NONE
    out_zero: int = 0
    kernel: Pair = (1, 1)
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    padding: Padding = "valid"
    pads: Pads = (0, 0, 0, 0)
    tensors: Pair = (-1, -1)

    def numbers(self) -> bytes:
        """Everything that decides what the layer computes, for a digest."""
        arrays = [x for x in (self.weights, self.bias, self.scales) if x is not None]
        around = (self.in_scale, self.in_zero, self.out_scale, self.out_zero)
        text = ",".join(f"{value:.9g}" for value in around)
        return b"".join(array.tobytes() for array in arrays) + text.encode()
