"""The same samples give the same weights, bit for bit, wherever the learner runs."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.board_protocol import BoardClient
from edge.learner import NativeLearner, ReferenceLearner, library
from firmware_sim.boards import BOARDS
from firmware_sim.build import build_image
from firmware_sim.cores import CORES
from firmware_sim.device import SimulatedDevice

RATE = 0.02
BOARD_OF = {
    "m0": "pico",
    "m3": "arduino-due",
    "m4f": "nano33ble",
    "m7": "stm32f746-discovery",
    "m33": "nrf5340-dk",
    "m55": "corstone-300",
}
IN_UNICORN = [core for core in BOARD_OF if CORES[core].unicorn]
needs_qemu = pytest.mark.skipif(shutil.which("qemu-system-arm") is None, reason="no QEMU")
needs_gcc = pytest.mark.skipif(shutil.which("arm-none-eabi-gcc") is None, reason="no ARM gcc")


def trained_on_twin(job: Any, **options: Any) -> NDArray[np.float32]:
    twin = ReferenceLearner(job.artefact, **options)
    twin.learn_many(job.x, job.targets, rate=RATE)
    return np.asarray(twin.parameters)


def trained_on_board(job: Any, core: str, **options: Any) -> tuple[Any, Any]:
    layout = {k: options.pop(k) for k in ("train_layers", "standardise") if k in options}
    with SimulatedDevice(BOARD_OF[core], device_id="d", sensor=job.sensor(), **options) as device:
        client = BoardClient(device.port)
        client.upload_artifact(job.artefact)
        client.train(len(job.x), rate=RATE, **layout)
        assert device.fault is None
        return client.get_parameters(), client.predict(job.x[:3])


def same_bits(a: Any, b: Any) -> bool:
    return bool(np.asarray(a, np.float32).tobytes() == np.asarray(b, np.float32).tobytes())


@pytest.mark.parametrize("job_name", ["sine", "digits"])
def test_host_library_and_twin(job_name: str, request: pytest.FixtureRequest) -> None:
    if library() is None:
        pytest.skip("no C compiler")
    job = request.getfixturevalue(job_name)
    native = NativeLearner(job.artefact)
    native.learn_many(job.x, job.targets, rate=RATE)
    twin = trained_on_twin(job)
    assert not same_bits(twin, ReferenceLearner(job.artefact).parameters)
    assert same_bits(native.parameters, twin)


@pytest.mark.parametrize("core", IN_UNICORN)
@pytest.mark.parametrize("job_name", ["sine", "digits", "convolutions"])
def test_unicorn(core: str, job_name: str, request: pytest.FixtureRequest) -> None:
    job = request.getfixturevalue(job_name)
    weights, answers = trained_on_board(job, core)
    twin = ReferenceLearner(job.artefact)
    twin.learn_many(job.x, job.targets, rate=RATE)
    assert same_bits(weights, twin.parameters)
    assert same_bits(answers, twin.predict_many(job.x[:3]))


@pytest.mark.parametrize("options", [{"train_layers": 1}, {"standardise": True}], ids=str)
def test_unicorn_with_other_layouts(options: dict[str, Any], digits: Any) -> None:
    weights, _ = trained_on_board(digits, "m4f", **options)
    assert same_bits(weights, trained_on_twin(digits, **options))


@needs_qemu
@pytest.mark.parametrize("core", list(BOARD_OF))
def test_qemu(core: str, sine: Any) -> None:
    weights, _ = trained_on_board(sine, core, backend="qemu")
    assert same_bits(weights, trained_on_twin(sine))


@needs_gcc
@pytest.mark.parametrize("core", list(BOARD_OF))
def test_images_of_another_compiler(core: str, digits: Any, tmp_path: Path) -> None:
    image = build_image(core, "gcc", tmp_path / "image.elf")
    weights, _ = trained_on_board(digits, core, image=image)
    assert same_bits(weights, trained_on_twin(digits))


def test_every_board_trains_or_says_why_not(sine: Any) -> None:
    expected = trained_on_twin(sine)
    for name, profile in BOARDS.items():
        core = profile.core.removeprefix("cortex-")
        if core not in IN_UNICORN and shutil.which("qemu-system-arm") is None:
            continue
        with SimulatedDevice(name, device_id=name, sensor=sine.sensor()) as device:
            client = BoardClient(device.port)
            info = client.upload_artifact(sine.artefact)
            assert info.board == name
            assert info.can_train
            assert client.train(len(sine.x), rate=RATE).learnt == len(sine.x)
            assert same_bits(client.get_parameters(), expected)
