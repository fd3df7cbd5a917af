"""Strategies whose devices train in several passes, or send less than all."""

import numpy as np
import pytest

from edge.answers import Memory, update_of
from edge.layout import sent
from edge.learner import OnlineLearner
from edge.messages import LocalPart, MetaPass, Offer, Plan
from edge.phases import follow
from edge.spec import ModelSpec
from edge.worker import TrainResult
from server.cohort import RoundsFailed
from server.export import tflite
from server.journal import Journal
from server.rounds import Coordinator, Settings
from server.simulate import new_model, simulate
from server.strategies import STRATEGIES, get_strategy
from server.tasks import EpisodeSensor, get_task
from server.transports.loopback import LoopbackDevice, LoopbackTransport, SensorWorker

SINE = get_task("sine")
SPEC = ModelSpec.mlp([1, 8, 1])
HEAD = SPEC.trained(1)


def fleet(count=3):
    workers = [
        SensorWorker(EpisodeSensor(SINE.client(i, "train"), shots=10, seed=i)) for i in range(count)
    ]
    return [LoopbackDevice(f"d{i}", worker) for i, worker in enumerate(workers)]


def coordinator(strategy, devices, journal, rounds=4, base=None):
    return Coordinator(
        LoopbackTransport(devices), journal, strategy, Settings(rounds=rounds),
        run="r", base=base or new_model(SINE), cohort=[device.device for device in devices],
    )  # fmt: skip


def one_step(spec, parameters, x, y, rate):
    learner = OnlineLearner(tflite.write(spec, parameters, name="m"))
    learner.learn_many(x, y, rate=rate)
    return learner.parameters


@pytest.mark.parametrize("name", [name for name in sorted(STRATEGIES) if name != "maml"])
def test_every_strategy_runs_with_devices(name):
    journal = Journal(":memory:")
    result = coordinator(get_strategy(name, rate=0.0005), fleet(), journal).run()
    assert result.status == "done" and not journal.rejected("r")
    assert result.artifact.data != new_model(SINE).data


def test_devices_decline_maml_and_say_what_does():
    journal = Journal(":memory:")
    with pytest.raises(RoundsFailed, match="fomaml"):
        coordinator(get_strategy("maml", rate=0.0005), fleet(), journal, rounds=1).run()
    assert all("fomaml" in row.reason for row in journal.rejected("r"))
    assert len(journal.rejected("r")) == 3


def test_a_local_part_is_never_sent_and_goes_on_where_it_was():
    seen = []

    class Spy(SensorWorker):
        def train(self, artefact, plan, /):
            from edge.artifact import Artifact

            seen.append((plan.train_layers, Artifact(artefact).parameters()))
            return super().train(artefact, plan)

    base = new_model(SINE)
    n, head = base.parameters().size, base.tail_spec.trained(1)
    plan = get_strategy("fedrep", samples=10, rate=0.0005).plan(1, 1)
    worker = Spy(EpisodeSensor(SINE.client(0, "train"), shots=10, seed=0))
    memory, offer = Memory(), Offer("r", 1, base.sha256, ("d",), plan, 0.0, "i")
    update = update_of("d", worker, offer, base.data, memory)
    assert update.delta.shape == (n - head,) and memory.local.shape == (head,)
    assert update.samples == 30 == plan.most_samples
    kept = memory.local.copy()
    update_of("d", worker, offer, base.data, memory)
    assert [layers for layers, _ in seen] == [1, 0, 1, 0]
    assert np.array_equal(seen[2][1][-head:], kept)
    assert not np.array_equal(seen[0][1][-head:], kept)
    fresh = get_strategy("tinymetafed", samples=10, rate=0.0005).plan(1, 1)
    update_of("d", worker, Offer("r", 1, base.sha256, ("d",), fresh, 0.0, "j"), base.data, memory)
    assert np.array_equal(seen[4][1], base.parameters())


def test_fedprox_keeps_devices_nearer_the_stronger_it_is():
    away = []
    for mu in (1e-6, 50.0, 500.0):
        journal, base = Journal(":memory:"), new_model(SINE)
        coordinator(get_strategy("fedprox", mu=mu, rate=0.001), fleet(1), journal, 1, base).run()
        away.append(float(np.linalg.norm(journal.contributions("r", 1)[0].delta)))
    assert away[0] > 1.1 * away[1] > 1.2 * away[2]


def test_the_proximal_point_is_the_minimum():
    start, moved = np.float32([1, -2]), np.float32([3, 5])
    plan = Plan("fedprox", rate=0.1, samples=5, proximal=2.0)
    train = lambda at, plan, part: TrainResult(moved - at, 5, 0.0, 0.0, 0.0)  # noqa: E731
    delta = follow(train, start, ModelSpec.mlp([1, 1]), plan)[0].delta
    step = 0.1 * 5

    def cost(w):
        return np.sum((w - moved) ** 2) / (2 * step) + 2.0 / 2 * np.sum((w - start) ** 2)

    at = start + delta
    for nudge in np.float32([[0.01, 0], [-0.01, 0], [0, 0.01], [0, -0.01]]):
        assert cost(at) < cost(at + nudge)


