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
_COUNTED_MACS = 1_000_000
"""Samples of no more than this are counted: it takes twenty times as long as to run them."""
_PATIENCE = 600.0  # seconds for one prediction of a large model


@dataclass(frozen=True)
class BoardAnswers:
    """A board's outputs, and what one of them cost.

    Args:
        board: its name.
        outputs: float32 [n, n_out], for the first n samples.
        instructions: of one prediction, without the link, exact; mean over the samples, of a large
            model over the first few.
        arena: bytes of RAM to predict: the learner's arena, the table of layers, one sample.
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
    from firmware_sim.device import SimulatedDevice
    from firmware_sim.measure import predicting_cost

    artifact, inputs = Artifact(data), np.asarray(x[:SAMPLES], np.float32)
    need = requirement(artifact)
    try:
        with SimulatedDevice(board, device_id=board, backend="unicorn") as device:
            client = BoardClient(device.port, work_timeout=_PATIENCE)
            hello = client.hello()
            check_fits(need, arena=hello.arena, slot=hello.slot, train=False, what="the model")
            client.upload_artifact(data)
            outputs = np.asarray(client.predict(inputs), np.float32).reshape(len(inputs), -1)
        counted = max(1, _COUNTED_MACS // max(need.macs, 1))
        cost = predicting_cost(board, data, inputs[:counted])
    except (MissingExtra, DoesNotFit) as error:
        return error.message
    return BoardAnswers(board, outputs, round(cost.instructions), need.board_infer)
