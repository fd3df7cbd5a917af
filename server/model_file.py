"""Read a model file that a user named; which format it has, its content says."""

from pathlib import Path
from typing import Literal

from edge.artifact import Artifact
from edge.errors import ArtifactError, UsageError
from edge.onnx_file import is_onnx

__all__ = ["Format", "model_bytes", "read_model", "to_tflite"]

Format = Literal[".tflite", ".onnx"]
_NAMES: dict[str, str] = {".tflite": "a .tflite model", ".onnx": "an ONNX model"}


def model_bytes(path: Path) -> tuple[bytes, Format]:
    """The bytes of a model file, and the format that they have.

    A name need not say a format, and case does not matter; it must not say another one.

    Args:
        path: the file.

    Raises:
        UsageError: the file cannot be read.
        ArtifactError: it is neither, or its name says the other format.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"cannot read {path}: {error.strerror}.", hint="the path of a .tflite or .onnx file"
        ) from error
    if data[4:8] != b"TFL3" and not is_onnx(data):
        raise ArtifactError(
            f"{path} is no .tflite model, and no .onnx.", hint="a .tflite or .onnx file"
        )
    found: Format = ".onnx" if is_onnx(data) else ".tflite"
    said = path.suffix.lower()
    if said in _NAMES and said != found:
        raise ArtifactError(
            f"{path} is {_NAMES[found]} under a name that ends in {path.suffix}.",
            hint=f"rename it to {path.stem}{found}",
        )
    return data, found


def to_tflite(path: Path) -> str:
    """The command that makes a `.tflite` of an `.onnx`, where the learner knows its layers."""
    return f"tinyfleet server import {path} --to tflite"


def read_model(path: Path, *, onnx: bool = False) -> Artifact:
    """The artefact in a file.

    Args:
        path: the file.
        onnx: an `.onnx` will do, too, such as a hybrid of a model of others.

    Raises:
        UsageError: the file cannot be read.
        ArtifactError: it is no `.tflite`, or a broken one; or its name says another format.
    """
    data, found = model_bytes(path)
    if found == ".onnx" and not onnx:
        raise ArtifactError(
            f"{path} is an ONNX model, a .tflite is needed.",
            hint=to_tflite(path),
        )
    try:
        return Artifact(data)
    except ArtifactError as error:
        raise ArtifactError(f"{path}: {error.message}", hint=error.hint) from error