def test_maml_is_the_gradient_through_one_step_of_adaptation():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    start = (rng.normal(size=SPEC.n_parameters) * 0.5).astype(np.float32)
    x, y = np.float32([[0.7]]), np.float32([[1.3]])
    x2, y2 = np.float32([[-0.4]]), np.float32([[0.2]])
    inner, tiny = 0.1, 1e-3

    def train(at, plan, part):
        data = (x2, y2) if part == "query" else (x, y)
        after = one_step(SPEC, at, *data, tiny if part == "query" else inner)
        return TrainResult(after - at, 1, 0.0, 0.0, 0.0)

    def gradient(curvature):
        plan = Plan("maml", rate=inner, samples=1, meta=MetaPass(1, 0, curvature))
        return follow(train, start, SPEC, plan)[0].delta / -tiny

    def net(w, x):
        hidden = torch.relu(w[:8, None] @ x[None] + w[8:16, None])
        return w[16:24] @ hidden + w[24]

    def loss(w, x, y):
        return ((net(w, torch.tensor(x[0])) - torch.tensor(y[0])) ** 2).sum()

    w = torch.tensor(start, requires_grad=True)
    step = torch.autograd.grad(loss(w, x, y), w, create_graph=True)[0]
    one = OnlineLearner(tflite.write(SPEC, start, name="m"))
    one.learn_many(x, y, rate=inner)
    scale = float(np.linalg.norm(one.parameters - start)) / float((inner * step).norm().detach())
    exact = torch.autograd.grad(loss(w - inner * scale * step, x2, y2), w)[0].numpy() * scale
    second, first = gradient(0.05), gradient(0.0)
    assert np.linalg.norm(second - exact) < 0.02 * np.linalg.norm(exact)
    assert np.linalg.norm(first - exact) > 0.05 * np.linalg.norm(exact)


def test_anil_adapts_the_head_alone_and_sends_a_pass_over_all():
    passes = []

    def train(at, plan, part):
        passes.append((part, plan.train_layers, plan.samples))
        n = SPEC.trained(plan.train_layers)
        return TrainResult(np.ones(n, np.float32), plan.samples, 0.0, 0.0, 0.0)

    plan = get_strategy("anil", samples=6, query=4).plan(1, 1)
    found, local = follow(train, np.zeros(SPEC.n_parameters, np.float32), SPEC, plan)
    assert passes == [("support", 1, 6), ("query", 0, 4)] and local is None
    assert found.delta.tolist() == [1.0] * SPEC.n_parameters and found.samples == 10


def test_a_plan_that_keeps_all_it_trains_is_refused():
    from edge.errors import UsageError

    plan = Plan("fedrep", rate=0.1, samples=1, train_layers=1, local=LocalPart(1))
    with pytest.raises(UsageError, match="none to send"):
        sent(SPEC, plan)
    assert sent(SPEC, Plan("x", 0.1, 1, local=LocalPart(1))) == slice(0, SPEC.n_parameters - HEAD)


@pytest.mark.parametrize("name", ["fedadam", "fedyogi"])
def test_a_server_that_remembers_goes_on_with_the_same_bits(name, tmp_path):
    options = {"rate": 0.0005, "first_outer_rate": 0.05}
    with Journal(tmp_path / "whole.db") as whole, Journal(tmp_path / "cut.db") as cut:
        straight = coordinator(get_strategy(name, **options), fleet(), whole, rounds=6).run()
        devices = fleet()
        first = coordinator(get_strategy(name, **options), devices, cut, rounds=6)
        first.run(on_round=lambda report: first.stop() if report.round == 3 else None)
        assert len(cut.rounds("r")) == 3
        cohort = [device.device for device in devices]
        again = Coordinator.resume(LoopbackTransport(devices), cut, "r", cohort=cohort)
        assert again.run().artifact.data == straight.artifact.data


def test_tinymetafed_sends_a_tenth_of_the_bytes():
    few = simulate(SINE, get_strategy("tinymetafed", rate=0.0005), 5)
    full = simulate(SINE, get_strategy("reptile", rate=0.0005), 5)
    assert 0 < few.bytes_up < 0.1 * full.bytes_up
    assert full.bytes_up == 5 * 8 * 4 * new_model(SINE).parameters().size


def test_compression_composes_with_any_strategy():
    sizes = [
        simulate(SINE, get_strategy("reptile", rate=0.0005, **options), 2).bytes_up
        for options in ({}, {"bits": 8}, {"top_p": 0.1}, {"top_p": 0.1, "bits": 8})
    ]
    n = new_model(SINE).parameters().size
    assert sizes[0] == 2 * 8 * 4 * n and sizes[1] == 2 * 8 * n
    assert sizes[3] < sizes[2] < sizes[1]
