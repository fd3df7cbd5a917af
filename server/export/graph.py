"""Append one layer after another to a `.tflite`, in float32 or in int8."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.layers import ActivateSpec, ConvSpec, Layer, LayerSpec, PadSpec, PoolSpec, Shape
from server.export import operators
from server.export.flatfile import FlatFile, Operator, Tensor
from server.export.operators import FUSED, INT8_OUT
from server.export.quantise import (
    SMALLEST_SCALE,
    Affine,
    Calibration,
    quantise_weights,
    with_headroom,
)
from server.export.reference import LayerValues

__all__ = ["Graph"]

SMALLEST_LOGIT = 2.0**-25
"""Smallest scale before a softmax: with a finer one TensorFlow Lite Micro ends the process."""
Weights = tuple[NDArray[np.float32], NDArray[np.float32]]


class Graph:
    """A chain of operators that grows at its end.

    Args:
        file: what it is written into.
        in_shape: of the input.
        around: scale of an int8 input; None: float32.
        per_channel: one weight scale an output channel instead of one a layer.
        calibration: how ranges are found, see `quantise.CALIBRATIONS`.
    """

    def __init__(
        self,
        file: FlatFile,
        in_shape: Shape,
        around: Affine | None,
        *,
        per_channel: bool = True,
        calibration: Calibration = "minmax",
    ) -> None:
        self._file, self._around, self._per_channel = file, around, per_channel
        self._calibration = calibration
        self._end = self._tensor("x", _sizes(in_shape, flat=in_shape[:2] == (1, 1)))
        file.inputs = file.outputs = (self._end,)

    def quantize(self, around: Affine) -> None:
        """Go on in int8."""
        self._change("quantize", around)

    def dequantize(self) -> None:
        """Go on in float32."""
        self._change("dequantize", None)

    def layer(
        self,
        index: int,
        layer: Layer,
        parts: Weights | None,
        values: LayerValues,
        *,
        leave_int8: bool = False,
    ) -> None:
        """Append a layer.

        Args:
            index: for names.
            layer: which.
            parts: its weights and bias.
            values: what it makes of the calibration samples; only int8 looks at them.
            leave_int8: go on in float32 behind its sums; an activation of its own is in float32.
        """
        self._shaped(index, layer)
        fused = layer.activation in FUSED and isinstance(layer, LayerSpec | ConvSpec | PoolSpec)
        fused = fused and not (isinstance(layer, PoolSpec) and layer.kind == "mean")
        if not isinstance(layer, ActivateSpec):
            wide = with_headroom if layer.activation == "softmax" and self._int8 else np.asarray
            self._sum(index, layer, parts, wide(values.out if fused else values.sum))
        if leave_int8:
            self.dequantize()
        if not fused and layer.activation != "linear":
            self._activate(index, layer, values)

    def _sum(self, index: int, layer: Layer, parts: Weights | None, values: Any) -> None:
        name, int8, source = f"{_name(layer)}{index}", self._int8, self._end
        inputs: tuple[int, ...] = (source,)
        step = 0.0
        if parts is not None:
            w, b = self._constants(name, layer, *parts)
            inputs = (source, w, b)
            step = float(max(self._file.tensors[b].scales, default=0.0))
        elif isinstance(layer, PadSpec):
            top, bottom, left, right = layer.pads
            around = np.array([[0, 0], [top, bottom], [left, right], [0, 0]], np.int32)
            inputs = (source, self._constant(f"{name}/pads", around))
        elif isinstance(layer, PoolSpec) and layer.kind == "mean":
            inputs = (source, self._constant(f"{name}/axes", np.array([1, 2], np.int32)))
        moves = parts is not None or (isinstance(layer, PoolSpec) and layer.kind == "mean")
        if int8 and moves:  # the others keep the scale of their input
            # Sums come in steps of the scale of the bias: a finer output would say no more.
            finest = SMALLEST_LOGIT if layer.activation == "softmax" else SMALLEST_SCALE
            self._around = Affine.fitted(values, self._calibration, max(step, finest))
        flat = isinstance(layer, LayerSpec) or _name(layer) == "mean"
        out = self._tensor(name, _sizes(layer.out_shape, flat=flat))
        self._append(_operator(layer, inputs, out, int8=int8))

    def _activate(self, index: int, layer: Layer, values: LayerValues) -> None:
        source, shape = self._end, self._file.tensors[self._end].shape
        if self._int8:
            fixed = INT8_OUT.get(layer.activation)
            self._around = Affine(*fixed) if fixed else self._fitted(values.out)
        out = self._tensor(f"{layer.activation}{index}", shape)
        self._append(operators.activate(source, out, layer.activation, int8=self._int8))

    def _fitted(self, values: Any) -> Affine:
        return Affine.fitted(values, self._calibration)

    def _shaped(self, index: int, layer: Layer) -> None:
        found = self._file.tensors[self._end].shape
        needed = _sizes(layer.in_shape, flat=isinstance(layer, LayerSpec))
        if isinstance(layer, ActivateSpec) or found == needed:
            return
        shape = self._constant(f"reshape{index}/shape", np.array(needed, np.int32))
        out = self._tensor(f"reshape{index}", needed)
        self._append(operators.plain("reshape", (self._end, shape), out, int8=self._int8))

    def _constants(
        self, name: str, layer: Layer, weights: NDArray[np.float32], bias: NDArray[np.float32]
    ) -> tuple[int, int]:
        axis, names = 0, (f"{name}/weights", f"{name}/bias")
        if isinstance(layer, ConvSpec) and layer.depthwise:
            weights, axis = weights[None], 3
        if self._around is None:
            return self._constant(names[0], weights), self._constant(names[1], bias)
        made = quantise_weights(
            weights, bias, self._around.scale, axis=axis, per_channel=self._per_channel
        )
        zeros = (0,) * len(made.scales)
        w = Tensor(names[0], weights.shape, "int8", made.weights, made.scales, zeros, axis)
        b = Tensor(names[1], bias.shape, "int32", made.bias, made.bias_scales, zeros)
        return self._file.add(w), self._file.add(b)

    def _change(self, name: str, around: Affine | None) -> None:
        source, shape = self._end, self._file.tensors[self._end].shape
        self._around = around
        number = len(self._file.operators)
        out = self._tensor(f"{name}{number}", shape)
        self._append(operators.plain(name, (source,), out, int8=True))

    @property
    def _int8(self) -> bool:
        return self._around is not None

    def _constant(self, name: str, values: NDArray[Any]) -> int:
        return self._file.add(Tensor(name, values.shape, str(values.dtype), values))

    def _tensor(self, name: str, shape: tuple[int, ...]) -> int:
        if self._around is None:
            return self._file.add(Tensor(name, shape, "float32"))
        around = self._around
        return self._file.add(Tensor(name, shape, "int8", None, (around.scale,), (around.zero,)))

    def _append(self, operator: Operator) -> None:
        self._file.operators.append(operator)
        self._end = operator.outputs[0]
        self._file.outputs = (self._end,)


def _operator(layer: Layer, inputs: tuple[int, ...], out: int, *, int8: bool) -> Operator:
    if isinstance(layer, LayerSpec):
        return operators.dense(inputs, out, layer.activation, int8=int8)
    if isinstance(layer, ConvSpec):
        return operators.convolve(inputs, out, layer, int8=int8)
    if isinstance(layer, PoolSpec) and layer.kind != "mean":
        return operators.pool(inputs[0], out, layer, int8=int8)
    return operators.plain(_name(layer), inputs, out, int8=int8)


def _name(layer: Layer) -> str:
    if isinstance(layer, ConvSpec):
        return "depthwise" if layer.depthwise else "conv"
    if isinstance(layer, PoolSpec):
        return layer.kind
    return "pad" if isinstance(layer, PadSpec) else "dense"


def _sizes(shape: Shape, *, flat: bool) -> tuple[int, ...]:
    return (1, shape[0] * shape[1] * shape[2]) if flat else (1, *shape)
