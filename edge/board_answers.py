"""What a board answers, as values and as an error."""

from dataclasses import dataclass

from edge.board_words import HINTS, MEANINGS, Op, Status
from edge.errors import TinyfleetError

__all__ = [
    "BoardError",
    "BoardEvaluation",
    "BoardInfo",
    "BoardTraining",
    "status_name",
]


def status_name(status: int) -> str:
    """Short name of a status, such as `ARENA`."""
    return Status(status).name if status in set(Status) else f"status {status}"


class BoardError(TinyfleetError):
    """A board refused a request, or did not answer.

    Attributes:
        status: why, such as `Status.ARENA`.
        reason: its name, such as `ARENA`.
        needed: bytes needed; 0 where it is not about bytes.
        available: bytes there.
    """

    def __init__(self, op: Op, status: int, *, needed: int = 0, available: int = 0) -> None:
        self.status = status
        self.reason = status_name(status)
        self.needed = needed
        self.available = available
        meaning = MEANINGS.get(status, "unknown reason")
        text = f"{op.name} refused ({self.reason}): {meaning}"
        if needed or available:
            text += f" ({needed} bytes needed, {available} available)"
        super().__init__(text, hint=HINTS.get(status, ""))


@dataclass(frozen=True)
class BoardInfo:
    """Answer to HELLO. Sizes in bytes; the model's figures are 0 and `active` None without one.

    Args:
        protocol: version of the link protocol.
        firmware: version of the firmware.
        core: core the image was built for, such as `m4f`.
        board: id of the board.
        arena: RAM for the learner and one sample.
        slot: longest artefact that fits into a flash slot.
        active: SHA-256 of the running artefact, in hex.
        dropped: frames the board has dropped since reset.
        peak_stack: most stack used since reset.
        n_in: inputs of the running model.
        n_out: outputs of the running model.
        parameters: trained float32 values, as laid out now; 0 if it can only predict.
        arena_train: what learning needs of the arena, without the sample's
            `4 * (n_in + target + n_out)` bytes.
        arena_infer: what predicting needs of it.
        can_train: whether the running model is laid out for training.
        saved: whether flash holds what the running model has learnt.
        update: status of the last update, such as `Status.SELF_TEST`; 0: it went well, or there
            was none since reset. `Status.CRASHED`: the board came back with the model before.
    """

    protocol: int
    firmware: int
    core: str
    board: str
    arena: int
    slot: int
    active: str | None
    dropped: int
    peak_stack: int
    n_in: int = 0
    n_out: int = 0
    parameters: int = 0
    arena_train: int = 0
    arena_infer: int = 0
    can_train: bool = False
    saved: bool = False
    update: int = 0


@dataclass(frozen=True)
class BoardTraining:
    """Answer to TRAIN.

    Args:
        learnt: samples learnt.
        loss_first: loss of the first of them, before its step.
        loss_mean: mean of the losses.
        loss_last: loss of the last.
        unlabelled: samples without a target, which were predicted only.
    """

    learnt: int
    loss_first: float
    loss_mean: float
    loss_last: float
    unlabelled: int = 0


@dataclass(frozen=True)
class BoardEvaluation:
    """Answer to EVALUATE: mean loss (NaN for an int8 classifier), right answers, samples.

    There are 0 right answers in a regression.
    """

    loss_mean: float
    correct: int
    samples: int
