"""What the runtimes here, our learner and a board answer to samples, or why they do not."""

import textwrap
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge import runtime
from edge.errors import MissingExtra, TinyfleetError
from server.export.on_board import BoardAnswers, on_board

__all__ = ["Outputs", "asked", "asked_board"]

Outputs = NDArray[np.float64]
_LONGEST = 200


def asked(
    data: bytes, x: NDArray[np.float32], n_out: int, *, infer_only: bool
) -> Iterator[tuple[str, Outputs | str]]:
    """Ask every runtime for the format that works here, and of a `.tflite` our learner last.

    Args:
        data: bytes of a `.tflite` or `.onnx`.
        x: float32 [n, n_in].
        n_out: how many values an answer has.
        infer_only: whether our learner only predicts.

    Yields:
        A name with [n, n_out]; or with the reason why these are no answers.
    """
    for name in runtime.fitting(data):
        try:
            yield name, _outputs(partial(_run, name, data, x), (len(x), n_out))
        except MissingExtra:
            continue
    if runtime.kind_of(data) == "tflite":
        from edge.learner import OnlineLearner

        def ours() -> NDArray[np.float32]:
            return OnlineLearner(data, infer_only=infer_only).predict_many(x)

        yield f"tinyfleet ({OnlineLearner.backend})", _outputs(ours, (len(x), n_out))


def asked_board(data: bytes, x: NDArray[np.float32]) -> tuple[BoardAnswers | str, str]:
    """Ask a board, see `on_board`: what that gives, and why it failed; one of the two is empty."""
    try:
        found = on_board(data, x)
    except Exception as error:  # an emulator has exceptions of its own
        return "", _reason(error)
    if isinstance(found, BoardAnswers) and (wrong := _not_finite(found.outputs)):
        return "", wrong
    return found, ""


def _run(name: str, data: bytes, x: NDArray[np.float32]) -> NDArray[Any]:
    return runtime.load(data, name).run(x)


def _outputs(work: Callable[[], NDArray[Any]], shape: tuple[int, int]) -> Outputs | str:
    try:
        found = np.asarray(work(), np.float64)
    except MissingExtra:
        raise
    except Exception as error:  # each runtime has exception types of its own
        return _reason(error)
    if found.shape != shape:
        return f"it gives {found.shape}, the model {shape}"
    return _not_finite(found) or found


def _not_finite(found: NDArray[Any]) -> str:
    wrong = int((~np.isfinite(found)).any(axis=1).sum())
    return f"NaN or infinity in {wrong} of {len(found)} answers" if wrong else ""


def _reason(error: Exception) -> str:
    said = (
        error.message if isinstance(error, TinyfleetError) else f"{type(error).__name__}: {error}"
    )
    return textwrap.shorten(said, _LONGEST, placeholder=" [...]").rstrip(".")
