"""A foreign network with a tail of ours on real agents: it learns there, and is kept."""

import io
import json
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from edge import fronted, runtime
from edge.artifact import Artifact
from edge.broker import LocalBroker, find_mosquitto
from edge.chain import UnsupportedOperator
from edge.errors import ArtifactError, DoesNotFit, ExitCode, MissingExtra, UsageError
from edge.fronted import FrontedLearner, learner_of
from edge.host import HostWorker
from edge.layout import layout_of
from edge.learner import NonFinite, OnlineLearner, ReferenceLearner
from edge.messages import Command, Plan
from edge.session import DeviceSession
from edge.sources import JsonLines, Replay
from edge.split import split
from edge.store import ArtefactStore
from edge.topics import SiteTopics
from ontology.catalog import Catalog
from server.bring.hybrid import hybrid
from server.bring.tail import Tail
from server.cli.app import main
from server.journal import Journal
from server.rollout import agreement, deploy
from server.rounds import Coordinator, Settings
from server.strategies import get_strategy
from server.tasks import TASKS, get_task
from server.transports.mqtt import MqttTransport
from tests.server.foreign import FILES, NEEDED, foreign

pytestmark = NEEDED
SITE = SiteTopics("lab")
HYBRID = hybrid(foreign("ARM_MicroNet_VWW_3"), Tail(2, seed=1)).data if FILES else b""
SMALL = hybrid(foreign("Snoring_Guardian"), Tail(2, seed=1)).data if FILES else b""


