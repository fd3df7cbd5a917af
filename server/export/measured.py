"""What was measured of exported files: plain values."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.export.ranges import Ranges
from server.export.sqnr import FLOOR
from server.finite import finite

__all__ = [
    "Answer",
    "Counted",
    "FileParity",
    "Learning",
    "Metric",
    "Parity",
    "Ratio",
    "Samples",
]


@dataclass(frozen=True)
class Metric:
    """What a task is measured by.

    Args:
        name: such as accuracy or mse.
        measure: of outputs [n, n_out] and targets as the task gives them.
        higher_is_better: whether more is better.
    """

    name: str
    measure: Callable[[NDArray[np.float32], NDArray[np.float32]], float]
    higher_is_better: bool


@dataclass(frozen=True)
class Samples:
    """What files are tried on.

    Args:
        x: float32 [n, n_in].
        y: targets as the metric wants them; None: nothing is measured.
        metric: of the task; None: nothing is measured.
        of: whose they are, in words.
    """

    x: NDArray[np.float32]
    y: NDArray[np.float32] | None = None
    metric: Metric | None = None
    of: str = ""


@dataclass(frozen=True)
class Answer:
    """What one runtime made of one file.

    Args:
        runtime: its name.
        sqnr: dB against the reference, from -200 to 200.
        worst: largest absolute difference from the reference; infinite where there is none.
        metric: of the task, on the same samples; None without targets, and of a board.
        board: an emulated board, on the first samples only.
        failed: why it is no answer: the runtime failed, or gave NaN or infinity; empty: it is one.
    """

    runtime: str
    sqnr: float
    worst: float
    metric: float | None = None
    board: bool = False
    failed: str = ""


@dataclass(frozen=True)
class Counted:
    """Instructions on an emulated board, without the link.

    Args:
        board: its name.
        instructions: exact, mean over a few samples; 0 where none were counted.
        why: why none were counted; empty: they were.
    """

    board: str
    instructions: int = 0
    why: str = ""


@dataclass(frozen=True)
class Learning:
    """What of a file learns on a board, and what that takes.

    Args:
        layers: how many layers with weights, from the end, can learn.
        weighted: how many layers with weights there are.
        arena: bytes of RAM to learn, of the same kind as `FileParity.arena`; 0: nothing learns.
        step: one SGD step on one sample.
    """

    layers: int
    weighted: int
    arena: int
    step: Counted

    @property
    def what(self) -> str:
        """All layers, the last n layers, or nothing."""
        if not self.layers:
            return "nothing"
        if self.layers == self.weighted:
            return "all layers"
        return "the last layer" if self.layers == 1 else f"the last {self.layers} layers"


@dataclass(frozen=True)
class FileParity:
    """One file: its bytes, its digest, and every runtime's answer.

    Args:
        file: its name.
        int8: whether it is quantised, all of it or as a hybrid.
        bytes: size of the model, what it takes of flash; of a header: of the `.tflite` in it.
        sha256: hex, of the same bytes.
        answers: one a runtime.
        spread: largest difference between two runtimes.
        agreement: dB of the runtime that is farthest from the first, the first as the signal; None
            where fewer than two answered.
        board: the emulated board that ran it too, or why none did; empty: not for boards.
        instructions: of one prediction there, without the link; 0 where there was none.
        arena: bytes of RAM that the model takes there to predict: the learner's arena, the table
            of layers and one sample.
        apart: largest difference of the board's answers from those of our learner here.
        layers: SQNR after each layer of a quantised `.tflite`, dB.
        header: name of the header that holds the same bytes; empty: none was written beside it.
        learning: what of it learns on that board; None where none ran it.
        without_fpu: a prediction on a board without floating-point unit; None as well.
    """

    file: str
    int8: bool
    bytes: int
    sha256: str
    answers: tuple[Answer, ...]
    spread: float = 0.0
    agreement: float | None = None
    board: str = ""
    instructions: int = 0
    arena: int = 0
    apart: float = 0.0
    layers: tuple[tuple[str, float], ...] = ()
    header: str = ""
    learning: Learning | None = None
    without_fpu: Counted | None = None

    @property
    def metric(self) -> float | None:
        """Of the first runtime that answers; None where nothing is measured."""
        return next((one.metric for one in self.answers if one.metric is not None), None)

    @property
    def on_all(self) -> list[Answer]:
        """Answers on all samples: those of the runtimes, and not of a board."""
        return [answer for answer in self.answers if not answer.board]

    @property
    def sqnr(self) -> float:
        """The worst over the runtimes, dB; -200 where none is here."""
        return min((answer.sqnr for answer in self.on_all), default=FLOOR)


@dataclass(frozen=True)
class Ratio:
    """What a file takes, over what the float32 file of the same format and export takes.

    Args:
        of: name of that file.
        bytes: of flash.
        instructions: of a prediction; None where no board ran both.
        arena: of RAM; None as well.
        without_fpu: of a prediction on a board without floating-point unit; None as well.
    """

    of: str
    bytes: float
    instructions: float | None = None
    arena: float | None = None
    without_fpu: float | None = None


@dataclass(frozen=True)
class Parity:
    """All files of one model.

    Args:
        samples: how many inputs were tried.
        of: whose they are, in words.
        metric: its name; empty without targets.
        higher_is_better: of the metric.
        reference: the metric of the float64 reference; None without targets.
        largest: largest absolute output of the reference.
        files: one a file.
        options: how the files were made, by name.
        ranges: how the samples lie in the ranges of the int8 tensors; None without such.
    """

    samples: int
    of: str
    metric: str
    higher_is_better: bool
    reference: float | None
    largest: float
    files: tuple[FileParity, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    ranges: Ranges | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values, ready for `json.dumps`; numbers that are not finite become None."""
        found: dict[str, Any] = finite(asdict(self))
        for part, entry in zip(self.files, found["files"], strict=True):
            ratio = self.ratio(part)
            entry["ratio"] = None if ratio is None else finite(asdict(ratio))
            entry["change"] = self.change(part)
        return found

    def ratio(self, file: FileParity) -> Ratio | None:
        """A quantised file beside its float32 one; None where that was not exported."""
        names = {part.file: part for part in self.files if not part.int8}
        stem, _, ending = file.file.rsplit(".", 2)
        exact = names.get(f"{stem}.f32.{ending}")
        if not file.int8 or exact is None:
            return None
        if not (file.instructions and exact.instructions):
            return Ratio(exact.file, file.bytes / exact.bytes)
        return Ratio(
            exact.file,
            file.bytes / exact.bytes,
            file.instructions / exact.instructions,
            file.arena / exact.arena,
            _over(file.without_fpu, exact.without_fpu),
        )

    def change(self, file: FileParity) -> float | None:
        """How far the metric is above (+) or below that of float64, as a share of that."""
        if self.reference is None or file.metric is None:
            return None
        return (file.metric - self.reference) / max(abs(self.reference), 1e-9)

    def loss(self, file: FileParity) -> float:
        """Share of the metric that is lost; below 0 where there is a gain."""
        change = self.change(file) or 0.0
        return -change if self.higher_is_better else change


def _over(one: Counted | None, other: Counted | None) -> float | None:
    if not (one and other and one.instructions and other.instructions):
        return None
    return one.instructions / other.instructions
