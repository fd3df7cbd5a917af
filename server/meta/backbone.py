"""Convolutional backbones: trained in torch with batch normalisation, folded for the devices."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edge.learner.classes import SPARE_BIAS
from edge.spec import ModelSpec
from edge.steps import conv, dense
from server.export import tflite

__all__ = ["Backbone", "folded", "hybrid"]

PADS = (1, 1, 1, 1)


@dataclass(frozen=True)
class Backbone:
    """Four 3x3 convolutions of stride 2 with ReLU.

    Args:
        side: of the square input, one channel.
        filters: of every convolution.
    """

    side: int = 28
    filters: int = 64

    def module(self) -> nn.Sequential:
        """A fresh torch module: float32 [n, 1, side, side] to float32 [n, features]."""
        layers: list[nn.Module] = []
        for before in (1, self.filters, self.filters, self.filters):
            convolution = nn.Conv2d(before, self.filters, 3, stride=2, padding=1, bias=False)
            layers += [convolution, nn.BatchNorm2d(self.filters), nn.ReLU()]
        return nn.Sequential(*layers, nn.Flatten())

    def spec(self, classes: int) -> ModelSpec:
        """The same for devices, with a dense softmax head of so many classes."""
        steps = [conv(self.filters, stride=2, padding=PADS) for _ in range(4)]
        shape = (self.side, self.side, 1)
        return ModelSpec.convnet(shape, [*steps, dense(classes, "softmax")])

    def parameters(self, module: nn.Sequential, classes: int) -> NDArray[np.float32]:
        """What a device starts from: batch normalisation folded in, a head without any class.

        Args:
            module: a trained one.
            classes: of the head; all are spare, so that a device adds them as it sees them.

        Returns:
            float32 [n], of `spec(classes)`.
        """
        *convolutions, (head, _) = self.spec(classes).shapes()
        parts: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
        for (shape, _), number in zip(convolutions, range(0, 12, 3), strict=True):
            w, b = folded(module[number], module[number + 1])
            parts.append((w.transpose(0, 2, 3, 1).reshape(shape), b))
        parts.append((np.zeros(head, np.float32), np.full(classes, SPARE_BIAS, np.float32)))
        return self.spec(classes).join(parts)


def hybrid(
    backbone: Backbone, module: nn.Sequential, images: NDArray[np.float32], classes: int, name: str
) -> bytes:
    """An int8 backbone and a float32 head of spare classes, as one `.tflite`.

    Args:
        backbone: the architecture.
        module: its trained weights.
        images: float32 [n, side * side], samples that set the ranges.
        classes: of the head.
        name: description that the file carries.
    """
    spec, parameters = backbone.spec(classes), backbone.parameters(module, classes)
    return tflite.write_hybrid(spec, parameters, images, float_layers=1, name=name)


def folded(convolution: Any, norm: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights [out, in, 3, 3] and bias of a convolution with its batch normalisation."""
    with torch.no_grad():
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        w = convolution.weight * scale[:, None, None, None]
        b = norm.bias - norm.running_mean * scale
    return w.numpy().astype(np.float32), b.numpy().astype(np.float32)
