"""Convert an `.onnx` chain into a `.tflite` of ours, whole: boards run it and train all of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge import runtime
from edge.artifact import Artifact
from edge.chain import UnsupportedOperator
from edge.errors import ArtifactError, MissingExtra, TinyfleetError, UsageError
from edge.learner import OnlineLearner
from edge.spec import ModelSpec
from server.bring.bring import Brought
from server.bring.make import new_file, written
from server.bring.onnx_chain import ChainReader
from server.bring.onnx_steps import Step, steps_of
from server.export import tflite
from server.onnx_model import loaded

__all__ = ["TOLERANCE", "Converted", "Read", "convert", "read_chain"]

TOLERANCE = 1e-4
"""How far the new file's answers may be from the original's, of the largest of these."""
_SAMPLES = 8
Float = NDArray[np.float32]


@dataclass(frozen=True)
class Read:
    """A chain as ours.

    Args:
        spec: the layers.
        parameters: float32 [spec.n_parameters].
        entry: int64 [n_in], for each value of the original's input its place in ours.
        end: int64 [n_out], the same for the output.
    """

    spec: ModelSpec
    parameters: Float
    entry: NDArray[np.int64]
    end: NDArray[np.int64]


@dataclass(frozen=True)
class Converted:
    """A file that was written.

    Args:
        file: where it lies.
        sha256: its digest, hex.
        bytes: its size.
        original: sizes of a sample of the original, without the batch.
        sample: sizes of a sample of the new file: height, width, channels; or a number of values.
        outputs: how many.
        loss: cross_entropy where it ends in a softmax, else mse.
        layers: how many.
        parameters: float32 values, all of which can be trained.
        difference: largest one to the original on random samples, of the largest output.
    """

    file: str
    sha256: str
    bytes: int
    original: tuple[int, ...]
    sample: tuple[int, ...]
    outputs: int
    loss: str
    layers: int
    parameters: int
    difference: float


def read_chain(data: bytes, *, softmax: bool = False) -> tuple[Read, tuple[int, ...]]:
    """Read an `.onnx` as layers that the learner knows.

    Args:
        data: the file.
        softmax: put one behind its outputs, which are the logits of classes.

    Returns:
        The layers, and the sizes of a sample of the original.

    Raises:
        MissingExtra: onnx is not installed.
        UnsupportedOperator: the learner does not know a node; its name and why are said.
        ArtifactError: the file is broken.
        UsageError: a softmax is wanted where there is one, or behind one output.
    """
    model = loaded(data)
    try:
        sizes, steps = steps_of(model)
        reader = ChainReader(sizes)
        for step in steps:
            reader.take(step)
    except TinyfleetError:
        raise
    except Exception as error:  # what onnx, protobuf and NumPy raise for values that are broken
        raise ArtifactError(f"the .onnx cannot be read: {str(error)[:200]}") from error
    if not reader.parts:
        raise UnsupportedOperator("the model has no layer with weights: nothing can be trained.")
    if softmax:
        if reader.layers[-1].activation != "linear" or reader.order.size < 2:
            raise UsageError(
                f"--loss softmax came; the model ends in {reader.layers[-1].activation} with "
                f"{reader.order.size} outputs, two logits are least.",
                hint="no --loss",
            )
        reader.softmax(Step("Softmax", "softmax", 0, (None,), 0))
    spec = ModelSpec.of(reader.layers)
    read = Read(spec, spec.join(reader.parts), reader.entry, reader.order.ravel())
    return read, sizes


def convert(brought: Brought, *, name: str, out: Path, softmax: bool = False) -> Converted:
    """Write a float32 `.tflite` into a folder, once its answers are those of the original.

    Args:
        brought: an `.onnx`, or what torch exported.
        name: what the new file calls itself; also that of the file.
        out: the folder; made if it is not there.
        softmax: put one behind the outputs.

    Raises:
        UnsupportedOperator: the learner does not know all of it.
        ArtifactError: the answers differ, onnxruntime refuses the original, or it is broken.
        MissingExtra: onnx or onnxruntime is not installed.
        UsageError: it is a `.tflite`, or what `new_file` refuses.
    """
    if brought.suffix != ".onnx":
        raise UsageError(
            f"{brought.file} is a .tflite already.",
            hint="tinyfleet server export, or --classes N for a tail that is trained",
        )
    file = new_file(brought, out, name, ".tflite")
    read, sizes = read_chain(brought.data, softmax=softmax)
    data = tflite.write(read.spec, read.parameters, name=name)
    difference = _difference(brought.data, data, read, softmax)
    written(file, data)
    artifact = Artifact(data)
    return Converted(
        str(file), artifact.sha256, artifact.size, sizes, artifact.input.shape[1:],
        read.spec.n_out, read.spec.loss, len(read.spec.layers), read.spec.n_parameters,
        difference,
    )  # fmt: skip


def _difference(original: bytes, made: bytes, read: Read, softmax: bool) -> float:
    """Hold the new file against the original on random samples.

    Raises:
        ArtifactError: they differ by more than `TOLERANCE`.
    """
    try:
        reference = runtime.load(original, "onnxruntime")
    except MissingExtra as error:
        raise MissingExtra(
            f"a conversion is checked against the original: {error.message}", hint=error.hint
        ) from error
    x = np.random.default_rng(0).normal(size=(_SAMPLES, read.spec.n_in)).astype(np.float32)
    ours = np.empty_like(x)
    ours[:, read.entry] = x
    try:
        wanted = np.asarray(reference.run(x), np.float64)
    except Exception as error:  # onnxruntime has exception types of its own
        said = " ".join(str(error).split())[:200]
        raise ArtifactError(f"onnxruntime does not run the original: {said}") from error
    if softmax:
        wanted = _softmax(wanted)
    found = OnlineLearner(made).predict_many(ours)[:, read.end]
    largest = float(np.abs(wanted).max(initial=0.0)) if found.shape == wanted.shape else np.nan
    apart = float(np.abs(found - wanted).max()) / (largest or 1.0) if largest >= 0 else np.nan
    if not apart <= TOLERANCE:
        raise ArtifactError(
            f"the answers of the conversion differ from the original's by {apart:.1e} of the "
            f"largest, {TOLERANCE:g} is allowed; nothing was written.",
            hint="--classes N, or --outputs N: a hybrid, for Linux hosts with a runtime",
        )
    return apart


def _softmax(values: NDArray[Any]) -> NDArray[Any]:
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
