"""Read a model file that a user named; what it is, where it is no `.tflite`, is said by name."""

from pathlib import Path

from edge.artifact import Artifact
from edge.errors import ArtifactError, UsageError

__all__ = ["read_model"]

_IDENTIFIER = b"TFL3"
_IR_VERSION = b"\x08"  # the first field of an ONNX file, as protobuf writes it


def read_model(path: Path, *, onnx: bool = False) -> Artifact:
    """The artefact in a file.

    Args:
        path: the file.
        onnx: an `.onnx` will do, too, such as a hybrid of a model of others.

    Raises:
        UsageError: the file cannot be read.
        ArtifactError: it is no `.tflite`, or a broken one.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"cannot read {path}: {error.strerror}.", hint="the path of a .tflite file"
        ) from error
    if data[4:8] != _IDENTIFIER:
        if onnx and data.startswith(_IR_VERSION):
            return _artifact(path, data)
        if path.suffix.lower() == ".onnx" or data.startswith(_IR_VERSION):
            raise ArtifactError(
                f"{path} is an ONNX model, a .tflite is needed.",
                hint="tinyfleet server export MODEL --to tflite, of the model it was made from",
            )
        raise ArtifactError(f"{path} is no .tflite model.", hint="a .tflite file")
    return _artifact(path, data)


def _artifact(path: Path, data: bytes) -> Artifact:
    try:
        return Artifact(data)
    except ArtifactError as error:
        raise ArtifactError(f"{path}: {error.message}", hint=error.hint) from error