def stripes(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images 128x128 of stripes that lie (0) or stand (1), with noise."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    phase, width = rng.uniform(0, 6.3, (n, 1)), rng.uniform(3, 6, (n, 1))
    wave = np.sin(np.arange(128)[None] / width + phase)
    images = np.where(y[:, None, None], wave[:, None, :], wave[:, :, None])
    images = images + 0.3 * rng.normal(size=(n, 128, 128))
    low, high = Artifact(HYBRID).input.scales[0], Artifact(HYBRID).input.zero_points[0]
    real = (np.clip(images * 60, -127, 127) - high) * low
    return real.reshape(n, -1).astype(np.float32), y


@pytest.fixture(scope="module")
def broker() -> Iterator[LocalBroker]:
    if find_mosquitto() is None:
        pytest.skip("no Mosquitto here")
    with LocalBroker(kind="mosquitto") as running:
        yield running


def agent(broker: LocalBroker, name: str, seed: int, state: Path) -> DeviceSession:
    sensor = Replay(*stripes(24, seed))
    worker = HostWorker(sensor, store=ArtefactStore(state / name))
    return DeviceSession(broker.options, SITE.device(name), worker).start()


def evaluated(transport: MqttTransport, device: str) -> tuple[float, int]:
    answer = transport.command(device, Command("evaluate", uuid.uuid4().hex, samples=24), 60)
    assert answer.ok, answer.reason
    return float(answer.result["loss"]), int(answer.result["correct"])


def test_a_fleet_learns_two_classes_on_a_foreign_network(
    broker: LocalBroker, tmp_path: Path
) -> None:
    base, names = Artifact(HYBRID), ["d0", "d1"]
    with pytest.raises(UnsupportedOperator, match="PAD"):
        _ = base.spec
    stack = ExitStack()
    sessions = {name: agent(broker, name, 10 + i, tmp_path) for i, name in enumerate(names)}
    for session in sessions.values():
        stack.callback(session.stop)
    strategy = get_strategy("fedavg", cohort_size=2, samples=24, epochs=2, rate=0.05)
    with stack, MqttTransport(broker.options, SITE) as transport, Journal(":memory:") as journal:
        assert transport.wait_for(2, 10) == names
        assert all(outcome.ok for outcome in deploy(transport, base, names, timeout=60))
        before = [evaluated(transport, name) for name in names]
        result = Coordinator(
            transport, journal, strategy, Settings(rounds=4, deadline=60),
            run="own", base=base, cohort=names,
        ).run()  # fmt: skip
        assert result.status == "done" and result.rounds_done == 4
        learnt = result.artifact
        assert learnt.sha256 != base.sha256
        assert all(outcome.ok for outcome in deploy(transport, learnt, names, timeout=60))
        after = [evaluated(transport, name) for name in names]
        for (loss, correct), (new_loss, new_correct) in zip(before, after, strict=True):
            assert new_loss < 0.5 * loss and new_correct > correct and new_correct >= 22
        held = agreement(transport, learnt, "d0", stripes(4, 3)[0])
        assert held.ok and held.inputs == 4, held
        front, whole = split(base), split(learnt)
        assert front is not None and whole is not None and front.frozen == whole.frozen
        sessions["d0"].kill()
        again = agent(broker, "d0", 10, tmp_path)
        stack.callback(again.stop)
        assert again.worker.running == learnt.sha256
        assert evaluated(transport, "d0") == after[0]


def small_samples(n: int = 8) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    tensor = Artifact(SMALL).input
    y = rng.integers(0, 2, n)
    spread = np.linspace(-1, 1, tensor.elements)
    x = np.where(y[:, None], spread, spread[::-1]) + 0.05 * rng.normal(size=(n, spread.size))
    return (x * 60 * tensor.scales[0]).astype(np.float32), y


def test_the_host_learns_on_features_as_the_learner_would() -> None:
    x, y = small_samples()
    worker = HostWorker(Replay(x, y))
    plan = Plan("s", 0.05, 8, epochs=2, standardise=True, momentum=0.9)
    worker.deploy(SMALL)
    result = worker.train(SMALL, plan)
    parts = split(Artifact(SMALL))
    assert parts is not None
    features = runtime.load(parts.front).run(x)
    twin = HostWorker(Replay(features, y)).train(parts.tail.data, plan)
    assert result.delta.tobytes() == twin.delta.tobytes() and np.abs(result.delta).max() > 0
    assert (result.loss_first, result.loss_last) == (twin.loss_first, twin.loss_last)
    watched = worker.watch(8, plan)
    assert watched.samples == 8


def test_the_twin_learns_on_features_too(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = small_samples()
    native = learner_of(SMALL, standardise=True)
    monkeypatch.setattr(fronted, "OnlineLearner", ReferenceLearner)
    twin = learner_of(SMALL, standardise=True)
    assert (native.backend, twin.backend) == ("c", "numpy")
    losses = native.learn_many(x, y, rate=0.05)
    assert losses.tobytes() == twin.learn_many(x, y, rate=0.05).tobytes()
    assert native.predict_many(x).tobytes() == twin.predict_many(x).tobytes()
    assert twin.loss_one(x[0], [y[0]]) == native.loss_one(x[0], [y[0]])
    other = learner_of(SMALL, standardise=True)
    other.load_state(twin.state())
    assert other.predict_one(x[1]).tobytes() == native.predict_one(x[1]).tobytes()


def test_a_front_tells_layouts_apart() -> None:
    plan = Plan("s", 0.1, 4)
    layout, parameters = layout_of(Artifact(SMALL), plan)
    moved = Artifact(SMALL).with_parameters(parameters + 1)
    assert layout_of(moved, plan)[0] == layout
    first = Artifact(SMALL)
    weights = next(t for t in first.tensors if t.length > 1000)
    other = bytearray(SMALL)
    other[weights.start] ^= 1
    assert layout_of(Artifact(bytes(other)), plan)[0] != layout


def test_no_runtime_refuses_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = HostWorker(JsonLines(io.StringIO()))  # it may feed either model
    known = hybrid(foreign("Squats_Counter"), Tail(2)).data
    worker.deploy(known)
    for name in ("tflite_runtime", "ai_edge_litert", "tflite_micro"):
        for found in [m for m in sys.modules if m.split(".")[0] == name]:
            monkeypatch.delitem(sys.modules, found)
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtra, match=r"no runtime for .tflite files works here") as caught:
        worker.deploy(SMALL)
    assert caught.value.hint == "pip install 'tinyfleet[tflite]'"
    with pytest.raises(MissingExtra):
        worker.train(SMALL, Plan("s", 0.1, 4))
    assert worker.running == Artifact(known).sha256
    assert worker.predict(np.zeros((1, 60), np.float32)).shape == (1, 2)


def test_samples_are_checked_before_they_reach_a_runtime() -> None:
    learner = learner_of(SMALL)
    assert isinstance(learner, FrontedLearner)
    x, y = small_samples(3)
    before = learner.parameters
    for wrong in (x[0, :5], x[:, :5]):
        with pytest.raises(UsageError, match="4160"):
            learner.predict_many(wrong)
    with pytest.raises(NonFinite):
        learner.learn_one(np.full(4160, np.nan, np.float32), [0], rate=0.1)
    assert learner.parameters.tobytes() == before.tobytes()
    assert learner.predict_many(x[:0]).shape == (0, 2)
    one = learner_of(SMALL)
    losses = [one.learn_one(a, [b], rate=0.1) for a, b in zip(x, y, strict=True)]
    assert learner.learn_many(x, y, rate=0.1).tolist() == losses
    assert type(learner_of(hybrid(foreign("Squats_Counter"), Tail(2)).data)) is OnlineLearner
    with pytest.raises(UnsupportedOperator):
        learner_of(foreign("Snoring_Guardian"))
    with pytest.raises(DoesNotFit):
        HostWorker(Replay(x, y), arena=64).train(SMALL, Plan("s", 0.1, 4))


@pytest.mark.parametrize("size", [0, 100, 5000])
def test_a_broken_hybrid_leaves_the_old_one_active(size: int) -> None:
    worker = HostWorker(Replay(*small_samples()))
    worker.deploy(SMALL)
    with pytest.raises(ArtifactError):
        worker.deploy(SMALL[:size])
    assert worker.running == Artifact(SMALL).sha256
    assert worker.evaluate(4)["samples"] == 4


def test_two_threads_that_read_files_do_not_wait_for_each_other() -> None:
    def read() -> None:
        for _ in range(40):
            artifact = Artifact(SMALL)
            _ = artifact.tail_spec, Artifact(SMALL).tail.parameters(), artifact.front

    threads = [threading.Thread(target=read, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)


def test_rounds_from_the_command_line_need_no_task_of_ours(
    broker: LocalBroker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = tmp_path / "base.tflite"
    base.write_bytes(SMALL)
    worker = HostWorker(Replay(*small_samples()))
    line = ["server", "run", "--task", "own", "--strategy", "fedavg", "--rounds", "2"]
    line += ["--samples", "8", "--epochs", "4", "--rate", "0.05", "--broker", broker.url]
    line += ["--site", "own", "--out", str(tmp_path / "runs")]
    with DeviceSession(broker.options, SiteTopics("own").device("d0"), worker):
        assert main([*line, "--base", str(base)]) == 0
        assert "done after round 2" in capsys.readouterr().out
        asked = ["--where", "d0", "--samples", "8", "--broker", broker.url, "--site", "own"]
        assert main(["server", "device", "evaluate", *asked, "--json"]) == 0
        (told,) = json.loads(capsys.readouterr().out)
        assert told["samples"] == 8 and told["loss"] == worker.evaluate(8)["loss"]
        assert main(line) == ExitCode.USAGE
        assert "--base model.tflite" in capsys.readouterr().err
    (learnt,) = (tmp_path / "runs").rglob("model.f32.tflite")
    run = learnt.parents[1]
    with Catalog.open(run / "catalog", read_only=True) as catalog:
        found = catalog.query("SELECT ?model ?name { ?model dct:title ?name }")
        names = {str(row["model"]): row["name"] for row in found}
    first = names.pop(f"urn:sha256:{Artifact(SMALL).sha256}")
    assert first == Artifact(SMALL).name != ""
    assert len(names) == 2 and set(names.values()) == {f"own-{run.name}"}
    before, after = HostWorker(Replay(*small_samples())), HostWorker(Replay(*small_samples()))
    before.deploy(SMALL)
    after.deploy(learnt.read_bytes())
    assert float(after.evaluate(8)["loss"]) < 0.5 * float(before.evaluate(8)["loss"])


def test_the_own_task_has_no_data_here() -> None:
    task = get_task("own")
    assert task.clients("train") == 0 and "own" not in TASKS
    with pytest.raises(UsageError, match="on the devices"):
        task.client(0, "train")
    assert main(["server", "simulate", "--task", "own"]) == ExitCode.USAGE
