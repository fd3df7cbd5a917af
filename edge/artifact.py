"""Artifact: one `.tflite` file, read, described, and given other parameters."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edge.dense_chain import Dense, UnsupportedOperator, chain
from edge.errors import ArtifactError, UsageError
from edge.flatbuffer import TruncatedArtifact
from edge.int8 import Int8Layer, int8_layer
from edge.spec import LayerSpec, ModelSpec
from edge.tflite import Graph, OperatorInfo, TensorInfo, read_graph

__all__ = ["Artifact", "ArtifactError", "Description", "TruncatedArtifact", "UnsupportedOperator"]


@dataclass(frozen=True)
class Description:
    """What a file says of itself, whether we can train it or not.

    Args:
        sha256: digest of the bytes, hex.
        size: bytes.
        dtype: type of the input tensor, such as float32.
        inputs: the input tensors.
        outputs: the output tensors.
        operators: the operators in order of execution.
        tensors: every tensor.
        parameters: values in constant tensors that operators multiply or add.
        macs: multiply-accumulates of convolution, depthwise and dense operators.
    """

    sha256: str
    size: int
    dtype: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    operators: tuple[OperatorInfo, ...]
    tensors: tuple[TensorInfo, ...]
    parameters: int
    macs: int


class Artifact:
    """A `.tflite` file, addressed by its digest; any file can be described.

    Args:
        data: the bytes; they are read, never changed.

    Raises:
        TruncatedArtifact: an offset or length points outside the bytes.
        ArtifactError: they are not a `.tflite`, or a broken one.
    """

    def __init__(self, data: bytes) -> None:
        self.data = bytes(data)
        self._graph: Graph = read_graph(self.data)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the bytes, hex: the artefact's address."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.data)

    @property
    def name(self) -> str:
        """What the file calls itself."""
        return self._graph.description

    @property
    def dtype(self) -> str:
        """Type of the input: float32, int8, ..."""
        return self._graph.tensors[self._graph.inputs[0]].dtype

    @property
    def operators(self) -> tuple[OperatorInfo, ...]:
        """The operators, in order of execution."""
        return self._graph.operators

    @property
    def tensors(self) -> tuple[TensorInfo, ...]:
        """Every tensor."""
        return self._graph.tensors

    @property
    def macs(self) -> int:
        """Multiply-accumulates of convolution, depthwise and dense operators, one inference."""
        return self._graph.macs()

    @cached_property
    def spec(self) -> ModelSpec:
        """The architecture, where the learner knows it.

        Raises:
            UnsupportedOperator: an operator, version or form that the learner does not know.
        """
        layers = tuple(LayerSpec(part.n_in, part.n_out, part.activation) for part in self._chain)
        softmax = layers[-1].activation == "softmax"
        try:
            return ModelSpec(layers, "cross_entropy" if softmax else "mse")
        except UsageError as error:
            raise UnsupportedOperator(error.message) from error

    def parameters(self) -> NDArray[np.float32]:
        """The parameters, flat, laid out as `ModelSpec` says: float32 [spec.n_parameters].

        Raises:
            UnsupportedOperator: no `spec`, or the file is not float32.
        """
        self._need_float()
        parts = [(self._floats(part.weights), self._bias(part)) for part in self._chain]
        return self.spec.join(parts)

    def with_parameters(self, vector: NDArray[np.float32]) -> "Artifact":
        """The same file with other parameters; nothing else in it changes.

        Args:
            vector: float32 [spec.n_parameters], finite.

        Raises:
            UsageError: another shape, or NaN or infinity.
            UnsupportedOperator: the file has a layer without bias, or is not float32.
        """
        self._need_float()
        values = np.asarray(vector, np.float32)
        if not np.isfinite(values).all():
            raise UsageError("parameters with NaN or infinity came; they are not written.")
        data = bytearray(self.data)
        for part, (weights, bias) in zip(self._chain, self.spec.split(values), strict=True):
            if part.bias is None:
                raise UnsupportedOperator("a dense layer has no bias to replace.")
            for index, array in ((part.weights, weights), (part.bias, bias)):
                tensor = self.tensors[index]
                content = array.astype("<f4").tobytes()
                data[tensor.start : tensor.start + tensor.length] = content
        return Artifact(bytes(data))

    def int8_layers(self) -> list[Int8Layer]:
        """The layers of an int8 model with their quantisation.

        Raises:
            UnsupportedOperator: no `spec`, or the file is not int8.
        """
        if self.dtype != "int8":
            raise UnsupportedOperator(f"the model is {self.dtype}, int8 is needed.")
        return [int8_layer(self._graph, part) for part in self._chain]

    def describe(self) -> Description:
        """Everything the file says of itself; works for any `.tflite`."""
        graph = self._graph
        return Description(
            sha256=self.sha256,
            size=self.size,
            dtype=self.dtype,
            inputs=tuple(graph.tensors[i] for i in graph.inputs),
            outputs=tuple(graph.tensors[i] for i in graph.outputs),
            operators=graph.operators,
            tensors=graph.tensors,
            parameters=graph.parameters(),
            macs=graph.macs(),
        )

    @cached_property
    def _chain(self) -> list[Dense]:
        return chain(self._graph)

    def _need_float(self) -> None:
        if self.dtype != "float32":
            raise UnsupportedOperator(
                f"the model is {self.dtype}; only float32 parameters can be trained.",
                hint="the float32 artefact",
            )

    def _floats(self, index: int) -> NDArray[np.float32]:
        return self._graph.constant(index).astype(np.float32)

    def _bias(self, part: Dense) -> NDArray[np.float32]:
        return np.zeros(part.n_out, np.float32) if part.bias is None else self._floats(part.bias)
