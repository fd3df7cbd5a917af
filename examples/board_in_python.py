"""Train on an emulated microcontroller and compare its weights with the host's, bit for bit."""

from edge.board_protocol import BoardClient
from edge.learner import OnlineLearner
from edge.spec import ModelSpec
from firmware_sim.device import SimulatedDevice
from server.export.tflite import write
from server.tasks import EpisodeSensor, get_task

spec = ModelSpec.mlp([1, 40, 40, 1])
model = write(spec, spec.initial(seed=0), name="sine")
wave = get_task("sine").client(0, "train")

with SimulatedDevice(
    "nano33ble", device_id="nano-1", sensor=EpisodeSensor(wave, shots=50, seed=1)
) as device:
    board = BoardClient(device.port)
    board.upload_artifact(model)
    done = board.train(50, rate=0.0005)
    print(f"the board learnt {done.learnt} samples, mean loss {done.loss_mean:.2f}")
    weights = board.get_parameters()

host, sensor = OnlineLearner(model), EpisodeSensor(wave, shots=50, seed=1)
for _ in range(50):
    host.learn_one(*sensor.next_sample(), rate=0.0005)
print("same bits:", weights.tobytes() == host.parameters.tobytes())
