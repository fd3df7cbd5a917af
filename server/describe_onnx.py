"""What an `.onnx` file says of itself, as facts for the catalogue."""

import hashlib
from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

from edge.errors import ArtifactError
from ontology.describe.liveness import peak_bytes
from ontology.describe.model import ModelFacts, Quantisation
from ontology.describe.operators import LayerFacts
from server.onnx_model import loaded

__all__ = ["RUNTIME", "onnx_facts"]

RUNTIME = "onnxruntime"
_WEIGHTED = ("Conv", "Gemm", "MatMul")
_QUANTISING = ("QuantizeLinear", "DequantizeLinear")


def onnx_facts(data: bytes) -> ModelFacts:
    """Describe an `.onnx`, ours or foreign; unknown is absent.

    A dimension that is not fixed counts as one: a batch of one sample.

    Raises:
        MissingExtra: onnx is not installed.
        ArtifactError: it is no ONNX model.
        UnsupportedOperator: its constants lie in another file.
    """
    model = loaded(data)
    try:
        import onnx

        return _Graph(model.graph, onnx).facts(data)
    except Exception as error:  # names, types and values that the checker lets through
        raise ArtifactError(f"this is no ONNX model: {str(error)[:200]}") from error


class _Graph:
    """A graph with the shapes and types of its tensors."""

    def __init__(self, graph: Any, onnx: Any) -> None:
        self.nodes = list(graph.node)
        self.constants = {one.name: one for one in graph.initializer}
        self._onnx = onnx
        self.inputs = [one.name for one in graph.input if one.name not in self.constants]
        self.outputs = [one.name for one in graph.output]
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.types: dict[str, str] = {}
        for one in (*graph.input, *graph.value_info, *graph.output):
            kind = one.type.tensor_type
            if kind.HasField("shape"):
                self.shapes[one.name] = tuple(d.dim_value or 1 for d in kind.shape.dim)
            if kind.elem_type:
                self.types[one.name] = self._dtype(kind.elem_type)
        for name, one in self.constants.items():
            self.shapes[name], self.types[name] = tuple(one.dims), self._dtype(one.data_type)
        self.made = {name: node for node in self.nodes for name in node.output}

    def _dtype(self, number: int) -> str:
        return str(self._onnx.helper.tensor_dtype_to_np_dtype(number))

    def facts(self, data: bytes) -> ModelFacts:
        """All of it."""
        weighted = [node for node in self.nodes if node.op_type in _WEIGHTED]
        values = {name for node in weighted for name in self._parameters(node)}
        macs = [self._macs(node) for node in weighted]
        return ModelFacts(
            sha256=hashlib.sha256(data).hexdigest(),
            size=len(data),
            data_type=self.types.get(self.inputs[0]) if self.inputs else None,
            operators=tuple(sorted({node.op_type for node in self.nodes})),
            layers=tuple(self._layers()),
            parameters=sum(prod(self.shapes[name]) for name in values) or None,
            macs=sum(m for m in macs if m) or None if None not in macs else None,
            activation_bytes=self._peak(),
            input_quantisation=self._quantisation(self.inputs),
            output_quantisation=self._quantisation(self.outputs),
            runtimes=(RUNTIME,),
        )

    def _constant_behind(self, name: str) -> str | None:
        """The constant that a tensor is, looking through what dequantises it."""
        while name not in self.constants:
            node = self.made.get(name)
            if node is None or node.op_type not in _QUANTISING:
                return None
            name = node.input[0]
        return name

    def _parameters(self, node: Any) -> Iterator[str]:
        for name in node.input[1:3]:
            if found := self._constant_behind(name):
                yield found

    def _macs(self, node: Any) -> int | None:
        """Products of one operator; None where a shape is unknown, 0 without constant weights."""
        weights, out = self._constant_behind(node.input[1]), self.shapes.get(node.output[0])
        if weights is None:
            return 0
        shape = self.shapes[weights]
        if out is None or not shape:
            return None
        if node.op_type == "Conv":
            return prod(out) * prod(shape[1:])
        turned = any(a.name == "transB" and a.i for a in node.attribute)
        return prod(out) * (shape[1] if turned and len(shape) > 1 else shape[0])

    def _layers(self) -> Iterator[LayerFacts]:
        for node in self.nodes:
            taken = next((n for n in node.input if n and n not in self.constants), None)
            given = node.output[0]
            if taken in self.shapes and given in self.shapes and taken is not None:
                weights = self._constant_behind(node.input[1]) if len(node.input) > 1 else None
                kind = weights if weights and node.op_type in _WEIGHTED else taken
                ends = self.shapes[taken], self.shapes[given]
                yield LayerFacts(
                    prod(ends[0]), prod(ends[1]), None, node.op_type, *ends, self.types.get(kind)
                )

    def _peak(self) -> int | None:
        names = {*self.inputs, *self.made}
        sizes = {
            name: prod(self.shapes[name]) * np.dtype(self.types[name]).itemsize
            if name in self.shapes and name in self.types
            else None
            for name in names
        }
        return peak_bytes(
            [(n.input, n.output) for n in self.nodes], sizes, self.inputs, self.outputs
        )

    def _quantisation(self, ends: list[str]) -> Quantisation | None:
        """Of an end that is int8 or uint8 itself: that of the operator that reads or makes it."""
        if not ends or self.types.get(ends[0]) not in ("int8", "uint8"):
            return None
        for node in self.nodes:
            if node.op_type in _QUANTISING and ends[0] in (node.input[0], node.output[0]):
                read = self._onnx.numpy_helper.to_array
                parts = [self.constants.get(name) for name in node.input[1:3]]
                if len(parts) == 2 and all(p is not None and prod(p.dims) == 1 for p in parts):
                    return Quantisation(*(read(part).reshape(-1)[0].item() for part in parts))
        return None
