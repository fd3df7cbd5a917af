"""The weights of the layer of an `.onnx` that a tail replaces."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.bring.feature import Feature
from server.bring.kept import Dense, cannot_keep

__all__ = ["onnx_replaced_layer"]

_PASSED = ("QuantizeLinear", "DequantizeLinear", "Identity", "Cast")


def onnx_replaced_layer(graph: Any, feature: Feature) -> Dense:
    """Weights and bias of a Gemm, a MatMul with the Add behind it, or a Conv of one place.

    Args:
        graph: the foreign one.
        feature: with the layer's node.

    Raises:
        UsageError: it is another kind of layer, or its numbers are no constants.
    """
    if feature.last < 0:
        raise cannot_keep(feature, "it may be more than one layer", hint="no --layer")
    node = graph.node[feature.last]
    constants = _Constants(graph)
    options = _options(node)
    weights = constants.real(node.input[1])
    if weights is None or weights.ndim not in (2, 4):
        raise cannot_keep(feature, "they are no constants of a dense layer")
    if node.op_type == "Conv":
        places = feature.shape[1:-1] if len(feature.shape) == 4 else ()
        if weights.shape[2:] != (1, 1) or options.get("group", 1) != 1 or set(places) - {1}:
            raise cannot_keep(feature, "it is a convolution over more than one place")
        weights = weights.reshape(len(weights), -1)
    elif options.get("transA", 0) or weights.ndim != 2:
        raise cannot_keep(feature, "it is no dense layer")
    elif not options.get("transB", 0):
        weights = weights.T
    bias = np.zeros(1)
    if len(node.input) > 2 and node.input[2]:
        given = constants.real(node.input[2])
        if given is None:
            raise cannot_keep(feature, "its bias is no constant")
        bias = given.reshape(-1) * options.get("beta", 1.0)
    bias = bias + constants.added_behind(graph, node.output[0])
    if bias.size not in (1, len(weights)):
        raise cannot_keep(feature, f"its bias has {bias.size} values for {len(weights)} outputs")
    scaled = weights * options.get("alpha", 1.0)
    return np.array(scaled, np.float32), np.array(np.broadcast_to(bias, len(weights)), np.float32)


def _options(node: Any) -> dict[str, Any]:
    from onnx import helper

    return {one.name: helper.get_attribute_value(one) for one in node.attribute}


class _Constants:
    """The constants of a graph, those that are dequantised, too."""

    def __init__(self, graph: Any) -> None:
        self._held = {one.name: one for one in graph.initializer}
        self._made = {name: node for node in graph.node for name in node.output}

    def real(self, name: str) -> NDArray[Any] | None:
        """The values of a constant; None where it is none."""
        from onnx import numpy_helper

        if name in self._held:
            return np.asarray(numpy_helper.to_array(self._held[name]))
        node = self._made.get(name)
        if node is None:
            return None
        if node.op_type == "Constant":
            value = _options(node).get("value")
            return None if value is None else np.asarray(numpy_helper.to_array(value))
        if node.op_type == "Identity":
            return self._held_alone(node.input[0])
        if node.op_type != "DequantizeLinear":
            return None
        return self._dequantised(node)

    def added_behind(self, graph: Any, name: str) -> NDArray[Any]:
        """What the Add behind a tensor adds to it; 0 where there is none."""
        for _ in graph.node:  # a broken file may go in circles
            readers = [node for node in graph.node if name in node.input]
            if len(readers) != 1:
                break
            node = readers[0]
            if node.op_type == "Add":
                given = self.real(next((other for other in node.input if other != name), ""))
                return np.zeros(1) if given is None else given.reshape(-1)
            if node.op_type not in _PASSED:
                break
            name = node.output[0]
        return np.zeros(1)

    def _held_alone(self, name: str) -> NDArray[Any] | None:
        from onnx import numpy_helper

        return np.asarray(numpy_helper.to_array(self._held[name])) if name in self._held else None

    def _dequantised(self, node: Any) -> NDArray[Any] | None:
        parts = [self._held_alone(name) for name in node.input if name]
        if any(part is None for part in parts) or len(parts) < 2:
            return None
        codes, scale, *zero = (np.asarray(part, np.float64) for part in parts)
        axis = int(_options(node).get("axis", 1))
        along = [1] * codes.ndim
        if scale.size > 1:
            along[axis] = scale.size
            scale, zero = scale.reshape(along), [one.reshape(along) for one in zero]
        return np.asarray((codes - (zero[0] if zero else 0)) * scale)
