"""A `torch.nn.Module` as an `.onnx`: made by a function of the user's, exported by torch."""

import io
import warnings
from collections.abc import Sequence

from edge.errors import ArtifactError, MissingExtra, UsageError
from server.bring.user_code import running
from server.export.onnx import IR_VERSION, OPSET

__all__ = ["is_module", "module_onnx"]


def is_module(text: str) -> bool:
    """Whether a text is FILE.py:FUNCTION."""
    return ".py:" in text


def module_onnx(text: str, shape: Sequence[int]) -> bytes:
    """Run the function, and export the module it gives.

    The file is Python and is executed: only give one that you trust. The module is exported by
    tracing it once with zeros, in its evaluation mode; control flow that depends on values is
    frozen as it went for them. It takes one float32 tensor and gives one.

    Args:
        text: FILE.py:FUNCTION; the function takes no arguments.
        shape: of the input, the batch first; the batch may be any in the file.

    Returns:
        An `.onnx` with opset 17.

    Raises:
        MissingExtra: torch or onnx is not installed.
        UsageError: no such file or function, it fails, or it gives no module.
        ArtifactError: torch cannot export the module.
    """
    try:
        import onnx
        import torch
    except ImportError as error:
        raise MissingExtra(
            f"a torch module needs torch and onnx; {error.name} is not installed.",
            hint="pip install 'tinyfleet[meta,server]'",
        ) from None
    if len(shape) < 2 or min(shape) < 1:
        raise UsageError(
            f"--input-shape {','.join(map(str, shape)) or 'is missing'}"
            f"{' came' if shape else ''}: the sizes of one input are needed, the batch first.",
            hint="--input-shape, such as 1,8 or 1,3,32,32",
        )
    buffer = io.BytesIO()
    with running(text) as factory:
        module = factory()
        if not isinstance(module, torch.nn.Module):
            raise UsageError(f"{text} gave {type(module).__name__}, a torch.nn.Module is needed.")
        try:
            with warnings.catch_warnings(), torch.no_grad():
                warnings.simplefilter("ignore")  # the exporter without onnxscript calls itself old
                torch.onnx.export(
                    module.eval().float(),
                    (torch.zeros(*shape),),
                    buffer,
                    dynamo=False,
                    opset_version=OPSET,
                    input_names=["x"],
                    output_names=["y"],
                    dynamic_axes={"x": {0: "batch"}, "y": {0: "batch"}},
                )
        except Exception as error:  # torch and the module raise what they like
            said = " ".join(str(error).split())[:200]
            raise ArtifactError(f"torch cannot export {text}: {said}") from error
    model = onnx.load_from_string(buffer.getvalue())
    model.ir_version = IR_VERSION
    return bytes(model.SerializeToString(deterministic=True))
