"""The device around a board: threads, counting, images."""

import shutil
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from edge.board_protocol import BoardClient, BoardError
from edge.errors import TinyfleetError, UsageError
from firmware_sim.build import CORES, IMAGES, check_images, image_path
from firmware_sim.device import SimulatedDevice
from firmware_sim.image import load_image


def instructions_of_a_step(job: Any, board: str) -> list[int]:
    counts = []
    with SimulatedDevice(
        board, device_id="d", sensor=job.sensor(), count_instructions=True
    ) as device:
        client = BoardClient(device.port)
        client.upload_artifact(job.artefact)
        for _ in range(2):
            client.reset_learner()
            before = device.instructions
            client.train(1, rate=0.0)
            counts.append(device.instructions - before)
    return counts


def test_instructions_are_counted_the_same_each_time(job_of: Any) -> None:
    job = job_of([1, 40, 40, 1], classes=False)
    job.x[1], job.targets[1] = job.x[0], job.targets[0]
    fpu = instructions_of_a_step(job, "nano33ble")
    soft = instructions_of_a_step(job, "arduino-due")
    assert abs(fpu[0] - fpu[1]) < 0.01 * fpu[0]  # a sequence number may differ by a byte
    assert 5_000 < fpu[0] < 40_000
    assert 5 * fpu[0] < soft[0] < 15 * fpu[0]


def test_peak_stack_leaves_room(sine: Any) -> None:
    for board in ("microbit", "arduino-due", "nano33ble", "stm32f746-discovery"):
        with SimulatedDevice(board, device_id="d", sensor=sine.sensor()) as device:
            client = BoardClient(device.port)
            client.upload_artifact(sine.artefact)
            client.train(2, rate=0.01)
            client.predict([0.5])
            assert client.hello().peak_stack == device.peak_stack
            assert 400 < device.peak_stack < 1792


def test_killed_while_training_in_another_thread(sine: Any) -> None:
    class Endless:
        calls = 0

        def next_sample(self) -> Any:
            self.calls += 1
            if self.calls == 20:
                halfway.set()
            return sine.x[0], sine.targets[0]

        def rewind(self) -> None: ...

    halfway = threading.Event()
    errors: list[Exception] = []
    device = SimulatedDevice("microbit", device_id="d", sensor=Endless()).start()
    client = BoardClient(device.port, attempts=1)
    client.upload_artifact(sine.artefact)

    def work() -> None:
        try:
            client.train(1_000_000, rate=0.0)
        except BoardError as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert halfway.wait(60)
    device.kill()
    thread.join(60)
    assert not thread.is_alive()
    assert len(errors) == 1
    device.restart()
    assert BoardClient(device.port).hello().active == sine.digest
    device.close()
    device.close()


def test_two_threads_on_two_ports(sine: Any) -> None:
    found: dict[str, str | None] = {}

    def work(name: str) -> None:
        with SimulatedDevice("nano33ble", device_id=name) as device:
            info = BoardClient(device.port).upload_artifact(sine.artefact)
            found[info.board] = info.active

    threads = [threading.Thread(target=work, args=(f"d{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {f"d{i}": sine.digest for i in range(4)}


@pytest.mark.parametrize("backend", ["unicorn", "qemu"])
def test_an_error_of_the_sensor_reaches_the_caller(backend: Any, sine: Any) -> None:
    if backend == "qemu" and shutil.which("qemu-system-arm") is None:
        pytest.skip("no QEMU")

    class Broken:
        def next_sample(self) -> Any:
            raise ArithmeticError("broken wire")

        def rewind(self) -> None: ...

    with SimulatedDevice("nano33ble", device_id="d", sensor=Broken(), backend=backend) as device:
        client = BoardClient(device.port)
        client.upload_artifact(sine.artefact)
        with pytest.raises(ArithmeticError, match="broken wire"):
            client.train(1, rate=0.1)


def test_what_a_device_refuses() -> None:
    with pytest.raises(UsageError, match="renode"):
        SimulatedDevice("nano33ble", device_id="d", backend="renode")  # type: ignore[arg-type]
    with pytest.raises(TinyfleetError, match="no power"):
        SimulatedDevice("nano33ble", device_id="d").run()


def test_what_is_no_image(tmp_path: Path) -> None:
    whole = image_path("m3").read_bytes()
    for content in (b"", b"\x7fELF", whole[:60], whole[:200], b"MZ" + whole[2:]):
        path = tmp_path / "x.elf"
        path.write_bytes(content)
        with pytest.raises(UsageError):
            load_image(path)
    with pytest.raises(UsageError):
        load_image(tmp_path / "absent.elf")


def path_core(name: str) -> str:
    return name.split("-")[1].removesuffix(".elf")


def test_images_and_their_sums() -> None:
    import hashlib

    lines = (IMAGES / "SHA256SUMS").read_text().splitlines()
    shipped = [*(image_path(c).name for c in CORES), image_path("m4f", "trainer").name]
    assert sorted(line.split()[1] for line in lines) == sorted(shipped)
    for line in lines:
        digest, name = line.split()
        data = (IMAGES / name).read_bytes()
        assert hashlib.sha256(data).hexdigest() == digest
        assert b"/" + b"root" not in data
        assert b"/" + b"home" not in data
        base = CORES[path_core(name)].layout.image
        assert len(load_image(IMAGES / name, base)) <= 40 * 1024


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ziglang") is None, reason="no zig")
def test_images_rebuild_byte_for_byte() -> None:
    assert check_images() == []
