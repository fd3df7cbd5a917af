"""Models that come with the package: small, and made by the command named in README.md."""

from pathlib import Path

from edge.errors import UsageError

__all__ = ["MODELS", "model"]

FOLDER = Path(__file__).parent
MODELS = ("characters", "digits", "keywords", "sine")
"""Their names."""


def model(name: str) -> bytes:
    """The `.tflite` of one of `MODELS`.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in MODELS:
        raise UsageError(f"no model {name!r} comes with tinyfleet.", hint=", ".join(MODELS))
    return (FOLDER / f"{name}.tflite").read_bytes()
