"""Run the smallest image that trains (firmware_sim/firmware/trainer), and measure it."""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import TinyfleetError
from edge.ports import Sensor
from firmware_sim.boards import get_board
from firmware_sim.build import image_path
from firmware_sim.device import SimulatedDevice
from firmware_sim.image import load_image
from firmware_sim.memory import STACK_BYTES, MemoryMap
from firmware_sim.symbols import address_of

__all__ = ["TrainerRun", "run_trainer"]

_JOB = struct.Struct("<If8x")
_REPORT = struct.Struct("<iIIfII")


@dataclass(frozen=True)
class TrainerRun:
    """What it did, and what it took.

    Args:
        learnt: samples learnt.
        loss: of the last sample, before its step.
        parameters: float32 [n], as they lie in RAM: weights [inputs][outputs], then biases, layer
            after layer.
        flash: bytes of the whole image.
        statics: bytes of its variables: structs, table of layers.
        arena: bytes of the sample, the parameters, activations and deltas.
        peak_stack: most bytes of stack in use.
    """

    learnt: int
    loss: float
    parameters: NDArray[np.float32]
    flash: int
    statics: int
    arena: int
    peak_stack: int

    @property
    def ram(self) -> int:
        """Bytes of RAM in all."""
        return self.statics + self.arena + self.peak_stack


def run_trainer(
    model: bytes,
    sensor: Sensor,
    *,
    rate: float,
    board: str = "nano33ble",
    image: Path | None = None,
) -> TrainerRun:
    """Put a model into flash and train until the sensor has no sample left.

    Args:
        model: a `.tflite` of at most four dense layers.
        sensor: its stream; must end.
        rate: learning rate.
        board: a name of `BOARDS`.
        image: the prebuilt image if not given.

    Raises:
        TinyfleetError: the board crashed, or the learner refused the model or a sample.
    """
    profile = get_board(board)
    path = image or image_path(profile.core, "trainer")
    layout = MemoryMap.of(profile).layout
    device = SimulatedDevice(profile, device_id="trainer", image=path, sensor=sensor)
    device.flash(0, _JOB.pack(len(model), rate) + model)
    with device:
        if device.fault is not None:
            raise TinyfleetError(f"{board} crashed: {device.fault}")
        report = device.memory(address_of(path, "trainer"), _REPORT.size)
        status, learnt, arena, loss, where, count = _REPORT.unpack(report)
        if status != 0:
            raise TinyfleetError(f"the trainer ended with status {status}")
        return TrainerRun(
            learnt=learnt,
            loss=loss,
            parameters=np.frombuffer(device.memory(where, 4 * count), "<f4").astype(np.float32),
            flash=len(load_image(path, layout.image)),
            statics=address_of(path, "image_arena") - layout.ram - STACK_BYTES,
            arena=arena,
            peak_stack=device.peak_stack,
        )
