"""Read an `.onnx` chain as layers of ours: images turn from channels first to channels last."""

from collections.abc import Callable
from math import isinf, prod

import numpy as np

from edge.layers import Activation, ConvSpec, LayerSpec, PadSpec, PoolSpec
from server.bring.onnx_state import ChainState, Float
from server.bring.onnx_steps import Step, refusal
from server.bring.onnx_views import VIEWS, viewed
from server.bring.onnx_windows import padding_of, window_of

__all__ = ["ChainReader"]

_PASSED = ("Identity", "Dropout")
_BARE: dict[str, Activation] = {"Relu": "relu", "Tanh": "tanh", "Sigmoid": "logistic"}


class ChainReader(ChainState):
    """Takes one node after another."""

    def take(self, step: Step) -> None:
        """Append what a node does.

        Raises:
            UnsupportedOperator: the learner has nothing like it; with its name and why.
        """
        if self.layers and self.layers[-1].activation == "softmax" and step.kind not in VIEWS:
            raise refusal(step, "it follows a Softmax, which can only be last.")
        if step.kind in _PASSED:
            training = step.constant(2)
            if training is not None and training.any():
                raise refusal(step, "it is in training mode.")
        elif step.kind in VIEWS:
            self.order = viewed(step, self.order)
        elif step.kind in _BARE:
            self.activate(step, _BARE[step.kind])
        elif step.kind in _READERS:
            _READERS[step.kind](self, step)
        else:
            raise refusal(step, "the learner has no such layer.")

    def softmax(self, step: Step) -> None:
        """Put a softmax behind all values."""
        h, w, _ = self.shape
        if h * w > 1:
            self.shape = (1, 1, prod(self.shape))
        self.activate(step, "softmax")

    # Layers with weights.

    def _dense(self, step: Step) -> None:
        weights = step.constant(1)
        if step.at != 0 or weights is None or weights.ndim != 2:
            raise refusal(step, "constant weights of two dimensions are needed behind the tensor.")
        if self.order.ndim != 1:
            raise refusal(step, f"a sample has shape {self.order.shape} there, one row is needed.")
        if step.options.get("transA", 0):
            raise refusal(step, "transA is not known.")
        turned = weights if step.options.get("transB", 0) else weights.T
        if turned.shape[1] != self.order.size:
            raise refusal(step, f"{turned.shape[1]} values are needed, {self.order.size} come.")
        ours = np.empty(turned.shape, np.float32)
        ours[:, self.order] = turned * np.float32(step.options.get("alpha", 1.0))
        n_out = len(ours)
        bias = _bias(step, n_out) * np.float32(step.options.get("beta", 1.0))
        self.append(step, LayerSpec(self.order.size, n_out, "linear"), (ours, bias))
        self.order = np.arange(n_out)

    def _conv(self, step: Step) -> None:
        shape, weights = self.image(step), step.constant(1)
        if step.at != 0 or weights is None or weights.ndim != self.order.ndim + 1:
            raise refusal(step, "constant weights are needed, of as many dimensions as the tensor.")
        spatial = weights.ndim - 2
        group, filters = int(step.options.get("group", 1)), len(weights)
        depthwise = group == shape[2] and group > 1
        if not depthwise and group != 1:
            raise refusal(step, f"{group} groups of {shape[2]} channels came; one, or one for each "
                                "channel is known.")  # fmt: skip
        if spatial == 1:
            weights = weights[:, :, None]
        window = window_of(step, spatial, weights.shape[2:])
        bias = _bias(step, filters)
        ours = weights[:, 0].transpose(1, 2, 0) if depthwise else weights.transpose(0, 2, 3, 1)
        padding = padding_of(step, window, shape)
        if not isinstance(padding, str):
            self.append(step, PadSpec(shape, padding))
            shape, padding = self.shape, "valid"
        layer = ConvSpec(
            shape, filters, window.kernel, window.stride, padding, window.dilation,
            depthwise=depthwise,
        )  # fmt: skip
        self.append(step, layer, (np.array(ours, np.float32), bias))
        self.is_image(spatial)

    def _normalise(self, step: Step) -> None:
        if step.options.get("training_mode", 0):
            raise refusal(step, "it is in training mode.")
        given = [step.constant(index) for index in range(1, 5)]
        if step.at != 0 or any(one is None for one in given):
            raise refusal(step, "constant scale, shift, mean and variance are needed.")
        scale, shift, mean, variance = (np.asarray(one, np.float64) for one in given)
        factor = scale / np.sqrt(variance + step.options.get("epsilon", 1e-5))
        along = (-1, *[1] * (self.order.ndim - 1))
        self.scale(step, factor.reshape(along), (shift - mean * factor).reshape(along))

    def _arithmetic(self, step: Step) -> None:
        constant = step.constant(1 - step.at) if len(step.inputs) == 2 else None
        if constant is None:
            raise refusal(step, "one tensor and one constant are needed; the model is no chain.")
        value, one, zero = np.asarray(constant, np.float64), np.ones(1), np.zeros(1)
        if step.kind == "Add":
            return self.scale(step, one, value)
        if step.kind == "Sub":
            return self.scale(step, *((one, -value) if step.at == 0 else (-one, value)))
        if step.kind == "Mul":
            return self.scale(step, value, zero)
        if step.at == 1 or not value.all():
            raise refusal(step, "division by a tensor that is computed, or by zero.")
        return self.scale(step, 1 / value, zero)

    # Layers without weights.

    def _clip(self, step: Step) -> None:
        low, high = (
            step.options.get(name) if step.constant(at) is None else float(step.inputs[at].item())  # type: ignore[union-attr]
            for at, name in ((1, "min"), (2, "max"))
        )
        if low == 0 and (high is None or isinf(high) or high > 3e38):
            return self.activate(step, "relu")
        if (low, high) != (0, 6):
            raise refusal(step, f"it clips to {low} and {high}; 0 and 6 is known.")
        return self.activate(step, "relu6")

    def _soft(self, step: Step) -> None:
        old = step.opset < 13
        axis = step.options.get("axis", 1 if old else -1) % (self.order.ndim + 1)
        over = self.order.shape[axis - 1 :] if old else self.order.shape[axis - 1 : axis]
        if axis == 0 or prod(over) != self.order.size:
            raise refusal(step, f"it is over axis {axis} of {self.order.shape}; one over all "
                                "values of a sample is known.")  # fmt: skip
        self.softmax(step)

    def _pool(self, step: Step) -> None:
        shape, spatial = self.image(step), self.order.ndim - 1
        kind = "max" if step.kind == "MaxPool" else "average"
        window = window_of(step, spatial, None)
        if window.dilation != (1, 1):
            raise refusal(step, f"dilation {window.dilation} came, a pool has none.")
        padding = padding_of(step, window, shape)
        counted = bool(step.options.get("count_include_pad", 0)) and kind == "average"
        if padding == "same" and counted:
            padding = window.pads
        if not isinstance(padding, str):
            if kind == "average" and not counted:
                raise refusal(step, f"pads {padding} that do not count came, none or those of SAME "
                                    "are known.")  # fmt: skip
            if kind == "max" and not self.positive():
                raise refusal(step, f"pads {padding} came behind values that may be below 0; none, "
                                    "or those of SAME are known.")  # fmt: skip
            self.append(step, PadSpec(shape, padding))
            shape, padding = self.shape, "valid"
        layer = PoolSpec(
            "max" if kind == "max" else "average", shape, window.kernel, window.stride, padding
        )
        self.append(step, layer)
        self.is_image(spatial)

    def _whole(self, step: Step) -> None:
        shape, rank = self.image(step), self.order.ndim + 1
        kept = True
        if step.kind == "ReduceMean":
            axes, kept = step.axes(1, rank), bool(step.options.get("keepdims", 1))
            if axes != tuple(range(2, rank)):
                raise refusal(step, f"the mean is over axes {axes}, height and width are known.")
        kind = "max" if step.kind == "GlobalMaxPool" else "mean"
        self.append(step, PoolSpec("max" if kind == "max" else "mean", shape))
        self.order = np.arange(shape[2]).reshape(-1, *[1] * ((rank - 2) * kept))

    def _pad(self, step: Step) -> None:
        shape, spatial = self.image(step), self.order.ndim - 1
        given, value = step.constant(1), step.constant(2)
        pads = step.options.get("pads") if given is None else given.ravel().tolist()
        filled = step.options.get("value", 0.0) if value is None else float(value.item())
        mode = step.options.get("mode", b"constant")
        if mode != b"constant" or filled or step.constant(3) is not None or pads is None:
            raise refusal(step, f"mode {mode.decode()} with {filled:g} came; zeros are known.")
        rank = spatial + 2
        if len(pads) != 2 * rank or any(pads[at] for at in (0, 1, rank, rank + 1)):
            raise refusal(step, "batch or channels are padded; height and width can be.")
        before, after = pads[2:rank], pads[rank + 2 :]
        sides = [pad for pair in zip(before, after, strict=True) for pad in pair]
        top, bottom, left, right = [0] * (4 - len(sides)) + sides
        if any(sides):
            self.append(step, PadSpec(shape, (top, bottom, left, right)))
            self.is_image(spatial)


def _bias(step: Step, width: int) -> Float:
    given = step.constant(2)
    values = np.zeros(1) if given is None else given
    return np.broadcast_to(np.asarray(values, np.float32).reshape(-1), width).copy()


_READERS: dict[str, Callable[[ChainReader, Step], None]] = {
    "Gemm": ChainReader._dense,
    "MatMul": ChainReader._dense,
    "Conv": ChainReader._conv,
    "BatchNormalization": ChainReader._normalise,
    **dict.fromkeys(("Add", "Sub", "Mul", "Div"), ChainReader._arithmetic),
    "Clip": ChainReader._clip,
    "Softmax": ChainReader._soft,
    **dict.fromkeys(("MaxPool", "AveragePool"), ChainReader._pool),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool", "ReduceMean"), ChainReader._whole),
    "Pad": ChainReader._pad,
}
