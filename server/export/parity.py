"""Hold exported files against the float64 reference in every runtime that works here."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edge import runtime
from edge.spec import ModelSpec
from server.export.answers import Outputs, asked, asked_board
from server.export.bounds import require
from server.export.counted import learning, without_fpu
from server.export.layers import layer_sqnr
from server.export.measured import Answer, FileParity, Parity, Samples
from server.export.on_board import BOARD, BoardAnswers
from server.export.reference import forward
from server.export.sqnr import FLOOR, sqnr

__all__ = ["report"]

Floats = NDArray[np.float32]


def report(
    spec: ModelSpec,
    parameters: Floats,
    files: Mapping[str, bytes],
    samples: Samples,
    *,
    made_from: Mapping[str, Floats] | None = None,
    check: bool = True,
) -> Parity:
    """Run files in all runtimes that work here, in our learner, and on a board.

    Args:
        spec: the architecture that was exported.
        parameters: float32 [spec.n_parameters].
        files: name to the bytes of a `.tflite` or `.onnx`, which a header may hold; `.f32.` in a
            name marks one that is not quantised.
        samples: what to try, and what to measure.
        made_from: parameters of a file by its name, where they are others of the same model; what
            its layers lose is held against these.
        check: raise where a bound is broken.

    Raises:
        ParityFailed: a bound of `server.export.bounds` is broken.
    """
    expected = forward(spec, parameters, samples.x)
    made_from = made_from or {}
    parts = tuple(
        _of_file(name, data, spec, made_from.get(name, parameters), samples, expected)
        for name, data in files.items()
    )
    reference, metric = _measure(samples, expected), samples.metric
    found = Parity(
        len(samples.x),
        samples.of,
        metric.name if metric and reference is not None else "",
        metric.higher_is_better if metric else True,
        reference,
        float(np.abs(expected).max()),
        parts,
    )
    if check:
        require(found)
    return found


def _of_file(
    name: str, data: bytes, spec: ModelSpec, parameters: Floats, samples: Samples, expected: Outputs
) -> FileParity:
    given = dict(asked(data, samples.x, expected.shape[1], infer_only=".int8." in name))
    outputs = [out for out in given.values() if not isinstance(out, str)]
    part = FileParity(
        name,
        ".f32." not in name,
        len(data),
        hashlib.sha256(data).hexdigest(),
        tuple(_answer(who, out, samples, expected) for who, out in given.items()),
        _spread(outputs),
        min((sqnr(outputs[0], out) for out in outputs[1:]), default=None),
    )
    if runtime.kind_of(data) != "tflite":
        return part
    _, ours = given.popitem()
    failed = any(one.failed for one in part.answers)
    part = _with_board(part, data, samples, expected, ours)
    if failed or not part.int8:
        return part
    return replace(part, layers=tuple(layer_sqnr(data, spec, parameters, samples.x)))


def _answer(who: str, out: Outputs | str, samples: Samples, expected: Outputs) -> Answer:
    if isinstance(out, str):
        return Answer(who, FLOOR, math.inf, failed=out)
    worst = float(np.abs(out - expected).max())
    return Answer(who, sqnr(expected, out), worst, _measure(samples, out))


def _spread(outputs: list[Outputs]) -> float:
    if not outputs:
        return 0.0
    stack = np.stack(outputs)
    return float((stack.max(axis=0) - stack.min(axis=0)).max())


def _with_board(
    part: FileParity, data: bytes, samples: Samples, expected: Outputs, ours: Outputs | str
) -> FileParity:
    found, failed = asked_board(data, samples.x)
    if failed:
        answer = Answer(f"firmware on {BOARD}", FLOOR, math.inf, board=True, failed=failed)
        return replace(part, answers=(*part.answers, answer), board=BOARD)
    if not isinstance(found, BoardAnswers):
        return replace(part, board=found)
    n, out = len(found.outputs), found.outputs.astype(np.float64)
    answer = Answer(
        f"firmware on {found.board}, {n} samples",
        sqnr(expected[:n], out),
        float(np.abs(out - expected[:n]).max()),
        board=True,
    )
    return replace(
        part,
        answers=(*part.answers, answer),
        board=found.board,
        instructions=found.instructions,
        arena=found.arena,
        apart=0.0 if isinstance(ours, str) else float(np.abs(out - ours[:n]).max()),
        learning=learning(data, samples),
        without_fpu=without_fpu(data, samples.x),
    )


def _measure(samples: Samples, out: Outputs) -> float | None:
    if samples.metric is None or samples.y is None:
        return None
    return float(samples.metric.measure(out.astype(np.float32), samples.y))
