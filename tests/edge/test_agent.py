import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge.agent import run_agent
from edge.answers import Memory, update_of
from edge.artifact import Artifact
from edge.broker import Kind, LocalBroker, find_mosquitto, has_amqtt
from edge.errors import ArtifactError, BrokerUnreachable, DoesNotFit, TinyfleetError, UsageError
from edge.faults import IN_A_ROW, SourceError
from edge.host import HostWorker
from edge.learner import OnlineLearner
from edge.messages import Command, Offer, Plan
from edge.mqtt import BrokerOptions
from edge.session import DeviceSession
from edge.sockets import free_port
from edge.sources import JsonLines, Replay, open_source
from edge.store import ArtefactStore
from edge.worker import Trend
from tests.edge.hub import SITE, Hub
from tests.edge.models import SPEC, model, samples, sensor, sha

KINDS = [
    pytest.param("mosquitto", marks=pytest.mark.skipif(find_mosquitto() is None, reason="none")),
    pytest.param("amqtt", marks=pytest.mark.skipif(not has_amqtt(), reason="none")),
]


def expected(data: bytes, plan: Plan, layers: int = 0) -> tuple[np.ndarray, list[float]]:
    """The oracle: the learner by hand."""
    learner = OnlineLearner(data, train_layers=layers, standardise=plan.standardise)
    base, source, losses = learner.parameters, sensor(), []
    for epoch in range(plan.epochs):
        if epoch > 0:
            source.rewind()
        for _ in range(plan.samples):
            x, y = source.next_sample()
            losses.append(learner.learn_one(x, y, rate=plan.rate))
    return learner.parameters - base, losses


@pytest.mark.parametrize(
    "plan",
    [
        Plan("s", 0.1, 12),
        Plan("s", 0.05, 5, epochs=3),
        Plan("s", 0.1, 8, train_layers=1),
        Plan("s", 0.1, 8, standardise=True),
    ],
)
def test_training_is_the_learner_over_the_sensor(plan: Plan) -> None:
    data = model()
    result = HostWorker(sensor()).train(data, plan)
    delta, losses = expected(data, plan, plan.train_layers)
    assert result.delta.tobytes() == delta.tobytes()
    assert result.samples == len(losses) == plan.samples * plan.epochs
    assert (result.loss_first, result.loss_last) == (losses[0], losses[-1])
    assert result.loss_mean == pytest.approx(np.mean(losses), rel=1e-5)
    assert np.abs(result.delta).max() > 0


def test_losses_are_told_as_means_not_of_single_samples(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "tinyfleet")
    data, plan = model(), Plan("s", 0.05, 24)
    offer = Offer("r1", 3, sha(data), ("d1",), plan, 0.0, "o1")
    update_of("d1", HostWorker(sensor()), offer, data, Memory())
    losses = np.float32(expected(data, plan)[1])
    told = (f"mean loss {np.mean(losses[:10]):.4g} of 10 samples at first, "
            f"{np.mean(losses[-10:]):.4g} of 10 samples at last")  # fmt: skip
    assert caplog.messages == [f"d1 learnt 24 samples in round 3 of r1: {told}"]
    assert [Trend.of(np.zeros(n, np.float32)) for n in (1, 7)] == [None, None]
    assert Trend.of(np.arange(1000, dtype=np.float32)) == Trend(100, 49.5, 949.5)


def test_every_round_starts_from_the_base_it_is_given() -> None:
    worker, plan = HostWorker(sensor()), Plan("s", 0.1, 16)
    first = worker.train(model(), plan)
    worker.train(model(2), plan)
    assert worker.train(model(), plan).delta.tobytes() == first.delta.tobytes()


def test_running_statistics_stay_on_the_device_between_rounds() -> None:
    plan = Plan("s", 0.1, 16, standardise=True)
    worker = HostWorker(sensor())
    first, second = (worker.train(model(), plan) for _ in range(2))
    assert first.delta.tobytes() != second.delta.tobytes()


def test_what_does_not_fit_is_refused_before_it_runs() -> None:
    worker = HostWorker(sensor(), arena=100)
    with pytest.raises(DoesNotFit) as caught:
        worker.train(model(), Plan("s", 0.1, 4))
    assert caught.value.available == 100
    assert caught.value.needed > SPEC.n_parameters * 4
    with pytest.raises(DoesNotFit):
        HostWorker(sensor(), slot=100).deploy(model())


