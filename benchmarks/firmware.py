"""What the shipped firmware costs: instructions of a learnt sample, image size, RAM.

Counts are exact, from the emulator. A step includes asking the sensor for a sample and decoding
its frame, as on a board; the first samples are left out, so that the model's set-up is not counted.
"""

import sys
from collections.abc import Iterator

from harness import Figure, figure, main

from edge.board_protocol import BoardClient
from edge.budget import requirement
from edge.spec import ModelSpec
from firmware_sim.boards import BOARDS
from firmware_sim.device import SimulatedDevice
from firmware_sim.image import load_image
from server.export.tflite import write
from server.presets import SHOTS
from server.tasks import EpisodeSensor, get_task

CORES = {"m0": "pico", "m3": "arduino-due", "m4f": "nano33ble", "m7": "stm32f746-discovery"}
SAMPLES = 20


def step_cost(board: str, model: bytes) -> tuple[int, int]:
    """Instructions of one learnt sample (mean over a stream), and the peak stack in bytes."""
    sensor = EpisodeSensor(get_task("sine").client(0, "train"), shots=SHOTS["sine"], seed=0)
    with SimulatedDevice(
        board, device_id="bench", sensor=sensor, count_instructions=True
    ) as device:
        client = BoardClient(device.port)
        client.upload_artifact(model)
        client.train(1, rate=0.001)
        start = device.instructions
        client.train(1, rate=0.001)
        one = device.instructions - start
        client.train(1 + SAMPLES, rate=0.001)
        many = device.instructions - start - one
        return (many - one) // SAMPLES, device.peak_stack


def measure() -> Iterator[Figure]:
    """Sine net 1-40-40-1: 5,000 useful multiply-accumulates a step."""
    spec = ModelSpec.mlp([1, 40, 40, 1])
    model = write(spec, spec.initial(0), name="net1")
    for core, board in CORES.items():
        instructions, stack = step_cost(board, model)
        yield figure(f"step.net1.{core}", instructions, "instructions", note="sensor line included")
        yield figure(f"stack.net1.{core}", stack, "bytes", note="peak")
        image = load_image_size(BOARDS[board].core)
        yield figure(
            f"flash.all.{core}", image, "bytes", "<= 32768", "image in flash, all operators"
        )
    yield figure("ram.net1", requirement(spec).ram_train, "bytes", note="arena to learn")


def load_image_size(core: str) -> int:
    """Bytes that the image of a core takes in flash."""
    from firmware_sim.build import image_path

    return len(load_image(image_path(core)))


if __name__ == "__main__":
    sys.exit(main(measure, __doc__ or ""))
