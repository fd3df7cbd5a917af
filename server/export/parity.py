"""Hold exported files against the float64 reference in every runtime that works here."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge import runtime
from edge.errors import ArtifactError
from edge.spec import ModelSpec
from server.export.layers import layer_sqnr
from server.export.on_board import BoardAnswers, on_board
from server.export.reference import forward
from server.export.sqnr import sqnr

__all__ = ["Answer", "FileParity", "Parity", "ParityFailed", "report", "require"]

FLOAT_TOLERANCE = 1e-4
"""Largest relative difference of a float32 file from the reference."""
INT8_SQNR = 20.0
"""Smallest signal-to-quantisation-noise ratio of an int8 file, dB."""


SAME = 1e-6
"""Largest relative difference of a board from our learner on this machine."""
_FIRMWARE = "firmware on "


class ParityFailed(ArtifactError):
    """A runtime answers something else than the model that was exported."""


@dataclass(frozen=True)
class Answer:
    """What one runtime made of one file.

    Args:
        runtime: its name.
        sqnr: dB against the reference, at most 200.
        worst: largest absolute difference from the reference.
        metric: of the task, on the same samples.
    """

    runtime: str
    sqnr: float
    worst: float
    metric: float | None


@dataclass(frozen=True)
class FileParity:
    """One file: its bytes, its digest, and every runtime's answer.

    Args:
        file: its name.
        int8: whether it is quantised, all of it or as a hybrid.
        bytes: its size.
        sha256: hex.
        answers: one a runtime.
        spread: largest difference between two runtimes.
        board: the emulated board that ran it too, or why none did; empty: not for boards.
        instructions: of one prediction there, link included; 0 where there was none.
        arena: bytes of RAM to predict there.
        apart: largest difference of the board's answers from those of our learner here.
        layers: SQNR after each layer of a quantised file, dB.
    """

    file: str
    int8: bool
    bytes: int
    sha256: str
    answers: tuple[Answer, ...]
    spread: float
    board: str = ""
    instructions: int = 0
    arena: int = 0
    apart: float = 0.0
    layers: tuple[tuple[str, float], ...] = ()

    @property
    def sqnr(self) -> float:
        """The worst over the runtimes, dB."""
        return min(answer.sqnr for answer in self.answers)


@dataclass(frozen=True)
class Parity:
    """All files of one model.

    Args:
        samples: how many inputs were tried.
        metric: accuracy or mse.
        reference: the metric of the float64 reference; None without targets.
        largest: largest absolute output of the reference.
        files: one a file.
    """

    samples: int
    metric: str
    reference: float | None
    largest: float
    files: tuple[FileParity, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values, ready for `json.dumps`."""
        return asdict(self)

    def to_markdown(self) -> str:
        """A table for people."""
        known = self.reference is not None
        lines = [
            f"{self.samples} samples; the float64 reference has {self.metric} {self.reference:.4f}."
            if known
            else f"{self.samples} samples.",
            "",
            f"| file | bytes | runtime | SQNR dB | worst difference | {self.metric} |",
            "|---|---|---|---|---|---|",
        ]
        for file in self.files:
            for one in file.answers:
                metric = "" if one.metric is None else f"{one.metric:.4f}"
                lines.append(
                    f"| {file.file} | {file.bytes} | {one.runtime} | {one.sqnr:.1f} "
                    f"| {one.worst:.2g} | {metric} |"
                )
        return "\n".join(lines) + "\n"


def report(
    spec: ModelSpec,
    parameters: NDArray[np.float32],
    files: Mapping[str, bytes],
    x: NDArray[np.float32],
    y: NDArray[np.float32] | None = None,
    metric: str = "accuracy",
    *,
    made_from: Mapping[str, NDArray[np.float32]] | None = None,
    check: bool = True,
) -> Parity:
    """Run files in all runtimes that work here and in our learner.

    Args:
        spec: the architecture that was exported.
        parameters: float32 [spec.n_parameters].
        files: name to content; `.f32.` in a name marks one that is not quantised.
        x: float32 [n, n_in].
        y: targets for the metric: [n] or [n, 1] class indices (accuracy), [n, n_out] (mse).
        metric: accuracy or mse.
        made_from: parameters of a file by its name, where they are others of the same model; what
            its layers lose is held against these.
        check: raise where a bound is broken.

    Raises:
        ParityFailed: no runtime runs a file, a float file is off by more than 1e-4
            (relative to the largest output), or an int8 file is below 20 dB.
    """
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
    found = Parity(len(x), metric, _measure(metric, expected, y), largest, parts)
    if check:
        require(found)
    return found


def require(found: Parity) -> None:
    """Raise ParityFailed where a file breaks its bound; see `report`."""
    for part in found.files:
        _check(part, max(1.0, found.largest))


def _file(
    name: str,
    data: bytes,
    x: NDArray[np.float32],
    y: NDArray[np.float32] | None,
    metric: str,
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
                f"{_FIRMWARE}{board.board}, {n} samples",
                sqnr(expected[:n], out),
                float(np.abs(out - expected[:n]).max()),
                _measure(metric, out, None if y is None else y[:n]),
            ),
        )
    stack = np.stack([*outputs.values()]) if outputs else np.zeros((1, 1, 1))
    spread = float((stack.max(axis=0) - stack.min(axis=0)).max())
    sha, quantised = hashlib.sha256(data).hexdigest(), ".f32." not in name
    if isinstance(board, str):
        return FileParity(name, quantised, len(data), sha, answers, spread, board)
    return FileParity(
        name, quantised, len(data), sha, answers, spread,
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


def _measure(metric: str, out: NDArray[np.float64], y: NDArray[np.float32] | None) -> float | None:
    if y is None:
        return None
    if metric == "accuracy":
        return float((out.argmax(axis=1) == y.reshape(-1)).mean())
    return float(((out - y.reshape(out.shape)) ** 2).mean())


def _check(part: FileParity, size: float) -> None:
    if not part.answers:
        raise ParityFailed(f"nothing here runs {part.file}.", hint="tinyfleet doctor")
    if not part.apart <= SAME * size:
        raise ParityFailed(
            f"{part.board} and this machine differ by {part.apart:.3g} on {part.file}.",
            hint="an issue with the file: this is a fault",
        )
    for one in part.answers:
        if one.runtime.startswith(_FIRMWARE):
            continue  # of fewer samples; it is held against our learner, which has them all
        if not part.int8 and not one.worst <= FLOAT_TOLERANCE * size:
            raise ParityFailed(f"{one.runtime} is off by {one.worst:.3g} on {part.file}.")
        if part.int8 and not one.sqnr >= INT8_SQNR:
            raise ParityFailed(
                f"{one.runtime} has {one.sqnr:.1f} dB on {part.file}, at least "
                f"{INT8_SQNR:.0f} are needed.",
                hint="more calibration samples, of the kind the device will see",
            )
