"""ModelSpec: the layers of a model, its loss, and the layout of its parameters."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal, Self, cast

import numpy as np
from numpy.typing import NDArray

from edge.errors import UsageError
from edge.layer_limits import MAX_LAYERS, problem
from edge.layers import (
    ActivateSpec,
    Activation,
    ConvSpec,
    Layer,
    LayerSpec,
    PadSpec,
    PoolSpec,
    Shape,
)
from edge.steps import Step

__all__ = [
    "ActivateSpec",
    "Activation",
    "ConvSpec",
    "Layer",
    "LayerSpec",
    "Loss",
    "ModelSpec",
    "PadSpec",
    "PoolSpec",
]

Loss = Literal["mse", "cross_entropy"]
Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class ModelSpec:
    """The architecture of a model; its parameters are one flat float32 vector.

    The vector holds, for each layer that has weights, the weights in the order of the file (see
    `weight_shape` of a layer; dense: row by row, [n_out][n_in]), then the bias.

    Args:
        layers: at most 64 layers, each taking as many values as the one before gives.
        loss: cross_entropy if and only if the last activation is softmax, else mse.

    Raises:
        UsageError: the layers do not fit each other, the limits, or the loss.
    """

    layers: tuple[Layer, ...]
    loss: Loss

    def __post_init__(self) -> None:
        """Refuse what the learner would refuse."""
        if not 1 <= len(self.layers) <= MAX_LAYERS:
            raise UsageError(f"{len(self.layers)} layers came, 1 to {MAX_LAYERS} are allowed.")
        for index, layer in enumerate(self.layers):
            if wrong := problem(layer):
                raise UsageError(f"layer {index}: {wrong}")
            if index and layer.n_in != self.layers[index - 1].n_out:
                raise UsageError(
                    f"layer {index} takes {layer.n_in} values, "
                    f"the one before gives {self.layers[index - 1].n_out}."
                )
            if layer.activation == "softmax" and index != len(self.layers) - 1:
                raise UsageError(f"softmax is in layer {index}; only the last layer may have it.")
        if (self.loss == "cross_entropy") != (self.layers[-1].activation == "softmax"):
            raise UsageError(
                f"loss {self.loss} does not go with a last {self.layers[-1].activation} layer.",
                hint="softmax with cross_entropy, anything else with mse",
            )

    @classmethod
    def of(cls, layers: Sequence[Layer]) -> Self:
        """Layers with the loss that follows from the last one.

        Raises:
            UsageError: what `ModelSpec` refuses.
        """
        softmax = bool(layers) and layers[-1].activation == "softmax"
        return cls(tuple(layers), "cross_entropy" if softmax else "mse")

    @classmethod
    def mlp(cls, widths: Sequence[int], *, hidden: str = "relu", output: str = "linear") -> Self:
        """Build a multilayer perceptron.

        Args:
            widths: input, hidden and output widths, such as [196, 64, 5].
            hidden: activation of the hidden layers.
            output: activation of the last layer; softmax makes the loss cross_entropy.

        Raises:
            UsageError: fewer than two widths, or what `ModelSpec` refuses.
        """
        names = [hidden] * (len(widths) - 2) + [output]
        layers = tuple(
            LayerSpec(n_in, n_out, cast(Activation, name))
            for n_in, n_out, name in zip(widths[:-1], widths[1:], names, strict=True)
        ) if len(widths) > 1 else ()  # fmt: skip
        return cls.of(layers)

    @classmethod
    def convnet(cls, in_shape: Shape, steps: Sequence[Step]) -> Self:
        """Build a chain of convolutions and other layers, each fitted to the one before.

        Args:
            in_shape: height, width, channels of the input.
            steps: from `edge.steps`, such as [conv(8, 3), max_pool(2), dense(10, "softmax")].

        Raises:
            UsageError: what `ModelSpec` refuses.
        """
        layers: list[Layer] = []
        for step in steps:
            for layer in step(layers[-1].out_shape if layers else in_shape):
                layers.append(layer)
                if wrong := problem(layer):
                    raise UsageError(f"layer {len(layers) - 1}: {wrong}")
        return cls.of(layers)

    @property
    def in_shape(self) -> Shape:
        """Height, width and channels of the input; a vector is (1, 1, n)."""
        return self.layers[0].in_shape

    @property
    def n_in(self) -> int:
        """Width of the input, in elements."""
        return self.layers[0].n_in

    @property
    def n_out(self) -> int:
        """Width of the output, in elements."""
        return self.layers[-1].n_out

    @property
    def weighted(self) -> tuple[Layer, ...]:
        """The layers that have weights; `train_layers` counts these, from the end."""
        return tuple(layer for layer in self.layers if layer.weight_shape)

    @property
    def n_parameters(self) -> int:
        """How many float32 the whole model holds."""
        return sum(layer.n_parameters for layer in self.layers)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one forward pass."""
        return sum(layer.macs for layer in self.layers)

    @property
    def n_target(self) -> int:
        """How many values a target has: 1 (a class index) or n_out."""
        return 1 if self.loss == "cross_entropy" else self.n_out

    def trained(self, train_layers: int) -> int:
        """How many parameters, at the end of the vector, a learner of the last layers trains.

        Args:
            train_layers: layers with weights, from the end; 0: all.

        Raises:
            UsageError: there are fewer layers with weights.
        """
        layers = self.weighted
        if not 0 <= train_layers <= len(layers):
            raise UsageError(
                f"train_layers is {train_layers}, the model has {len(layers)} layers with weights."
            )
        return sum(layer.n_parameters for layer in layers[-train_layers:])

    def shapes(self) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        """Shapes of (W, b) of the layers that have weights."""
        return [(layer.weight_shape, layer.bias_shape) for layer in self.weighted]

    def digest(self) -> str:
        """SHA-256 (hex) of the architecture alone: the same for any parameters."""
        text = ";".join(layer.text() for layer in self.layers)
        return hashlib.sha256(f"{text}|{self.loss}".encode()).hexdigest()

    def split(self, vector: Float32) -> list[tuple[Float32, Float32]]:
        """Cut a flat vector into (W, b) views, one pair for each layer that has weights.

        Args:
            vector: float32 [n_parameters].

        Raises:
            UsageError: the vector has another length.
        """
        if vector.shape != (self.n_parameters,):
            raise UsageError(
                f"parameters of shape {vector.shape} came, ({self.n_parameters},) is needed."
            )
        parts, start = [], 0
        for weights, bias in self.shapes():
            middle = start + prod(weights)
            end = middle + prod(bias)
            parts.append((vector[start:middle].reshape(weights), vector[middle:end]))
            start = end
        return parts

    def join(self, parts: Sequence[tuple[Float32, Float32]]) -> Float32:
        """Put (W, b) parts, as `split` gives them, into one flat float32 vector."""
        flat = [np.asarray(array, np.float32).ravel() for part in parts for array in part]
        return np.concatenate(flat) if flat else np.zeros(0, np.float32)

    def initial(self, seed: int) -> Float32:
        """Draw initial parameters: uniform, He (relu) or Glorot (else), zero bias.

        Sources: He et al. 2015 (arXiv:1502.01852); Glorot and Bengio 2010.

        Returns:
            float32 [n_parameters]; the same seed gives the same bits.
        """
        rng = np.random.default_rng(seed)
        parts = []
        for layer in self.weighted:
            relu = layer.activation in ("relu", "relu6")
            fan = layer.fan_in if relu else (layer.fan_in + layer.fan_out) / 2
            bound = np.sqrt((6.0 if relu else 3.0) / fan)
            weights = rng.uniform(-bound, bound, layer.weight_shape).astype(np.float32)
            parts.append((weights, np.zeros(layer.bias_shape, np.float32)))
        return self.join(parts)
