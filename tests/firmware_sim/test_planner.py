"""The plan of the host against what the emulated board has touched."""

from typing import Any

import numpy as np
import pytest

from edge.artifact import Artifact
from edge.board_protocol import BoardClient
from edge.spec import ModelSpec
from edge.steps import average_pool, conv, dense, depthwise, max_pool, mean
from firmware_sim.boards import BOARDS
from firmware_sim.device import SimulatedDevice
from firmware_sim.memory import STACK_BYTES, MemoryMap
from firmware_sim.planner import plan_memory
from server.export import tflite

MODELS = {
    "sine": ModelSpec.mlp([1, 40, 40, 1]),
    "digits": ModelSpec.mlp([64, 32, 10], output="softmax"),
    "convolutions": ModelSpec.convnet(
        (12, 12, 1),
        [conv(8, 3), max_pool(2), depthwise(3), conv(8, 1), mean(), dense(5, "softmax")],
    ),
    "pools": ModelSpec.convnet((10, 10, 4), [conv(6, 3), average_pool(2), dense(4)]),
}
IN_UNICORN = [name for name, board in BOARDS.items() if board.core != "cortex-m55"]


class Stream:
    """Random samples without an end."""

    def __init__(self, spec: ModelSpec) -> None:
        self._spec, self._rng = spec, np.random.default_rng(0)

    def next_sample(self) -> tuple[Any, Any]:
        spec = self._spec
        x = self._rng.uniform(0.5, 1, spec.n_in).astype(np.float32)
        softmax = spec.loss == "cross_entropy"
        target = self._rng.integers(spec.n_out, size=1) if softmax else np.ones(spec.n_out)
        return x, target.astype(np.float32)

    def rewind(self) -> None:
        pass


def artefact(spec: ModelSpec, kind: str) -> bytes:
    values, rng = spec.initial(3), np.random.default_rng(1)
    x = rng.uniform(0.5, 1, (40, spec.n_in)).astype(np.float32)
    if kind == "hybrid":
        return tflite.write_hybrid(spec, values, x, float_layers=1, name="net")
    if kind == "int8":
        return tflite.write_int8(spec, values, x, name="net")
    return tflite.write(spec, values, name="net")


def touched(device: SimulatedDevice) -> int:
    """Bytes from the start of RAM to the last one that is not 0: the board starts with zeros."""
    memory = MemoryMap.of(device.profile)
    ram = np.frombuffer(device.memory(memory.layout.ram, memory.ram), np.uint8)
    return int(np.flatnonzero(ram)[-1]) + 1


@pytest.mark.parametrize("kind", ["float32", "hybrid", "int8"])
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("board", IN_UNICORN)
def test_the_plan_is_what_the_board_touches(board: str, name: str, kind: str) -> None:
    spec = MODELS[name]
    data = artefact(spec, kind)
    plan = plan_memory(Artifact(data), board)
    with SimulatedDevice(board, device_id="d", backend="unicorn", sensor=Stream(spec)) as device:
        client = BoardClient(device.port)
        if not plan.predicts:
            with pytest.raises(Exception, match="ARENA|RAM|bytes"):
                client.upload_artifact(data)
            return
        info = client.upload_artifact(data)
        assert info.can_train == plan.learns
        if plan.learns:
            client.train(2, rate=0.001)
        client.predict(np.full(spec.n_in, 0.7, np.float32))
        planned = plan.ram_train if plan.learns else plan.ram_infer
        assert 0.95 * planned <= touched(device) <= planned
        assert device.peak_stack <= STACK_BYTES
    assert plan.firmware + 2 * (plan.slot + 64) <= device.profile.flash
