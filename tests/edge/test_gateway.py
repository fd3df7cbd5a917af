import threading
import time
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from edge.board import BoardWorker
from edge.board_protocol import BoardError, Status
from edge.broker import LocalBroker
from edge.errors import DoesNotFit, MissingExtra, UsageError
from edge.gateway import Gateway, open_serial
from edge.host import HostWorker
from edge.learner import OnlineLearner
from edge.messages import Command, Plan
from edge.spec import ModelSpec
from firmware_sim.device import SimulatedDevice
from tests.edge.hub import SITE, Hub
from tests.edge.models import SPEC, model, samples, sensor, sha

needs_unicorn = pytest.mark.skipif(find_spec("unicorn") is None, reason="no unicorn")
PLAN = Plan("s", 0.1, 12)


class SilentPort:
    """A line with nobody at the other end."""

    closed = False

    def write(self, data: bytes, /) -> None:
        pass

    def read(self, timeout: float, /) -> bytes:
        return b""

    def close(self) -> None:
        self.closed = True


class NoisyPort:
    """A line that spoils every n-th write and read."""

    def __init__(self, port: Any, every: int) -> None:
        self.port, self.every, self.count = port, every, 0

    def spoil(self, data: bytes) -> bytes:
        self.count += 1
        if self.count % self.every or len(data) < 3:
            return data
        middle = len(data) // 2
        return data[:middle] + bytes([data[middle] ^ 0x55]) + data[middle + 1 :]

    def write(self, data: bytes, /) -> None:
        self.port.write(self.spoil(data))

    def read(self, timeout: float, /) -> bytes:
        return self.spoil(self.port.read(timeout))

    def close(self) -> None:
        self.port.close()


def board(name: str = "nano33ble", device: str = "b1", **options: Any) -> SimulatedDevice:
    return SimulatedDevice(name, device_id=device, sensor=sensor(), **options)


@needs_unicorn
@pytest.mark.parametrize(
    "plan",
    [
        PLAN,
        Plan("s", 0.05, 5, epochs=3),
        Plan("s", 0.1, 8, train_layers=1),
        Plan("s", 0.1, 8, standardise=True),
    ],
)
def test_a_board_and_a_host_learn_the_same_bits(plan: Plan) -> None:
    with board() as device:
        worker, host = BoardWorker(device.port, profile=device.profile), HostWorker(sensor())
        for seed in (1, 2, 1):
            ours, theirs = worker.train(model(seed), plan), host.train(model(seed), plan)
            assert ours.delta.tobytes() == theirs.delta.tobytes()
            assert ours.samples == theirs.samples
            assert (ours.loss_first, ours.loss_mean, ours.loss_last) == (
                theirs.loss_first,
                theirs.loss_mean,
                theirs.loss_last,
            )
        assert worker.evaluate(16) == host.evaluate(16)
        x, _ = samples()
        assert worker.predict(x).tobytes() == host.predict(x).tobytes()


@needs_unicorn
def test_later_rounds_send_only_weights_and_survive_a_power_cut() -> None:
    whole = Plan("s", 0.1, 16)
    with board() as device:
        worker = BoardWorker(device.port)
        worker.train(model(1), whole)
        slot = worker.running
        worker.train(model(2), whole)
        assert worker.running == slot == sha(model(1))
        device.restart()
        worker.train(model(2), whole)
        assert worker.running == slot
        rewound = Plan("s", 0.1, 16, epochs=2)
        once = worker.train(model(1), rewound)
        device.restart()
        assert worker.train(model(1), rewound).delta.tobytes() == once.delta.tobytes()
        assert worker.running == slot


@needs_unicorn
def test_boards_behind_a_gateway_take_part_in_a_round(broker: LocalBroker, hub: Hub) -> None:
    boards = {"b1": "nano33ble", "b2": "arduino-due", "b3": "microbit"}
    devices = {who: board(name, who).start() for who, name in boards.items()}
    base = hub.publish_model(model())
    expected = HostWorker(sensor()).train(model(), PLAN).delta.tobytes()
    with Gateway(broker.options, SITE.site) as gateway:
        for who, device in devices.items():
            gateway.add(who, device.port, profile=device.profile)
            hub.state("online", who)
        hub.offer(base, cohort=tuple(devices), plan=PLAN)
        for who in devices:
            assert hub.update(device=who).delta.tobytes() == expected
        new = hub.publish_model(model(7))
        x, _ = samples(4)
        for who in devices:
            assert hub.ask(Command("deploy", f"c-{who}", base=new), who).ok
            assert hub.state("online", who).running == new
            ack = hub.ask(Command("predict", f"p-{who}", x=x), who)
            assert ack.y is not None
            assert ack.y.tobytes() == OnlineLearner(model(7)).predict_many(x).tobytes()
        assert hub.ask(Command("rollback", "r"), "b1").ok
        assert hub.state("online", "b1").running == base
    for who in devices:
        hub.state("offline", who)


