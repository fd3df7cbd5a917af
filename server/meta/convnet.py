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
    """3x3 convolutions with ReLU, then a dense softmax over the classes.

    Args:
        shape: height and width of the input, one channel; both divisible by all strides.
        classes: how many.
        filters: of each convolution.
        strides: of each, down and to the right.
        dropout: share of the features left out of a training step.
    """

    shape: tuple[int, int]
    classes: int
    filters: Sequence[int]
    strides: Sequence[int]
    dropout: float = 0.4

    def module(self) -> nn.Sequential:
        """A fresh torch module: float32 [n, 1, height, width] to logits float32 [n, classes]."""
        layers: list[nn.Module] = []
        befores = (1, *self.filters[:-1])
        for before, filters, stride in zip(befores, self.filters, self.strides, strict=True):
            convolution = nn.Conv2d(before, filters, 3, stride=stride, padding=1, bias=False)
            layers += [convolution, nn.BatchNorm2d(filters), nn.ReLU()]
        head = nn.Linear(self.spec().layers[-1].n_in, self.classes)
        return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(self.dropout), head)

    def spec(self) -> ModelSpec:
        """The same for devices."""
        pairs = zip(self.filters, self.strides, strict=True)
        steps = [conv(filters, stride=stride, padding=PADS) for filters, stride in pairs]
        return ModelSpec.convnet((*self.shape, 1), [*steps, dense(self.classes, "softmax")])

    def parameters(self, module: nn.Sequential) -> NDArray[np.float32]:
        """Parameters of `spec()`: batch normalisation folded in, channels last."""
        *shapes, (head, _) = self.spec().shapes()
        parts: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
        for index, (shape, _) in enumerate(shapes):
            w, b = folded(module[3 * index], module[3 * index + 1])
            parts.append((w.transpose(0, 2, 3, 1).reshape(shape), b))
        last: Any = module[-1]
        planes = last.weight.detach().numpy().reshape(self.classes, self.filters[-1], -1)
        parts.append((planes.transpose(0, 2, 1).reshape(head), last.bias.detach().numpy()))
        return self.spec().join(parts)

    def hybrid(self, module: nn.Sequential, samples: NDArray[np.float32], name: str) -> bytes:
        """An int8 backbone and a float32 head that devices train, as one `.tflite`.

        Args:
            module: a trained one.
            samples: float32 [n, height * width]; they set the ranges.
            name: description that the file carries.
        """
        parameters = self.parameters(module)
        return tflite.write_hybrid(self.spec(), parameters, samples, float_layers=1, name=name)
