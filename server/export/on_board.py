"""What our firmware on an emulated board makes of an exported file."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.artifact import Artifact
from edge.board_protocol import BoardClient
from edge.errors import DoesNotFit, MissingExtra, TinyfleetError, UsageError

__all__ = ["BOARD", "BoardAnswers", "on_board"]

BOARD = "nano33ble"
SAMPLES = 20


@dataclass(frozen=True)
class BoardAnswers:
    """A board's outputs, and what one of them cost.

    Args:
        board: its name.
        outputs: float32 [n, n_out], for the first n samples.
        instructions: of one prediction, link included; exact.
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
    """
    try:
        from firmware_sim.device import SimulatedDevice

        artifact = Artifact(data)
        from edge.budget import check_fits, requirement

        need, inputs = requirement(artifact), np.asarray(x[:SAMPLES], np.float32)
        with SimulatedDevice(
            board, device_id=board, backend="unicorn", count_instructions=True
        ) as device:
            client = BoardClient(device.port)
            hello = client.hello()
            check_fits(need, arena=hello.arena, slot=hello.slot, train=False, what="the model")
            client.upload_artifact(data)
            client.predict(inputs[0])
            before = device.instructions
            outputs = np.asarray(client.predict(inputs), np.float32)
            instructions = (device.instructions - before) // len(inputs)
    except (MissingExtra, UsageError, DoesNotFit) as error:
        return error.message
    except TinyfleetError as error:
        return f"{board} refuses it: {error.message}"
    return BoardAnswers(board, outputs.reshape(len(inputs), -1), instructions, need.board_infer)
