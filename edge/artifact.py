"""Artifact: one model file, read, described, and given other parameters."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edge.chain import ChainLayer, UnsupportedOperator, chain, layer_specs
from edge.errors import ArtifactError, UsageError
from edge.flatbuffer import TruncatedArtifact
from edge.onnx_file import is_onnx, read_onnx
from edge.parts import Parts, parts_of
from edge.spec import ModelSpec
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
    """A model file, addressed by its digest: any `.tflite`, and of an `.onnx` what a device needs.

    Args:
        data: the bytes; they are read, never changed.

    Raises:
        TruncatedArtifact: an offset or length points outside the bytes.
        ArtifactError: they are not a `.tflite` or `.onnx`, or a broken one.
    """

    def __init__(self, data: bytes) -> None:
        self.data = bytes(data)
        read = read_onnx if is_onnx(self.data) else read_graph
        self._graph: Graph = read(self.data)

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
        return self.input.dtype

    @property
    def operators(self) -> tuple[OperatorInfo, ...]:
        """The operators, in order of execution."""
        return self._graph.operators

    @property
    def tensors(self) -> tuple[TensorInfo, ...]:
        """Every tensor."""
        return self._graph.tensors

    @property
    def inputs(self) -> tuple[int, ...]:
        """Indices of the input tensors."""
        return self._graph.inputs

    @property
    def outputs(self) -> tuple[int, ...]:
        """Indices of the output tensors."""
        return self._graph.outputs

    @property
    def macs(self) -> int:
        """Multiply-accumulates of convolution, depthwise and dense operators, one inference."""
        return self._graph.macs()

    @property
    def input(self) -> TensorInfo:
        """The (first) input."""
        return self._graph.tensors[self._graph.inputs[0]]

    @property
    def output(self) -> TensorInfo:
        """The (first) output."""
        return self._graph.tensors[self._graph.outputs[0]]

    @cached_property
    def chain(self) -> tuple[ChainLayer, ...]:
        """The layers with their numbers, as the learner runs them: int8 ones, then float32 ones.

        Raises:
            UnsupportedOperator: an operator, version or form that the learner does not know.
            ArtifactError: a constant is not what its shape needs.
        """
        return chain(self._graph)

    @cached_property
    def backbone(self) -> tuple[ChainLayer, ...]:
        """The part of `chain` that is never trained: up to the last int8 layer."""
        ends = [i for i, x in enumerate(self.chain, 1) if x.dtype == "int8" or x.kind == "quantize"]
        return self.chain[: max(ends, default=0)]

    @cached_property
    def spec(self) -> ModelSpec:
        """The architecture, int8 layers included, where the learner knows it.

        Raises:
            UnsupportedOperator: see `chain`.
        """
        return self._specs[0]

    @property
    def frozen_layers(self) -> int:
        """How many layers of `spec`, from the front, are never trained: up to the last int8 one.

        Raises:
            UnsupportedOperator: see `chain`.
        """
        return self._specs[1]

    @cached_property
    def tail(self) -> "Artifact":
        """What the learner runs: this file, or its float32 tail where it does not know the front.

        Raises:
            UnsupportedOperator: see `chain`, and there is no tail of float32 dense layers.
            ArtifactError: the file is broken.
        """
        if self._parts is None:
            _ = self.spec  # says what is not known
            return self
        tail = Artifact(self._parts.tail)
        # Not its `tail_spec`: until Python 3.12 all instances share one lock for each cached
        # property, and that one is taken before this.
        _ = tail.spec
        return tail

    @property
    def front(self) -> bytes:
        """The part before the `tail`, as a file for a runtime; empty where there is none.

        Raises:
            ArtifactError: the file is broken.
        """
        return b"" if self._parts is None else self._parts.front

    @cached_property
    def tail_spec(self) -> ModelSpec:
        """The float32 layers after those that are int8 or unknown: all that can be trained.

        Raises:
            UnsupportedOperator: see `chain`, or there is no such layer.
        """
        if self.tail is not self:
            return self.tail.tail_spec
        layers = self.spec.layers[self.frozen_layers :]
        if not any(layer.weight_shape for layer in layers):
            raise UnsupportedOperator(
                f"the model is {self._inside}; only float32 parameters can be trained.",
                hint="the float32 artefact, or one with a float32 tail",
            )
        return ModelSpec.of(layers)

    def parameters(self) -> NDArray[np.float32]:
        """The parameters of the float32 layers, flat: float32 [tail_spec.n_parameters].

        Raises:
            UnsupportedOperator: no `tail_spec`.
        """
        spec, parts = self.tail_spec, []
        for part in self._tail:
            assert part.weights is not None
            channels = part.out_shape[2]
            bias = np.zeros(channels, np.float32) if part.bias is None else part.bias
            parts.append((part.weights.astype(np.float32), bias.astype(np.float32)))
        return spec.join(parts)

    def with_parameters(self, vector: NDArray[np.float32]) -> "Artifact":
        """The same file with other parameters; nothing else in it changes.

        Args:
            vector: float32 [tail_spec.n_parameters], finite.

        Raises:
            UsageError: another shape, or NaN or infinity.
            UnsupportedOperator: no `tail_spec`, a layer has no bias, or two share their weights.
        """
        values = np.asarray(vector, np.float32)
        _ = self.tail_spec.split(values)
        if not np.isfinite(values).all():
            raise UsageError("parameters with NaN or infinity came; they are not written.")
        data = bytearray(self.data)
        for places in self._places():
            at, content = 0, values.astype("<f4").tobytes()
            if sum(length for _, length in places) != len(content):
                raise ArtifactError(f"the places of the parameters hold no {len(values)} values.")
            for start, length in places:
                data[start : start + length] = content[at : at + length]
                at += length
        changed = Artifact(bytes(data))
        if changed.parameters().tobytes() != values.tobytes():
            raise UnsupportedOperator("layers share their weights; they cannot be replaced.")
        return changed

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
    def _specs(self) -> tuple[ModelSpec, int]:
        layers, frozen = layer_specs(self.chain)
        try:
            return ModelSpec.of(layers), frozen
        except UsageError as error:
            raise UnsupportedOperator(error.message) from error

    @cached_property
    def _parts(self) -> Parts | None:
        """Front and tail; None where the learner knows all, or nothing at the end."""
        try:
            _ = self.spec
        except UnsupportedOperator:
            return parts_of(self._graph)
        return None

    def _places(self) -> Iterator[Sequence[tuple[int, int]]]:
        """Start and bytes of all trained constants in the file, in order; then of their copies."""
        offset = self._parts.offset if self._parts else 0
        found = []
        for part in self._tail:
            if min(part.tensors) < 0:
                raise UnsupportedOperator(f"a {part.kind} layer has no bias to replace.")
            for index in part.tensors:
                tensor = self.tail.tensors[index]
                found.append((offset + tensor.start, tensor.length))
        yield found
        if self._parts and self._parts.copies:
            yield self._parts.copies

    @property
    def _tail(self) -> list[ChainLayer]:
        """The layers of `tail_spec` that have weights."""
        weighted = [part for part in self.tail.chain if part.weights is not None]
        return weighted[len(weighted) - len(self.tail_spec.weighted) :]

    @property
    def _inside(self) -> str:
        return "int8" if self.frozen_layers else self.dtype
