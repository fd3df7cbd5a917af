"""Hold exported files against the float64 reference in every runtime that works here."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edge import runtime
from edge.spec import ModelSpec
from server.export.bounds import FIRMWARE, require
from server.export.layers import layer_sqnr
from server.export.measured import Answer, FileParity, Metric, Parity, Samples
from server.export.on_board import BoardAnswers, on_board
from server.export.reference import forward
from server.export.sqnr import CEILING, sqnr

__all__ = ["report"]


def report(
    spec: ModelSpec,
    parameters: NDArray[np.float32],
    files: Mapping[str, bytes],
    samples: Samples,
    *,
    made_from: Mapping[str, NDArray[np.float32]] | None = None,
    check: bool = True,
) -> Parity:
    """Run files in all runtimes that work here and in our learner.

    Args:
        spec: the architecture that was exported.
        parameters: float32 [spec.n_parameters].
        files: name to content; `.f32.` in a name marks one that is not quantised.
        samples: what to try, and what to measure.
        made_from: parameters of a file by its name, where they are others of the same model; what
            its layers lose is held against these.
        check: raise where a bound is broken.

    Raises:
        ParityFailed: a bound of `server.export.bounds` is broken.
    """
    x, y, metric = samples.x, samples.y, samples.metric
    expected = forward(spec, parameters, x)
    parts = tuple(
        _with_layers(
            _file(name, data, x, y, metric, expected),
            data,
            spec,
            (made_from or {}).get(name, parameters),
            x,
        )
        for name, data in files.items()
    )
    largest = float(np.abs(expected).max())
    reference = _measure(metric, expected, y)
    name, higher = (
        (metric.name, metric.higher_is_better) if metric and y is not None else ("", True)
    )
    found = Parity(len(x), samples.of, name, higher, reference, largest, parts)
    if check:
        require(found)
    return found


def _file(
    name: str,
    data: bytes,
    x: NDArray[np.float32],
    y: NDArray[np.float32] | None,
    metric: Metric | None,
    expected: NDArray[np.float64],
) -> FileParity:
    outputs = {one.name: one.run(x).astype(np.float64) for one in runtime.available(data)}
    board: BoardAnswers | str = ""
    if name.endswith(".tflite"):
        outputs |= _ours(data, x, int8=".int8." in name)
        board = on_board(data, x)
    answers = tuple(
        Answer(
            who,
            sqnr(expected, out),
            float(np.abs(out - expected).max()),
            _measure(metric, out, y),
        )
        for who, out in outputs.items()
    )
    apart = 0.0
    if isinstance(board, BoardAnswers):
        n, out = len(board.outputs), board.outputs.astype(np.float64)
        apart = float(np.abs(out - next(reversed(outputs.values()))[:n]).max())
        answers += (
            Answer(
                f"{FIRMWARE}{board.board}, {n} samples",
                sqnr(expected[:n], out),
                float(np.abs(out - expected[:n]).max()),
                _measure(metric, out, None if y is None else y[:n]),
            ),
        )
    stack = np.stack([*outputs.values()]) if outputs else np.zeros((1, 1, 1))
    spread = float((stack.max(axis=0) - stack.min(axis=0)).max())
    first, *others = [*outputs.values()] or [np.zeros(0)]
    agreement = min((sqnr(first, out) for out in others), default=CEILING)
    sha, quantised = hashlib.sha256(data).hexdigest(), ".f32." not in name
    if isinstance(board, str):
        return FileParity(name, quantised, len(data), sha, answers, spread, agreement, board)
    return FileParity(
        name, quantised, len(data), sha, answers, spread, agreement,
        board.board, board.instructions, board.arena, apart,
    )  # fmt: skip


def _with_layers(
    part: FileParity,
    data: bytes,
    spec: ModelSpec,
    parameters: NDArray[np.float32],
    x: NDArray[np.float32],
) -> FileParity:
    if not part.int8 or not part.file.endswith(".tflite"):
        return part
    return replace(part, layers=tuple(layer_sqnr(data, spec, parameters, x)))


def _ours(data: bytes, x: NDArray[np.float32], *, int8: bool) -> dict[str, NDArray[np.float64]]:
    from edge.learner import OnlineLearner

    learner = OnlineLearner(data, infer_only=int8)
    return {f"tinyfleet ({learner.backend})": learner.predict_many(x).astype(np.float64)}


def _measure(
    metric: Metric | None, out: NDArray[np.float64], y: NDArray[np.float32] | None
) -> float | None:
    if metric is None or y is None:
        return None
    return float(metric.measure(out.astype(np.float32), y))
