"""What was measured of exported files: plain values, and a table of them."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Answer", "FileParity", "Metric", "Parity", "Samples"]


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
        agreement: dB of the runtime that is farthest from the first, the first as the signal.
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
    agreement: float
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
        of: whose they are, in words.
        metric: its name; empty without targets.
        higher_is_better: of the metric.
        reference: the metric of the float64 reference; None without targets.
        largest: largest absolute output of the reference.
        files: one a file.
    """

    samples: int
    of: str
    metric: str
    higher_is_better: bool
    reference: float | None
    largest: float
    files: tuple[FileParity, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values, ready for `json.dumps`."""
        return asdict(self)

    def to_markdown(self) -> str:
        """A table for people."""
        said = f"{self.samples} samples {self.of}".rstrip()
        if self.reference is not None:
            said += f"; the float64 reference has {self.metric} {self.reference:.4f}"
        lines = [
            f"{said}.",
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

    def loss(self, file: FileParity) -> float:
        """Share of the metric that a file loses in its first runtime; below 0 where it gains."""
        after = file.answers[0].metric if file.answers else None
        if self.reference is None or after is None:
            return 0.0
        lost = self.reference - after if self.higher_is_better else after - self.reference
        return lost / max(abs(self.reference), 1e-9)
