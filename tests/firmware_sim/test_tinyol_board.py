"""What a board learns from its stream, beside what the host learns from the same one."""

from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.board import BoardWorker
from edge.board_protocol import BoardClient, BoardError, Key, Op, Status
from edge.errors import TinyfleetError
from edge.host import HostWorker
from edge.messages import Plan
from edge.sources import Replay
from edge.spec import ModelSpec
from edge.stepping import Steps, Watching
from firmware_sim.device import SimulatedDevice
from server.export.spare import with_spare_classes
from server.export.tflite import write, write_int8

PLAN = Plan("s", 0.05, 12)
STEPS: list[dict[str, Any]] = [
    {"momentum": 0.9},
    {"decay": 0.01},
    {"clip": 0.5},
    {"momentum": 0.5, "decay": 1e-3, "clip": 1.0},
    {"schedule": "linear"},
    {"schedule": "linear", "momentum": 0.9, "epochs": 3},
    {"momentum": 0.9, "train_layers": 1},
    {"momentum": 0.9, "standardise": True},
]


def bits(values: Any) -> bytes:
    return np.asarray(values, np.float32).tobytes()


def on_both(job: Any, board: str, *plans: Plan) -> tuple[list[Any], list[Any]]:
    """What a host and a board give for the same plans on the same stream, one after the other."""
    host = HostWorker(Replay(job.x, job.targets))
    ours = [host.train(job.artefact, plan) for plan in plans]
    sensor = Replay(job.x, job.targets)
    with SimulatedDevice(board, device_id="d", sensor=sensor) as device:
        worker = BoardWorker(device.port)
        return ours, [worker.train(job.artefact, plan) for plan in plans]


def check_same(ours: list[Any], theirs: list[Any]) -> None:
    for host, board in zip(ours, theirs, strict=True):
        assert bits(host.delta) == bits(board.delta)
        assert np.abs(host.delta).max() > 0
        for name in ("samples", "loss_first", "loss_mean", "loss_last"):
            assert getattr(host, name) == getattr(board, name), name
        assert host.meters.get("unlabelled") == board.meters.get("unlabelled")


@pytest.mark.parametrize("options", STEPS, ids=str)
@pytest.mark.parametrize("name", ["nano33ble", "pico"])
def test_every_way_to_step_gives_the_bits_of_the_host(
    name: str, options: dict[str, Any], digits: Any
) -> None:
    check_same(*on_both(digits, name, replace(PLAN, **options)))


def test_a_regression_with_all_options(sine: Any) -> None:
    plan = replace(PLAN, momentum=0.9, decay=0.01, clip=0.25, schedule="linear", epochs=2)
    check_same(*on_both(sine, "nano33ble", plan))


def test_fused_arithmetic_on_a_core_that_has_it(digits: Any) -> None:
    plan = replace(PLAN, arithmetic="fma")
    ours, theirs = on_both(digits, "nano33ble", plan)
    check_same(ours, theirs)
    assert bits(ours[0].delta) != bits(on_both(digits, "nano33ble", PLAN)[0][0].delta)


def test_fused_arithmetic_is_refused_where_there_is_none(digits: Any) -> None:
    with SimulatedDevice("pico", device_id="d", sensor=digits.sensor()) as device:
        worker = BoardWorker(device.port)
        with pytest.raises(BoardError) as refused:
            worker.train(digits.artefact, replace(PLAN, arithmetic="fma"))
        assert refused.value.status == Status.ARGUMENT
        assert worker.predict(digits.x[:1]).shape == (1, 10)
        assert worker.train(digits.artefact, PLAN).samples == 12


def test_rounds_with_other_steps_follow_each_other(digits: Any) -> None:
    plans = [
        replace(PLAN, momentum=0.9, standardise=True),
        replace(PLAN, momentum=0.5, decay=0.1, standardise=True, schedule="linear"),
        PLAN,
        replace(PLAN, clip=0.1, samples=5),
    ]
    ours, theirs = on_both(digits, "nano33ble", *plans)
    check_same(ours, theirs)
    assert len({bits(found.delta) for found in ours}) == len(plans)


