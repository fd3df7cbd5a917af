"""Append one layer after another to an ONNX graph; images are channels-first inside."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.layers import ActivateSpec, ConvSpec, Layer, LayerSpec, PadSpec, PoolSpec
from edge.windows import Pads, Shape

__all__ = ["OnnxGraph"]

_ACTIVATE = {
    "relu": "Relu",
    "relu6": "Clip",
    "tanh": "Tanh",
    "logistic": "Sigmoid",
    "softmax": "Softmax",
}
_POOL = {"max": "MaxPool", "average": "AveragePool", "mean": "GlobalAveragePool"}


class OnnxGraph:
    """A chain of nodes from `x` [batch, n_in] to `y` [batch, n_out].

    `holds` says of every tensor on the way whose values it has: the index of a layer, and whether
    they are behind its activation; (-1, True): the input.
    """

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.holds: dict[str, tuple[int, bool]] = {"x": (-1, True)}
        self._end = "x"
        self._image: Shape | None = None  # height, width, channels while channels-first

    def layer(self, index: int, layer: Layer, parts: Any) -> None:
        """Append a layer; parts are its weights and bias in the order of a `.tflite`."""
        if isinstance(layer, LayerSpec):
            self._flat(index)
            self._dense(index, parts)
            self.holds[self._end] = (index, False)
        elif not isinstance(layer, ActivateSpec):
            self._as_image(index, layer.in_shape)
            self._spatial(index, layer, parts)
            self._image = layer.out_shape
            self.holds[self._end] = (index, False)
        if layer.activation == "softmax":
            self._flat(index + 1)  # it is over all values
        if layer.activation != "linear":
            self._activate(index, layer.activation)
            self.holds[self._end] = (index, True)

    def finish(self, index: int) -> None:
        """Name the end `y`."""
        self._flat(index)
        self.holds["y"] = self.holds.pop(self._end)
        self.nodes[-1].output[0] = "y"
        if self.nodes[-1].op_type == "Gemm":
            self.nodes[-1].name = "y"

    def _dense(self, index: int, parts: Any) -> None:
        self._node("Gemm", f"dense{index}", self._weights(f"dense{index}", *parts), transB=1)

    def _spatial(self, index: int, layer: Layer, parts: Any) -> None:
        if isinstance(layer, ConvSpec):
            name = f"conv{index}"
            weights, bias = parts
            group = layer.in_shape[2] if layer.depthwise else 1
            order = weights.transpose(2, 0, 1)[:, None] if layer.depthwise else weights
            order = order if layer.depthwise else weights.transpose(0, 3, 1, 2)
            self._node(
                "Conv", name, self._weights(name, order, bias), kernel_shape=layer.kernel,
                strides=layer.stride, dilations=layer.dilation, pads=_pads(layer.pads), group=group,
            )  # fmt: skip
        elif isinstance(layer, PoolSpec):
            options: dict[str, Any] = {}
            if layer.kind != "mean":
                options = {
                    "kernel_shape": layer.window,
                    "strides": layer.stride,
                    "pads": _pads(layer.pads),
                }
            self._node(_POOL[layer.kind], f"{layer.kind}{index}", [], **options)
        elif isinstance(layer, PadSpec):
            top, left, bottom, right = _pads(layer.pads)
            around = np.array([0, 0, top, left, 0, 0, bottom, right], np.int64)
            self._node("Pad", f"pad{index}", [self._constant(f"pad{index}/pads", around)])

    def _activate(self, index: int, activation: str) -> None:
        name, inputs = f"{activation}{index}", []
        if activation == "relu6":
            bounds = {"low": np.float32(0), "high": np.float32(6)}
            inputs = [self._constant(f"{name}/{k}", np.array(v)) for k, v in bounds.items()]
        operator = _ACTIVATE[activation]
        self._node(operator, name, inputs, named=f"{operator}{index}")

    def _as_image(self, index: int, shape: Shape) -> None:
        if self._image == shape:
            return
        self._flat(index)
        h, w, c = shape
        sizes = self._constant(f"image{index}/shape", np.array([-1, h, w, c], np.int64))
        self._node("Reshape", f"image{index}", [sizes])
        self._node("Transpose", f"channels_first{index}", [], perm=(0, 3, 1, 2))
        self._image = shape

    def _flat(self, index: int) -> None:
        if self._image is None:
            return
        h, w, c = self._image
        self._node("Transpose", f"channels_last{index}", [], perm=(0, 2, 3, 1))
        sizes = self._constant(f"flat{index}/shape", np.array([-1, h * w * c], np.int64))
        self._node("Reshape", f"flat{index}", [sizes])
        self._image = None

    def _weights(self, name: str, weights: NDArray[Any], bias: NDArray[Any]) -> list[str]:
        return [
            self._constant(f"{name}/weights", weights),
            self._constant(f"{name}/bias", bias),
        ]

    def _constant(self, name: str, values: NDArray[Any]) -> str:
        from onnx import numpy_helper

        contiguous = np.ascontiguousarray(values).reshape(values.shape)
        self.constants.append(numpy_helper.from_array(contiguous, name))
        return name

    def _node(
        self, operator: str, out: str, inputs: list[str], *, named: str = "", **options: Any
    ) -> None:
        from onnx import helper

        made = helper.make_node(operator, [self._end, *inputs], [out], name=named or out, **options)
        self.nodes.append(made)
        self.holds[out] = self.holds[self._end]
        self._end = out


def _pads(pads: Pads) -> tuple[int, int, int, int]:
    top, bottom, left, right = pads
    return top, left, bottom, right
