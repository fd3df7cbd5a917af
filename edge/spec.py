"""ModelSpec: the layers of a dense model, its loss, and the layout of its parameters."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self, cast

import numpy as np
from numpy.typing import NDArray

from edge.errors import UsageError

__all__ = ["Activation", "LayerSpec", "Loss", "ModelSpec"]

Activation = Literal["linear", "relu", "tanh", "softmax"]
Loss = Literal["mse", "cross_entropy"]
Float32 = NDArray[np.float32]

ACTIVATIONS: tuple[Activation, ...] = ("linear", "relu", "tanh", "softmax")
MAX_WIDTH = 4096
MAX_LAYERS = 8


@dataclass(frozen=True)
class LayerSpec:
    """One dense layer: `activation(W x + b)` with W [n_out][n_in] and b [n_out].

    Args:
        n_in: width of the input, in elements.
        n_out: width of the output, in elements.
        activation: linear, relu, tanh, or (last layer only) softmax.
    """

    n_in: int
    n_out: int
    activation: Activation

    @property
    def n_parameters(self) -> int:
        """How many float32 the layer holds."""
        return (self.n_in + 1) * self.n_out


@dataclass(frozen=True)
class ModelSpec:
    """The architecture of a model; its parameters are one flat float32 vector.

    The vector holds, layer after layer, W row by row ([n_out][n_in]), then b.

    Args:
        layers: at most 8 layers, at most 4096 wide, each fitting its neighbour.
        loss: cross_entropy if and only if the last activation is softmax, else mse.

    Raises:
        UsageError: the layers do not fit each other, the limits, or the loss.
    """

    layers: tuple[LayerSpec, ...]
    loss: Loss

    def __post_init__(self) -> None:
        """Refuse what the learner would refuse."""
        if not 1 <= len(self.layers) <= MAX_LAYERS:
            raise UsageError(f"{len(self.layers)} layers came, 1 to {MAX_LAYERS} are allowed.")
        for index, layer in enumerate(self.layers):
            if not (1 <= layer.n_in <= MAX_WIDTH and 1 <= layer.n_out <= MAX_WIDTH):
                raise UsageError(
                    f"layer {index} is {layer.n_in} to {layer.n_out} wide, "
                    f"1 to {MAX_WIDTH} is allowed."
                )
            if layer.activation not in ACTIVATIONS:
                raise UsageError(
                    f"activation {layer.activation!r} came, {', '.join(ACTIVATIONS)} are known."
                )
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
        return cls(layers, "cross_entropy" if output == "softmax" else "mse")

    @property
    def n_in(self) -> int:
        """Width of the input, in elements."""
        return self.layers[0].n_in

    @property
    def n_out(self) -> int:
        """Width of the output, in elements."""
        return self.layers[-1].n_out

    @property
    def n_parameters(self) -> int:
        """How many float32 the whole model holds."""
        return sum(layer.n_parameters for layer in self.layers)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one forward pass."""
        return sum(layer.n_in * layer.n_out for layer in self.layers)

    @property
    def n_target(self) -> int:
        """How many values a target has: 1 (a class index) or n_out."""
        return 1 if self.loss == "cross_entropy" else self.n_out

    def shapes(self) -> list[tuple[tuple[int, int], tuple[int]]]:
        """Shapes of (W, b), layer by layer."""
        return [((layer.n_out, layer.n_in), (layer.n_out,)) for layer in self.layers]

    def digest(self) -> str:
        """SHA-256 (hex) of the architecture alone: the same for any parameters."""
        text = ";".join(f"{x.n_in}>{x.n_out}:{x.activation}" for x in self.layers)
        return hashlib.sha256(f"{text}|{self.loss}".encode()).hexdigest()

    def split(self, vector: Float32) -> list[tuple[Float32, Float32]]:
        """Cut a flat vector into (W, b) views, layer by layer.

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
        for layer in self.layers:
            middle = start + layer.n_in * layer.n_out
            end = middle + layer.n_out
            parts.append(
                (vector[start:middle].reshape(layer.n_out, layer.n_in), vector[middle:end])
            )
            start = end
        return parts

    def join(self, parts: Sequence[tuple[Float32, Float32]]) -> Float32:
        """Put (W, b) parts, as `split` gives them, into one flat float32 vector."""
        flat = [np.asarray(array, np.float32).ravel() for part in parts for array in part]
        return np.concatenate(flat)

    def initial(self, seed: int) -> Float32:
        """Draw initial parameters: uniform, He (relu) or Glorot (else), zero bias.

        Sources: He et al. 2015 (arXiv:1502.01852); Glorot and Bengio 2010.

        Returns:
            float32 [n_parameters]; the same seed gives the same bits.
        """
        rng = np.random.default_rng(seed)
        parts = []
        for layer in self.layers:
            fan = layer.n_in if layer.activation == "relu" else (layer.n_in + layer.n_out) / 2
            bound = np.sqrt((6.0 if layer.activation == "relu" else 3.0) / fan)
            weights = rng.uniform(-bound, bound, (layer.n_out, layer.n_in)).astype(np.float32)
            parts.append((weights, np.zeros(layer.n_out, np.float32)))
        return self.join(parts)
