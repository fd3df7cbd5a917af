"""Convolutional classifiers: trained in torch with batch normalisation, folded for the devices."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from edge.spec import ModelSpec
from edge.steps import conv, dense
from server.export import tflite
from server.meta.backbone import PADS, folded

__all__ = ["ConvNet"]


@dataclass(frozen=True)
class ConvNet:
    """3x3 convolutions with ReLU, a dense embedding, then a dense softmax over the classes.

    Args:
        shape: height and width of the input, one channel; both divisible by all strides.
        classes: how many.
        filters: of each convolution.
        strides: of each, down and to the right.
        embedding: features of the dense layer with ReLU before the last; 0: none.
        dropout: share of the features left out of a training step.
    """

    shape: tuple[int, int]
    classes: int
    filters: Sequence[int]
    strides: Sequence[tuple[int, int]]
    embedding: int = 0
    dropout: float = 0.4

    def module(self) -> nn.Sequential:
        """A fresh torch module: float32 [n, 1, height, width] to logits float32 [n, classes]."""
        layers: list[nn.Module] = []
        befores = (1, *self.filters[:-1])
        for before, filters, stride in zip(befores, self.filters, self.strides, strict=True):
            convolution = nn.Conv2d(before, filters, 3, stride=stride, padding=1, bias=False)
            layers += [convolution, nn.BatchNorm2d(filters), nn.ReLU()]
        sizes = [shape[1] for shape, _ in self.spec().shapes()[len(self.filters) :]]
        layers += [nn.Flatten(), nn.Dropout(self.dropout)]
        if self.embedding:
            layers += [nn.Linear(sizes[0], self.embedding), nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(sizes[-1], self.classes))

    def spec(self) -> ModelSpec:
        """The same for devices."""
        pairs = zip(self.filters, self.strides, strict=True)
        steps = [conv(filters, stride=stride, padding=PADS) for filters, stride in pairs]
        middle = [dense(self.embedding, "relu")] if self.embedding else []
        head = dense(self.classes, "softmax")
        return ModelSpec.convnet((*self.shape, 1), [*steps, *middle, head])

    def parameters(self, module: nn.Sequential) -> NDArray[np.float32]:
        """Parameters of `spec()`: batch normalisation folded in, channels last."""
        shapes = [shape for shape, _ in self.spec().shapes()]
        parts: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
        for index, shape in enumerate(shapes[: len(self.filters)]):
            w, b = folded(module[3 * index], module[3 * index + 1])
            parts.append((w.transpose(0, 2, 3, 1).reshape(shape), b))
        linear: list[Any] = [layer for layer in module if isinstance(layer, nn.Linear)]
        for layer in linear:
            w, b = layer.weight.detach().numpy(), layer.bias.detach().numpy()
            if layer is linear[0]:
                planes = w.reshape(len(w), self.filters[-1], -1)
                w = planes.transpose(0, 2, 1).reshape(w.shape)
            parts.append((w, b))
        return self.spec().join(parts)

    def hybrid(self, module: nn.Sequential, samples: NDArray[np.float32], name: str) -> bytes:
        """Int8 convolutions and float32 dense layers that devices train, as one `.tflite`.

        Args:
            module: a trained one.
            samples: float32 [n, height * width]; they set the ranges.
            name: description that the file carries.
        """
        parameters = self.parameters(module)
        return tflite.write_hybrid(
            self.spec(), parameters, samples, float_layers=1 + bool(self.embedding), name=name
        )
