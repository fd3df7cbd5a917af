"""Build a convnet, plan it, train its float32 tail on an emulated board, compare with the host."""

from pathlib import Path

import numpy as np

from edge.artifact import Artifact
from edge.board_protocol import BoardClient
from edge.learner import OnlineLearner
from edge.spec import ModelSpec
from edge.steps import conv, dense, depthwise, max_pool, mean
from firmware_sim.device import SimulatedDevice
from firmware_sim.planner import plan_memory
from server.export.tflite import write_hybrid

BOARD, STEPS, RATE = "nano33ble", 40, 0.05
CLASSES, SIDE = 3, 12

spec = ModelSpec.convnet(
    (SIDE, SIDE, 1),
    [conv(8, 3), max_pool(2), depthwise(3), conv(16, 1), mean(), dense(CLASSES, "softmax")],
)


class Stripes:
    """Noisy stripes: across, down, or both; the sensor of board and host, from one seed."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def next_sample(self) -> tuple[np.ndarray, np.ndarray]:
        """One image of 12 by 12, flat, and its class."""
        kind = int(self.rng.integers(CLASSES))
        wave = np.sin(np.arange(SIDE) * 1.5 + self.rng.uniform(0, 6))
        image = wave[:, None] * (kind != 1) + wave[None, :] * (kind != 0)
        image = image + self.rng.normal(0, 0.1, (SIDE, SIDE))
        return image.astype(np.float32).reshape(-1), np.array([kind], np.float32)

    def rewind(self) -> None:
        """A second epoch would begin here."""


source = Stripes(seed=0)
calibration = np.stack([source.next_sample()[0] for _ in range(100)])
# The backbone becomes int8 and stays as it is; the last layer stays float32 and can learn.
# `write(spec, parameters, name=...)` would leave everything in float32, all of it trainable.
model = write_hybrid(spec, spec.initial(seed=0), calibration, float_layers=1, name="stripes")
Path("stripes.tflite").write_bytes(model)

plan = plan_memory(Artifact(model), BOARD)
print(f"{plan.file} bytes of file, {plan.slot} in a slot; RAM: {plan.ram_infer} to predict,")
print(f"{plan.ram_train} to learn, {plan.ram} there; it can learn here: {plan.learns}")

with SimulatedDevice(BOARD, device_id="nano-1", sensor=Stripes(seed=1)) as device:
    board = BoardClient(device.port)
    board.upload_artifact(model)
    done = board.train(STEPS, rate=RATE)
    print(f"the board learnt {done.learnt} images: mean loss {done.loss_mean:.2f}")
    weights = board.get_parameters()

host, sensor = OnlineLearner(model), Stripes(seed=1)
for _ in range(STEPS):
    host.learn_one(*sensor.next_sample(), rate=RATE)
print("same bits:", weights.tobytes() == host.parameters.tobytes())
