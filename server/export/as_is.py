"""Files with int8 layers, such as a hybrid that devices learnt: checked, not made anew."""

from dataclasses import dataclass

import numpy as np

from edge.artifact import Artifact
from edge.budget import requirement
from edge.errors import UsageError
from edge.onnx_file import is_onnx
from server.export.answers import asked, asked_board
from server.export.bounds import INT8_AGREEMENT, SAME, ParityFailed
from server.export.measured import Samples
from server.export.on_board import BOARD, BoardAnswers
from server.export.sqnr import sqnr

__all__ = ["Agreement", "agreement", "kind_of"]


@dataclass(frozen=True)
class Agreement:
    """What all that ran a file made of it.

    Args:
        runtimes: names of those that agree.
        metric: in the first; None without targets.
        board: the emulated one that ran it too; empty where none did.
        instructions: of one prediction there.
        arena: bytes of RAM to predict there.
    """

    runtimes: tuple[str, ...]
    metric: float | None
    board: str = ""
    instructions: int = 0
    arena: int = 0


def kind_of(model: Artifact, name: str) -> str:
    """Hybrid where devices train its end, else int8.

    Raises:
        UsageError: the learner, which firmware has, does not know the whole file.
    """
    if is_onnx(model.data) or model.tail is not model:
        raise UsageError(
            f"{name} is a hybrid whose front only a runtime of a host can run.",
            hint="the file as it is, on Linux hosts: tinyfleet server rollout",
        )
    return "hybrid" if requirement(model).ram_train else "int8"


def agreement(data: bytes, samples: Samples) -> Agreement:
    """Run a file everywhere; there is no float64 model to hold it against.

    Args:
        data: bytes of a `.tflite` that the learner knows.
        samples: what it is tried on.

    Raises:
        ParityFailed: two disagree beyond the bounds of quantised files.
    """
    x, width = samples.x, Artifact(data).output.elements
    found = dict(asked(data, x, width, infer_only=True))
    answers = {name: out for name, out in found.items() if not isinstance(out, str)}
    for name, out in found.items():
        if isinstance(out, str):
            raise ParityFailed(f"{name} fails on the file: {out}.")
    names, (first, *others) = tuple(answers), answers.values()
    ours = [first, *others][-1]
    worst = min((sqnr(first, out) for out in others), default=INT8_AGREEMENT)
    if not worst >= INT8_AGREEMENT:
        raise ParityFailed(
            f"{', '.join(names)} agree to {worst:.1f} dB, at least {INT8_AGREEMENT:.0f} are needed."
        )
    metric = None
    if samples.metric is not None and samples.y is not None:
        metric = float(samples.metric.measure(first.astype(np.float32), samples.y))
    board, failed = asked_board(data, x)
    if failed:
        raise ParityFailed(f"firmware on {BOARD} fails on the file: {failed}.")
    if not isinstance(board, BoardAnswers):
        return Agreement(names, metric)
    count = len(board.outputs)
    apart = float(np.abs(board.outputs - ours[:count]).max())
    if not apart <= SAME * float(np.abs(ours).max()):
        raise ParityFailed(f"{board.board} and this machine differ by {apart:.3g}.")
    names += (f"firmware on {board.board}, {count} samples",)
    return Agreement(names, metric, board.board, board.instructions, board.arena)
