"""Bring a model of others: read it, say what is in it, and what its new tail is to be."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge.artifact import Artifact
from edge.errors import UsageError
from server.bring.tail import Tail
from server.bring.torch_module import is_module, module_onnx
from server.model_file import Format, model_bytes

if TYPE_CHECKING:
    from ontology.describe.model import ModelFacts

__all__ = ["Brought", "bring", "facts_in", "hybrid_name", "model_name", "tail_of_options"]


@dataclass(frozen=True)
class Brought:
    """A foreign model as it came.

    Args:
        facts: what it says of itself.
        data: its bytes.
        suffix: `.tflite` or `.onnx`, as its content says.
        file: where it lies; None: made by a torch module.
    """

    facts: "ModelFacts"
    data: bytes
    suffix: Format
    file: Path | None = None


def bring(source: str, input_shape: Sequence[int] = ()) -> Brought:
    """Read and describe a model.

    Args:
        source: a `.tflite` or `.onnx`; or FILE.py:FUNCTION, which gives a torch module.
        input_shape: of that module's input, the batch first.

    Raises:
        UsageError: it cannot be read, or a shape came with a file that states its own.
        MissingExtra: a package that is needed for the format is not installed.
        ArtifactError: it is broken or no model, or its name says another format.
    """
    if is_module(source):
        exported = module_onnx(source, input_shape)
        return Brought(facts_in(exported, ".onnx"), exported, ".onnx")
    if input_shape:
        raise UsageError(
            f"--input-shape is that of a torch module; {source} states its own.",
            hint="no --input-shape, or FILE.py:FUNCTION",
        )
    file = Path(source)
    if file.suffix == ".py":
        raise UsageError(f"{source} came without a function.", hint=f"{source}:FUNCTION")
    data, found = model_bytes(file)
    return Brought(facts_in(data, found), data, found, file)


def model_name(source: str) -> str:
    """What a model is called: the name of its file without the ending, or of its function."""
    return source.rpartition(":")[2] if is_module(source) else Path(source).stem


def hybrid_name(source: str) -> str:
    """What its hybrid is called where nothing else was asked for."""
    return f"{model_name(source)}-hybrid"


def facts_in(data: bytes, suffix: Format) -> "ModelFacts":
    """What the bytes of a model say of themselves.

    Raises:
        MissingExtra: an `.onnx` came, and onnx is not installed.
        ArtifactError: they are broken.
    """
    if suffix == ".onnx":
        from server.describe_onnx import onnx_facts

        return onnx_facts(data)
    from ontology.describe.model import ModelFacts

    return ModelFacts.of(Artifact(data))


def tail_of_options(
    classes: int | None, outputs: int | None, loss: str | None, **others: object
) -> Tail | None:
    """The tail that options ask for; None: they ask for none.

    Args:
        classes: how many classes; a softmax follows.
        outputs: how many values; nothing follows.
        loss: softmax or mse, to say so once more.
        others: further fields of `Tail`.

    Raises:
        UsageError: both, or a loss that does not go with them.
    """
    if classes is not None and outputs is not None:
        raise UsageError("both --classes and --outputs came, one of them says what is learnt.")
    if classes is None and outputs is None:
        if loss is not None:
            raise UsageError(f"--loss {loss} came alone.", hint="--classes N, or --outputs N")
        return None
    fitting = "softmax" if classes is not None else "mse"
    if loss not in (None, fitting):
        wanted = "--classes" if classes is not None else "--outputs"
        raise UsageError(f"--loss {loss} came with {wanted}, which has {fitting}.")
    return Tail(classes or outputs or 0, classes=classes is not None, **others)  # type: ignore[arg-type]