def test_a_round_starts_at_rest(digits: Any) -> None:
    """Momentum of one round does not reach into the next, whose weights are others."""
    plan = replace(PLAN, samples=6, momentum=0.9)
    with SimulatedDevice("nano33ble", device_id="d", sensor=Replay(digits.x, digits.targets)) as d:
        worker = BoardWorker(d.port)
        worker.train(digits.artefact, plan)
        second = worker.train(digits.artefact, plan)
    alone = HostWorker(Replay(digits.x[6:], digits.targets[6:])).train(digits.artefact, plan)
    assert bits(second.delta) == bits(alone.delta)


def test_what_has_no_label_is_inferred_only(digits: Any) -> None:
    some = digits.targets.copy()
    some[[1, 3, 4, 11]] = np.nan
    job = replace(digits, targets=some)
    ours, theirs = on_both(job, "nano33ble", replace(PLAN, momentum=0.5))
    check_same(ours, theirs)
    assert (ours[0].samples, ours[0].meters["unlabelled"]) == (8, 4)
    host = HostWorker(job.sensor())
    host.deploy(job.artefact)
    host.train(job.artefact, replace(PLAN, samples=1, rate=0.0))
    with SimulatedDevice("nano33ble", device_id="d", sensor=job.sensor()) as device:
        worker = BoardWorker(device.port)
        worker.deploy(job.artefact)
        worker.train(job.artefact, replace(PLAN, samples=1, rate=0.0))
        assert worker.evaluate(11) == host.evaluate(11)
    known = ~np.isnan(some[:, 0])
    only = replace(digits, x=digits.x[known], targets=some[known])
    labelled = on_both(only, "nano33ble", replace(PLAN, momentum=0.5, samples=8))[0]
    assert bits(labelled[0].delta) == bits(ours[0].delta)


def test_a_stream_without_any_label_teaches_nothing(sine: Any) -> None:
    job = replace(sine, targets=np.full_like(sine.targets, np.nan))
    host = HostWorker(job.sensor())
    with pytest.raises(TinyfleetError, match="no sample had a label"):
        host.train(job.artefact, PLAN)
    sensor = Replay(job.x, job.targets)
    with SimulatedDevice("nano33ble", device_id="d", sensor=sensor) as device:
        worker = BoardWorker(device.port)
        for work in (lambda: worker.train(job.artefact, PLAN), lambda: worker.evaluate(4)):
            with pytest.raises(BoardError) as refused:
                work()
            assert refused.value.status == Status.SENSOR
        assert np.array_equal(BoardClient(device.port).get_parameters(), sine.spec.initial(1))


@pytest.mark.parametrize("kind", ["float", "int8"])
@pytest.mark.parametrize("classes", [True, False])
def test_a_model_that_was_only_deployed_is_evaluated(kind: str, classes: bool, job_of: Any) -> None:
    job = job_of([6, 5, 3], classes=classes)
    weights = job.spec.initial(1)
    file = write_int8(job.spec, weights, job.x, name="i") if kind == "int8" else job.artefact
    host = HostWorker(job.sensor())
    host.deploy(file)
    with SimulatedDevice("nano33ble", device_id="d", sensor=job.sensor()) as device:
        board = BoardWorker(device.port)
        board.deploy(file)
        ours, theirs = host.evaluate(10), board.evaluate(10)
    np.testing.assert_equal(ours, theirs)
    assert np.isnan(float(ours["loss"])) == (kind == "int8" and classes)


