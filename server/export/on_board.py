"""What our firmware on an emulated board makes of an exported file."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.artifact import Artifact
from edge.board_protocol import BoardClient
from edge.budget import check_fits, requirement
from edge.errors import DoesNotFit, MissingExtra

__all__ = ["BOARD", "BoardAnswers", "on_board"]

BOARD = "nano33ble"
SAMPLES = 20


@dataclass(frozen=True)
class BoardAnswers:
    """A board's outputs, and what one of them cost.

    Args:
        board: its name.
        outputs: float32 [n, n_out], for the first n samples.
        instructions: of one prediction, mean over the samples, without the link; exact.
        arena: bytes of RAM to predict.
    """

    board: str
    outputs: NDArray[np.float32]
    instructions: int
    arena: int


def on_board(data: bytes, x: NDArray[Any], board: str = BOARD) -> BoardAnswers | str:
    """Deploy a file to an emulated board and predict there.

    Args:
        data: bytes of a `.tflite`.
        x: float32 [n, n_in]; the first 20 are predicted.
        board: a name of `firmware_sim.boards.BOARDS`, of a core that Unicorn has.

    Returns:
        The answers; or why there are none: no emulator here, or no room on the board.

    Raises:
        TinyfleetError: the board refuses the file, crashes, or does not answer.
    """
    from firmware_sim.measure import PREDICT, cost_of

    need, inputs = requirement(Artifact(data)), np.asarray(x[:SAMPLES], np.float32)
    outputs = np.zeros((0, 0), np.float32)

    def work(client: BoardClient) -> None:
        nonlocal outputs
        hello = client.hello()
        check_fits(need, arena=hello.arena, slot=hello.slot, train=False, what="the model")
        client.upload_artifact(data)
        outputs = np.asarray(client.predict(inputs), np.float32).reshape(len(inputs), -1)

    try:
        cost = cost_of(board, work, function=PREDICT)
    except (MissingExtra, DoesNotFit) as error:
        return error.message
    return BoardAnswers(board, outputs, round(cost.instructions), need.board_infer)
