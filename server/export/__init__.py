"""Export: from parameters to `.tflite` and `.onnx` files, and the proof that they agree."""

from typing import Any

__all__ = ["Exported", "export_all"]


def __getattr__(name: str) -> Any:
    """Load the heavy part when it is asked for, and not before."""
    if name in __all__:
        from server.export import files

        return getattr(files, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
