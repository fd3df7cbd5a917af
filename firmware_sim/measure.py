"""Exact instruction counts of one function of the firmware, while a board works.

A board runs in Unicorn with a given image, is asked over its link, and only what runs between the
function's entry and its return is counted: not the link, the sensor line or their codecs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.board_protocol import BoardClient
from edge.errors import TinyfleetError, UsageError
from edge.ports import Sensor
from edge.profile import DeviceProfile
from firmware_sim.boards import get_board
from firmware_sim.build import image_path
from firmware_sim.cores import find_core
from firmware_sim.cycles import table_of
from firmware_sim.device import SimulatedDevice
from firmware_sim.image import load_image
from firmware_sim.symbols import read_functions
from firmware_sim.trace import BlockTrace, Share, shares, total

__all__ = ["LEARN", "PREDICT", "Cost", "cost_of", "learning_cost", "predicting_cost"]

LEARN = "tl_learner_learn"
PREDICT = "tl_learner_predict"
_PATIENCE = 600.0  # seconds; the slowest core is emulated at a few hundred steps a second


@dataclass(frozen=True)
class Cost:
    """What one function cost.

    Args:
        function: the function, those that it calls included; empty: the whole program.
        calls: how often it was called.
        instructions: instructions of a call, mean.
        cycles: cycles of a call, mean; an estimate.
        shares: the same of all calls together, function by function.
        peak_stack: most bytes of stack in use since reset.
        board: where.
    """

    function: str
    calls: int
    instructions: float
    cycles: float
    shares: list[Share]
    peak_stack: int
    board: DeviceProfile

    @property
    def microseconds(self) -> float:
        """Time of a call: estimated cycles over the board's clock."""
        return self.cycles / self.board.clock_hz * 1e6


def cost_of(
    board: str,
    work: Callable[[BoardClient], Any],
    *,
    prepare: Callable[[BoardClient], Any] | None = None,
    function: str = "",
    sensor: Sensor | None = None,
    image: Path | None = None,
) -> Cost:
    """Count what a function costs while `work` uses a board.

    Args:
        board: a name of `BOARDS`; its core must be one that Unicorn has.
        work: what to ask of the board.
        prepare: what to ask of it before; that is not counted.
        function: name in the image; empty: everything is counted.
        sensor: where the board's samples come from.
        image: firmware; the prebuilt image of the core if not given.

    Raises:
        UsageError: the image has no such function, or the core is only in QEMU.
        TinyfleetError: the board crashed, or the function never ran.
    """
    profile = get_board(board)
    core = find_core(profile.core)[1]
    if not core.unicorn:
        raise UsageError(
            f"{profile.name} ({core.profile}) runs in QEMU only, which counts nothing.",
            hint="a board of another core, such as --board nano33ble (see: tinyfleet sim boards)",
        )
    path = image or image_path(profile.core)
    functions = read_functions(path)
    trace = BlockTrace(functions.named(function).address if function else None)
    before = None if prepare else trace
    with SimulatedDevice(
        profile, device_id="bench", image=path, sensor=sensor, trace=before
    ) as device:
        client = BoardClient(device.port, work_timeout=_PATIENCE)
        if prepare:
            prepare(client)
            device.watch_blocks(trace)
        work(client)
        if device.fault is not None:
            raise TinyfleetError(f"{board} crashed: {device.fault}")
        stack = device.peak_stack
    base = core.layout.image
    code = load_image(path, base)
    table = table_of(profile.core)
    found = shares(trace, lambda at, n: code[at - base : at - base + n], functions, table)
    instructions, cycles = total(found)
    calls = trace.calls if function else 1
    if calls == 0:
        raise TinyfleetError(f"{function} never ran")
    return Cost(function, calls, instructions / calls, cycles / calls, found, stack, profile)


def learning_cost(
    board: str,
    model: bytes,
    sensor: Sensor,
    *,
    samples: int,
    rate: float,
    function: str = LEARN,
    image: Path | None = None,
    **how: Any,
) -> Cost:
    """Cost of a training step, mean over `samples` of the sensor's stream.

    Args:
        board: as for `cost_of`.
        model: a `.tflite`.
        sensor: the stream.
        samples: how many.
        rate: learning rate.
        function: what to count.
        image: as for `cost_of`.
        **how: more arguments of `BoardClient.train`, such as `train_layers` and `arithmetic`.
    """

    def upload(client: BoardClient) -> None:
        client.upload_artifact(model)

    def work(client: BoardClient) -> None:
        client.train(samples, rate=rate, **how)

    return cost_of(board, work, prepare=upload, function=function, sensor=sensor, image=image)


def predicting_cost(
    board: str,
    model: bytes,
    inputs: NDArray[np.float32],
    *,
    sensor: Sensor | None = None,
    function: str = PREDICT,
    image: Path | None = None,
    **how: Any,
) -> Cost:
    """Cost of a prediction, mean over `inputs` float32 [n, n_in].

    Args:
        board: as for `cost_of`.
        model: a `.tflite`.
        inputs: what to predict.
        sensor: with one, the model first learns one sample of it at rate 0, so that it predicts
            from the weights in RAM and in the arithmetic that `how` says.
        function: what to count.
        image: as for `cost_of`.
        **how: more arguments of `BoardClient.train`.
    """

    def upload(client: BoardClient) -> None:
        client.upload_artifact(model)
        if sensor is not None:
            client.train(1, rate=0.0, **how)

    def work(client: BoardClient) -> None:
        client.predict(inputs)

    return cost_of(board, work, prepare=upload, function=function, sensor=sensor, image=image)