def clusters(classes: list[int], n: int, seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Samples around one centre for each class."""
    centres = np.random.default_rng(0).normal(size=(5, 8)) * 2
    rng = np.random.default_rng(seed)
    y = rng.choice(classes, n)
    return (centres[y] + rng.normal(size=(n, 8)) * 0.5).astype(np.float32), y


def right(worker: Any, classes: list[int]) -> float:
    x, y = clusters(classes, 60, seed=9)
    return float((worker.predict(x).argmax(1) == y).mean())


def test_a_board_learns_a_class_that_its_artefact_did_not_have() -> None:
    spec = ModelSpec.mlp([8, 16, 4], hidden="relu", output="softmax")
    old, new = [0, 1, 2, 3], [0, 1, 2, 3, 4]
    base = HostWorker(Replay(*clusters(old, 400, seed=1)))
    file = write(spec, spec.initial(3), name="four")
    delta = base.train(file, Plan("s", 0.05, 400)).delta
    wider, vector = with_spare_classes(spec, spec.initial(3) + delta, 1)
    artefact = write(wider, vector, name="four and a spare one")
    x, y = clusters(new, 150, seed=2)
    host = HostWorker(Replay(x, y))
    host.deploy(artefact)
    assert right(host, old) == 1
    ours = host.train(artefact, Plan("s", 0.05, 150))
    with SimulatedDevice("nano33ble", device_id="d", sensor=Replay(x, y)) as device:
        worker = BoardWorker(device.port)
        worker.deploy(artefact)
        assert right(worker, old) == 1
        assert right(worker, [4]) == 0
        theirs = worker.train(artefact, Plan("s", 0.05, 150))
        assert right(worker, [4]) == 1
        assert right(worker, old) >= 0.95
    check_same([ours], [theirs])


def test_classes_are_added_by_hand_until_none_is_left() -> None:
    spec = ModelSpec.mlp([8, 4], output="softmax")
    wider, vector = with_spare_classes(spec, spec.initial(3), 2)
    artefact = write(wider, vector, name="two spare ones")
    host = HostWorker(Replay(np.zeros((1, 8)), [0]))
    host.train(artefact, replace(PLAN, samples=1, rate=0.0))
    with SimulatedDevice("microbit", device_id="d") as device:
        board = BoardClient(device.port)
        board.upload_artifact(artefact)
        assert board.add_class() == host.add_class() == 4
        assert board.add_class(5) == host.add_class(5) == 5
        assert board.add_class(5) == host.add_class(5) == 5
        for index in (None, 6):
            with pytest.raises(BoardError) as refused:
                board.add_class(index)
            assert refused.value.status == Status.ARGUMENT
        x = np.arange(8, dtype=np.float32)
        assert bits(board.predict(x)) == bits(host.predict(x[None])[0])
        assert board.predict(x).min() > 0
        weights = board.get_parameters()
        np.testing.assert_array_equal(weights[-2:], np.float32(weights[-6:-2].mean()))


WATCHING = Watching(warm_up=30, threshold=8.0, most=25)


def drifting(n: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """A regression whose target changes at half time; each seventh target is not known."""
    rng = np.random.default_rng(6)
    x = rng.uniform(-1, 1, size=(n, 4)).astype(np.float32)
    y = x[:, :2] + 0.05 * rng.normal(size=(n, 2))
    y[n // 2 :] += 1.5
    y[::7] = np.nan
    return x, y.astype(np.float32)


@pytest.mark.parametrize(
    "options",
    [{}, {"momentum": 0.5}, {"schedule": "linear"}, {"standardise": True}],
    ids=str,
)
def test_watching_learns_only_after_a_drift(options: dict[str, Any]) -> None:
    spec = ModelSpec.mlp([4, 2])
    weights = np.zeros(spec.n_parameters, np.float32)
    weights[[0, 5]] = 1
    artefact = write(spec, weights, name="identity")
    plan, (x, y) = replace(PLAN, **options), drifting(280)
    host = HostWorker(Replay(x, y))
    host.deploy(artefact)
    ours = [host.watch(n, plan, WATCHING) for n in (140, 10, 50, 80)]
    with SimulatedDevice("nano33ble", device_id="d", sensor=Replay(x, y)) as device:
        worker = BoardWorker(device.port)
        worker.deploy(artefact)
        theirs = [worker.watch(n, plan, WATCHING) for n in (140, 10, 50, 80)]
        assert [asdict(found) for found in ours] == [asdict(found) for found in theirs]
        assert bits(worker.predict(x[:5])) == bits(host.predict(x[:5]))
    before, *after = ours
    assert (before.drifts, before.learnt, before.unlabelled) == (0, 0, 20)
    assert sum(found.drifts for found in after) == 1
    assert 0 < sum(found.learnt for found in after) <= WATCHING.most
    assert sum(found.unlabelled for found in ours) == 40
    assert after[0].score > 3
    assert not after[-1].drifting
    if options != {"schedule": "linear"}:
        assert after[-1].loss_mean < after[0].loss_mean / 2


@pytest.mark.parametrize("name", ["nano33ble"])
def test_an_autoencoder_learns_its_own_input(name: str, job_of: Any) -> None:
    job = job_of([6, 3, 6], classes=False)
    for standardise in (False, True):
        plan = replace(PLAN, reconstruct=True, standardise=standardise)
        ours, theirs = on_both(job, name, plan)
        check_same(ours, theirs)
        unknown = replace(job, targets=np.full_like(job.targets, np.nan))
        assert bits(on_both(unknown, name, plan)[1][0].delta) == bits(ours[0].delta)


@pytest.mark.parametrize(
    "fields",
    [
        {Key.DATA: b""},
        {Key.DATA: bytes(15)},
        {Key.DATA: b"\0\0\x80\x3f" + bytes(12)},
        {Key.DATA: b"\0\0\xc0\x7f" + bytes(12)},
        {Key.DATA: b"\0\0\0\x3f" + bytes(12)},
        {Key.DATA: bytes(12) + b"\2\0\0\0"},
        {Key.DATA: 7},
        {Key.FLAGS: 2},
        {Key.FLAGS: 32},
    ],
    ids=str,
)
def test_a_senseless_step_is_refused(fields: dict[Any, Any], sine: Any) -> None:
    """Too short, momentum 1, not a number, momentum without its flag, an unknown schedule..."""
    with SimulatedDevice("nano33ble", device_id="d", sensor=sine.sensor()) as device:
        board = BoardClient(device.port)
        board.upload_artifact(sine.artefact)
        request = {Key.SAMPLES: 2, Key.EPOCHS: 1, Key.RATE: 0.5, Key.TRAIN_LAYERS: 0, **fields}
        with pytest.raises(BoardError) as refused:
            board._work(Op.TRAIN, request)
        assert refused.value.status == Status.FIELD
        assert device.samples == 0


@pytest.mark.parametrize("words", [Steps().words(), Steps().words() + bytes(16), b""], ids=len)
def test_watching_needs_all_its_words(words: bytes, sine: Any) -> None:
    with SimulatedDevice("nano33ble", device_id="d", sensor=sine.sensor()) as device:
        board = BoardClient(device.port)
        board.upload_artifact(sine.artefact)
        with pytest.raises(BoardError) as refused:
            board._work(Op.WATCH, {Key.SAMPLES: 2, Key.RATE: 0.5, Key.DATA: words})
        assert refused.value.status == Status.FIELD


@pytest.mark.parametrize(("target", "x"), [(4.5, 1.0), (4.0, np.nan)])
def test_a_refused_sample_puts_no_class_into_use(target: float, x: float) -> None:
    spec = ModelSpec.mlp([8, 4], output="softmax")
    file = write(*with_spare_classes(spec, spec.initial(3), 1), name="spare")
    sensor = Replay(np.full((1, 8), x), np.array([[target]]))
    with SimulatedDevice("nano33ble", device_id="d", sensor=sensor) as device:
        client = BoardClient(device.port)
        client.upload_artifact(file)
        before = client.get_parameters()
        with pytest.raises(BoardError):
            client.train(1, rate=0.1)
        assert bits(client.get_parameters()) == bits(before)


def test_weights_that_do_not_fit_leave_the_learnt_ones(sine: Any) -> None:
    sensor = Replay(sine.x, sine.targets)
    with SimulatedDevice("nano33ble", device_id="d", sensor=sensor) as device:
        client = BoardClient(device.port)
        client.upload_artifact(sine.artefact)
        client.train(5, rate=0.05)
        learnt = client.get_parameters()
        with pytest.raises(BoardError, match="SIZE"):
            client.set_parameters(np.zeros(3, np.float32), train_layers=1)
        assert bits(client.get_parameters()) == bits(learnt)


def test_infinite_weights_are_not_saved() -> None:
    spec = ModelSpec.mlp([3, 2])
    file = write(spec, np.ones(spec.n_parameters, np.float32), name="wide")
    sensor = Replay(np.array([[1e18, 1, 1]]), np.zeros((1, 2)))
    with SimulatedDevice("nano33ble", device_id="d", sensor=sensor) as device:
        client = BoardClient(device.port)
        client.upload_artifact(file)
        client.train(1, rate=1e10)
        assert not np.isfinite(client.get_parameters()).all()
        with pytest.raises(BoardError, match="NONFINITE"):
            client.save()
        device.restart()
        assert np.isfinite(BoardClient(device.port).get_parameters()).all()