def test_bad_artefacts_leave_the_old_one_active() -> None:
    worker, good = HostWorker(sensor()), model()
    worker.deploy(good)
    for bad in (b"", b"junk" * 100, good[: len(good) // 2]):
        with pytest.raises(ArtifactError):
            worker.deploy(bad)
        with pytest.raises(ArtifactError):
            worker.train(bad, Plan("s", 0.1, 4))
    assert worker.running == sha(good)
    x, _ = samples()
    assert worker.predict(x).tobytes() == OnlineLearner(good).predict_many(x).tobytes()


def test_evaluate_measures_own_samples_and_learns_nothing() -> None:
    worker = HostWorker(sensor())
    with pytest.raises(TinyfleetError, match="no model"):
        worker.evaluate(4)
    worker.train(model(), Plan("s", 0.2, 160))
    first = worker.evaluate(16)
    assert first["correct"] == 16
    assert worker.evaluate(16) == first


def test_rollback_and_restart(tmp_path: Path) -> None:
    one, two = model(1), model(2)
    for store in (None, ArtefactStore(tmp_path)):
        worker = HostWorker(sensor(), store=store)
        with pytest.raises(TinyfleetError, match="go back"):
            worker.rollback()
        for data in (one, two):
            worker.deploy(data)
        assert worker.running == sha(two)
        worker.rollback()
        assert worker.running == sha(one)
        with pytest.raises(TinyfleetError, match="go back"):
            worker.rollback()
    again = HostWorker(sensor(), store=ArtefactStore(tmp_path))
    assert again.running == sha(one)


def test_a_store_never_believes_a_damaged_file(tmp_path: Path) -> None:
    store = ArtefactStore(tmp_path)
    for data in (b"one", b"two", b"three"):
        store.deploy(data)
    assert {path.stem for path in tmp_path.glob("*.model")} == {sha(b"two"), sha(b"three")}
    (tmp_path / f"{sha(b'three')}.model").write_bytes(b"thr")
    assert ArtefactStore(tmp_path).active == b"two"
    for damaged in ('["../../etc/passwd"]', '["../../etc/passwd", 5, {}]', "{", "", "[" * 200_000):
        (tmp_path / "index.json").write_text(damaged)
        assert ArtefactStore(tmp_path).active == b"two"
    (tmp_path / "file").touch()
    with pytest.raises(UsageError):
        ArtefactStore(tmp_path / "file" / "below")


@pytest.fixture(scope="module", params=KINDS)
def broker(request: pytest.FixtureRequest) -> Iterator[LocalBroker]:
    kind: Kind = request.param
    with LocalBroker(kind=kind) as running:
        yield running


def test_an_agent_learns_deploys_and_answers_over_mqtt(broker: LocalBroker, hub: Hub) -> None:
    data, stop, ready = model(), threading.Event(), threading.Event()

    def run() -> None:
        run_agent(
            broker.options,
            site="lab",
            device="a1",
            sensor=sensor(),
            stop=stop,
            on_ready=lambda session: ready.set(),
        )

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(10)
    hub.state("online", "a1")
    plan = Plan("s", 0.1, 12)
    hub.offer(hub.publish_model(data), cohort=("a1",), plan=plan)
    update = hub.update(device="a1")
    assert update.delta.tobytes() == expected(data, plan)[0].tobytes()
    learnt = Artifact(data)
    learnt = learnt.with_parameters(learnt.parameters() + update.delta)
    new = hub.publish_model(learnt.data)
    assert hub.ask(Command("deploy", "c1", base=new), "a1").ok
    assert hub.state("online", "a1").running == new
    x, _ = samples()
    ack = hub.ask(Command("predict", "c2", x=x), "a1")
    assert ack.y is not None
    assert ack.y.tobytes() == OnlineLearner(learnt.data).predict_many(x).tobytes()
    wrong = hub.ask(Command("predict", "c3", x=x[:, :2]), "a1")
    assert not wrong.ok
    stop.set()
    thread.join(20)
    assert not thread.is_alive()
    assert hub.state("offline", "a1").running == new


def agent_process(broker: LocalBroker, state: Path) -> "subprocess.Popen[bytes]":
    script = (
        "import sys; from pathlib import Path\n"
        "from edge.agent import run_agent; from edge.mqtt import BrokerOptions\n"
        "from edge.sources import open_source\n"
        "run_agent(BrokerOptions(url=sys.argv[1]), site='lab', device='a2',\n"
        "          sensor=open_source(sys.argv[2]), state=Path(sys.argv[3]))\n"
    )
    x, y = samples()
    np.savez(state.with_suffix(".npz"), x=x, y=y)
    command = [sys.executable, "-c", script, broker.url, str(state.with_suffix(".npz")), str(state)]
    return subprocess.Popen(command, cwd=Path(__file__).resolve().parents[2])


def test_an_agent_that_is_killed_is_offline_and_comes_back_with_its_model(
    broker: LocalBroker, hub: Hub, tmp_path: Path
) -> None:
    hub.heard.clear()
    first = agent_process(broker, tmp_path / "state")
    hub.state("online", "a2")
    base = hub.publish_model(model())
    assert hub.ask(Command("deploy", "k1", base=base), "a2").ok
    first.kill()
    first.wait()
    hub.state("offline", "a2")
    second = agent_process(broker, tmp_path / "state")
    assert hub.state("online", "a2").running == base
    second.send_signal(signal.SIGTERM)
    assert second.wait(20) == 0
    hub.state("offline", "a2")


def test_a_restarted_broker_is_found_again() -> None:
    with LocalBroker() as broker:
        port, options = broker.port, broker.options
        session = DeviceSession(options, SITE.device("a6"), HostWorker(sensor())).start()
    with LocalBroker(port) as broker:
        hub = Hub(options)
        hub.state("online", "a6")
        hub.wait(lambda: hub.payloads("describe", "a6") or None)
        session.stop()
        hub.state("offline", "a6")
        hub.close()


def test_an_agent_without_a_broker_says_so() -> None:
    options = BrokerOptions(url=f"mqtt://127.0.0.1:{free_port()}")
    with pytest.raises(BrokerUnreachable):
        run_agent(options, site="lab", device="a1", sensor=sensor())
    with pytest.raises(UsageError):
        run_agent(options, site="lab", device="models", sensor=sensor())


def test_a_sensor_that_runs_dry_declines_the_round(
    broker: LocalBroker, hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "tinyfleet")
    x, y = samples(3)
    lines = [json.dumps({"x": a.tolist(), "y": int(b)}) for a, b in zip(x, y, strict=True)]
    worker = HostWorker(JsonLines(io.StringIO("\n".join(lines))))
    topics = SITE.device("a4")
    with DeviceSession(broker.options, topics, worker):
        hub.state("online", "a4")
        base = hub.publish_model(model())
        hub.offer(base, cohort=("a4",), plan=Plan("s", 0.1, 3))
        hub.update(device="a4")
        hub.offer(base, 2, cohort=("a4",), plan=Plan("s", 0.1, 3))
        assert "no more samples" in hub.decline(2, device="a4").reason
        assert hub.ask(Command("deploy", "c1", base=base), "a4").ok
        assert not hub.ask(Command("rollback", "c2"), "a4").ok
    said = "\n".join(record.getMessage() for record in caplog.records)
    assert "a4 learnt 3 samples in round 1 of r1: mean loss" in said
    assert "no more samples came after line 3" in said
    assert "a4 declines round 2 of r1: " in said
    assert f"a4 runs model {base[:12]}" in said
    assert "a4 refuses to rollback: there is no artefact to go back to" in said


def test_rounds_with_epochs_go_on_through_a_file_over_mqtt(broker: LocalBroker, hub: Hub) -> None:
    x, y = samples(12)
    plan, data = Plan("s", 0.1, 4, epochs=2), model()
    with DeviceSession(broker.options, SITE.device("a5"), HostWorker(Replay(x, y))):
        hub.state("online", "a5")
        base = hub.publish_model(data)
        for number in range(3):
            learner, own = OnlineLearner(data), slice(4 * number, 4 * number + 4)
            before = learner.parameters
            for _ in range(2):
                learner.learn_many(x[own], y[own, None].astype(np.float32), rate=0.1)
            hub.offer(base, number + 1, cohort=("a5",), plan=plan)
            found = hub.update(number + 1, device="a5")
            assert found.delta.tobytes() == (learner.parameters - before).tobytes()


def test_replay_goes_round_and_rewinds() -> None:
    x, y = samples(3)
    source = Replay(x, y)
    seen = [source.next_sample() for _ in range(4)]
    assert seen[3][0].tolist() == seen[0][0].tolist() == x[0].tolist()
    assert seen[1][1].tolist() == [float(y[1])]
    source.rewind()
    assert source.next_sample()[0].tolist() == x[0].tolist()
    assert Replay(x, x).next_sample()[1].shape == (6,)
    for wrong in ((x[0], y), (x, y[:2]), (x[:0], y[:0])):
        with pytest.raises(UsageError):
            Replay(*wrong)


def test_json_lines_are_read_as_they_come() -> None:
    source = JsonLines(io.StringIO('{"x": [1, 2], "y": 1}\n\n{"x": [3, 4], "y": [5, 6]}\n'), keep=1)
    assert source.next_sample()[1].tolist() == [1.0]
    assert source.next_sample()[1].tolist() == [5.0, 6.0]
    source.rewind()
    assert source.next_sample()[0].tolist() == [3.0, 4.0]
    with pytest.raises(StopIteration):
        source.next_sample()
    for line in ("{", "[]", '{"x": 1, "y": 2}', '{"x": [], "y": 2}', '{"x": ["a"], "y": 2}'):
        with pytest.raises(SourceError):
            JsonLines(io.StringIO(f"{line}\n" * IN_A_ROW)).next_sample()


def test_a_source_is_opened_by_name(tmp_path: Path) -> None:
    x, y = samples(3)
    np.savez(tmp_path / "s.npz", x=x, y=y)
    assert open_source(str(tmp_path / "s.npz")).next_sample()[0].tolist() == x[0].tolist()
    (tmp_path / "junk.npz").write_bytes(os.urandom(50))
    np.savez(tmp_path / "other.npz", a=x)
    np.savez(tmp_path / "object.npz", x=np.array([{}], object), y=y)
    for name, said in (
        ("missing.npz", "no file of samples"),
        ("junk.npz", "is no .npz file"),
        ("other.npz", "has no array x"),
        ("object.npz", "not arrays of numbers"),
    ):
        with pytest.raises(UsageError, match=said) as caught:
            open_source(str(tmp_path / name))
        assert "pickle" not in caught.value.message
    assert isinstance(open_source("-"), JsonLines)
