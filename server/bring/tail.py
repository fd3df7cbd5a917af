"""A fresh tail of dense float32 layers, as values and as a `.tflite` of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge.errors import UsageError
from edge.layers import Activation, Layer, LayerSpec, PoolSpec, Shape
from edge.spec import ModelSpec
from server.export.flatfile import FlatFile
from server.export.graph import Graph
from server.export.quantise import Affine
from server.export.reference import LayerValues

__all__ = ["Pooling", "Tail", "tail_file", "tail_spec"]

Pooling = Literal["auto", "flatten", "mean"]
_NO_VALUES = LayerValues(np.zeros((0, 0)), np.zeros((0, 0)))


@dataclass(frozen=True)
class Tail:
    """What stands behind the features.

    Args:
        outputs: how many values it gives.
        hidden: widths of the layers before the last, with ReLU.
        classes: whether the outputs are classes, which end in a softmax.
        pooling: what is done to features with places: `flatten` keeps each, `mean` averages them,
            `auto` does as the layer did that is replaced.
        seed: of the initial weights.
        keep: begin with the weights of the layer that is replaced, not with drawn ones.
    """

    outputs: int
    hidden: tuple[int, ...] = ()
    classes: bool = True
    pooling: Pooling = "auto"
    seed: int = 0
    keep: bool = False

    def __post_init__(self) -> None:
        """Refuse what is no layer."""
        if min(self.outputs, *self.hidden, 1 << 16) < 1:
            raise UsageError(f"layers of {[*self.hidden, self.outputs]} values came, 1 is least.")
        if self.classes and self.outputs < 2:
            raise UsageError("one class came, two are least.", hint="--outputs 1 for a number")
        if self.keep and self.hidden:
            raise UsageError(
                "--tail-hidden came with --keep-tail, which is one layer: the one that was there.",
                hint="one of the two",
            )


def tail_spec(shape: Sequence[int], tail: Tail, *, mean: bool) -> ModelSpec:
    """The layers of a tail.

    Args:
        shape: of the features, the batch first.
        tail: what is wanted.
        mean: whether `auto` averages over places.

    Raises:
        UsageError: features without places cannot be averaged, or what `ModelSpec` refuses.
    """
    places = len(shape) == 4
    averaged = tail.pooling == "mean" or (tail.pooling == "auto" and mean)
    if averaged and not places:
        raise UsageError(
            f"features of shape {tuple(shape)} have no height and width.", hint="--pool flatten"
        )
    layers: list[Layer] = []
    if averaged:
        layers.append(PoolSpec("mean", _spatial(shape)))
    widths = [layers[-1].n_out if layers else prod(shape), *tail.hidden, tail.outputs]
    last: Activation = "softmax" if tail.classes else "linear"
    relu: Activation = "relu"
    names = [*(relu for _ in tail.hidden), last]
    for n_in, n_out, activation in zip(widths[:-1], widths[1:], names, strict=True):
        layers.append(LayerSpec(n_in, n_out, activation))
    return ModelSpec.of(layers)


def tail_file(
    shape: Sequence[int], spec: ModelSpec, parameters: NDArray[np.float32], *, quantised: bool
) -> bytes:
    """Write a tail whose input is a float32 or int8 tensor.

    Args:
        shape: of the features, the batch first.
        spec: from `tail_spec`.
        parameters: float32 [spec.n_parameters].
        quantised: whether a DEQUANTIZE comes first.
    """
    file = FlatFile("tail")
    first = _spatial(shape) if len(shape) == 4 else (1, 1, prod(shape))
    graph = Graph(file, first, Affine(1.0, 0) if quantised else None)
    if quantised:
        graph.dequantize()
    parts = iter(spec.split(parameters))
    for index, layer in enumerate(spec.layers):
        graph.layer(index, layer, next(parts) if layer.weight_shape else None, _NO_VALUES)
    return file.to_bytes()


def _spatial(shape: Sequence[int]) -> Shape:
    _, height, width, channels = shape
    return (height, width, channels)