@needs_unicorn
def test_a_board_without_room_declines_with_both_figures(broker: LocalBroker, hub: Hub) -> None:
    wide = ModelSpec.mlp([196, 64, 5], hidden="relu", output="softmax")
    base = hub.publish_model(model(1, wide))
    with board("microbit", "b4") as device, Gateway(broker.options, SITE.site) as gateway:
        gateway.add("b4", device.port, profile=device.profile)
        hub.offer(base, cohort=("b4",), plan=PLAN)
        decline = hub.decline(device="b4")
        assert decline.needed > decline.available > 0
        hub.offer(hub.publish_model(model()), 2, cohort=("b4",), plan=PLAN)
        hub.update(2, device="b4")


@needs_unicorn
def test_a_board_that_dies_in_a_round_declines_and_its_neighbour_goes_on(
    broker: LocalBroker, hub: Hub
) -> None:
    with (
        board(device="b5") as dying,
        board(device="b6") as living,
        Gateway(broker.options, SITE.site, check_every=0.05) as gateway,
    ):
        gateway.add("b5", dying.port, profile=dying.profile)
        gateway.add("b6", living.port)
        hub.state("online", "b5")
        base = hub.publish_model(model())
        long = Plan("s", 0.001, 1_000_000)
        hub.offer(base, cohort=("b5",), plan=long)
        wait_for(lambda: dying.samples > 5)
        dying.kill()
        assert "does not answer" in hub.decline(device="b5").reason
        hub.state("offline", "b5")
        hub.offer(base, 2, cohort=("b5", "b6"), plan=PLAN)
        assert hub.update(device="b6").round == 2
        dying.start()
        hub.state("online", "b5")
        hub.offer(base, 3, cohort=("b5", "b6"), plan=PLAN)
        hub.wait(lambda: 3 in rounds(hub, "b5") or None)


def rounds(hub: Hub, device: str) -> list[int]:
    from edge.messages import Update, decode_update

    found = map(decode_update, hub.payloads("update", device))
    return [answer.round for answer in found if isinstance(answer, Update)]


def wait_for(ready: Any) -> None:
    end = time.monotonic() + 20
    while not ready():
        assert time.monotonic() < end
        threading.Event().wait(0.005)


@needs_unicorn
def test_spoilt_frames_are_repeated_and_change_nothing() -> None:
    clean = HostWorker(sensor()).train(model(), PLAN)
    with board() as device:
        worker = BoardWorker(NoisyPort(device.port, 7), timeout=0.3)
        result = worker.train(model(), PLAN)
    assert result.delta.tobytes() == clean.delta.tobytes()
    assert result.meters["serial_retries"] > 0


@needs_unicorn
def test_a_damaged_artefact_never_replaces_the_running_one() -> None:
    with board() as device:
        worker = BoardWorker(device.port)
        worker.deploy(model(1))
        for bad in (model(2)[:100], b"junk" * 50):
            with pytest.raises(BoardError):
                worker.deploy(bad)
            assert worker.running == sha(model(1))
        x, _ = samples(3)
        assert worker.predict(x).tobytes() == OnlineLearner(model(1)).predict_many(x).tobytes()
        with pytest.raises(DoesNotFit):
            worker.deploy(bytes(worker.info.slot + 1))


@needs_unicorn
def test_meters_report_what_grew_during_training() -> None:
    with board(count_instructions=True) as device:
        worker = BoardWorker(
            device.port, meters=lambda: {"instructions": float(device.instructions)}
        )
        short = worker.train(model(), Plan("s", 0.1, 2)).meters["instructions"]
        long = worker.train(model(), Plan("s", 0.1, 20)).meters["instructions"]
    assert long > short + 18 * SPEC.macs


def test_a_board_that_does_not_answer_is_one_clear_error(broker: LocalBroker) -> None:
    port = SilentPort()
    with Gateway(broker.options, SITE.site) as gateway:
        with pytest.raises(BoardError) as caught:
            gateway.add("b9", port)
        assert caught.value.status == Status.NO_ANSWER
        with pytest.raises(UsageError):
            gateway.add("rounds", port)
        assert gateway.sessions == {}
    assert port.closed


@pytest.mark.skipif(find_spec("serial") is not None, reason="pyserial is installed")
def test_a_real_port_without_pyserial_says_what_to_install() -> None:
    with pytest.raises(MissingExtra) as caught:
        open_serial("/dev/ttyACM0")
    assert "tinyfleet[serial]" in caught.value.hint


@pytest.mark.skipif(find_spec("serial") is None, reason="pyserial is not installed")
def test_a_real_port_is_read_as_bytes_come() -> None:
    with pytest.raises(UsageError):
        open_serial("/dev/does-not-exist")
    line = open_serial("loop://")
    line.write(b"hello")
    assert line.read(1.0) == b"hello"
    assert line.read(0.01) == b""
    line.close()


def test_deltas_are_float32() -> None:
    assert HostWorker(sensor()).train(model(), PLAN).delta.dtype == np.float32
