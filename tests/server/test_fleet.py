"""The fleet kernel: the bits of the devices' learner, whoever computes and however many."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import MissingExtra, UsageError
from edge.learner import NonFinite, OnlineLearner
from edge.spec import ModelSpec
from edge.steps import conv, dense
from server.clients import EpisodeStreams
from server.export import tflite
from server.fleet import CHUNK, FleetEngine, Job, kernel, takes
from server.fleet import engine as engines
from server.simulate import simulate
from server.strategies import get_strategy
from server.tasks import get_task

pytestmark = pytest.mark.skipif(kernel("exact") is None, reason="no C compiler")
WIDTHS = st.lists(st.integers(1, 21), min_size=2, max_size=4)


def samples(spec: ModelSpec, clients: int, count: int, seed: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(clients, count, spec.n_in)).astype(np.float32)
    x[rng.random(x.shape) < 0.1] = 0
    if spec.loss == "cross_entropy":
        return x, rng.integers(spec.n_out, size=(clients, count, 1)).astype(np.float32)
    return x, rng.normal(0, 0.3, (clients, count, spec.n_out)).astype(np.float32)


def one_by_one(job: Job, x: Any, y: Any) -> Any:
    """The same clients on the devices' learner."""
    file = tflite.write(job.spec, job.start, name="fleet")
    arithmetic = "fma" if job.fma else "mul_add"
    for xs, ys in zip(x, y, strict=True):
        learner = OnlineLearner(file, train_layers=job.train_layers, arithmetic=arithmetic)
        losses = [
            learner.learn_one(xs[i % job.samples], ys[i % job.samples], rate=float(rate))
            for i, rate in enumerate(job.rates)
        ]
        yield losses, learner.parameters


@settings(max_examples=25, deadline=None)
@given(
    WIDTHS, st.sampled_from(["linear", "softmax"]), st.booleans(), st.integers(1, 20),
    st.integers(1, 5), st.integers(1, 2), st.integers(0, 2), st.integers(0, 99),
)  # fmt: skip
def test_each_lane_is_a_client_to_the_bit(
    widths: list[int], output: str, fma: bool, clients: int, count: int, epochs: int, last: int,
    seed: int,
) -> None:  # fmt: skip
    if output == "softmax" and widths[-1] == 1:
        widths[-1] = 2
    spec = ModelSpec.mlp(widths, output=output)
    rates = np.linspace(0.02, 0.01, epochs * count).astype(np.float32)
    job = Job(spec, spec.initial(seed), count, rates, min(last, len(spec.layers)), fma)
    x, y = samples(spec, clients, count, seed)
    exact = kernel("exact")
    assert exact is not None
    total, losses, weights = exact.train(job, x, y, keep=True)
    assert weights is not None
    for mine, loss, (steps, theirs) in zip(weights, losses, one_by_one(job, x, y), strict=True):
        assert mine[-theirs.size :].tobytes() == theirs.tobytes()
        assert loss == pytest.approx(np.mean(steps), rel=1e-5)
    np.testing.assert_allclose(total, (weights - job.start).astype(np.float64).sum(0), atol=1e-9)
    fast = kernel("fast")
    assert fast is not None
    found = fast.train(job, x, y, keep=True)
    np.testing.assert_allclose(found[2], weights, atol=1e-4)
    np.testing.assert_allclose(found[0], total, atol=1e-3)


@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_a_client_that_runs_away_does_not_count(mode: Any) -> None:
    spec = ModelSpec.mlp([2, 4, 1])
    x, y = samples(spec, 20, 8, seed=1)
    x[7] *= 1e15
    job = Job(spec, spec.initial(0), 8, np.full(8, 0.01, np.float32))
    chosen = kernel(mode)
    assert chosen is not None
    total, losses, _ = chosen.train(job, x, y)
    assert np.flatnonzero(np.isnan(losses)).tolist() == [7]
    rest = np.delete(np.arange(20), 7)
    np.testing.assert_allclose(total, chosen.train(job, x[rest], y[rest])[0], atol=1e-5)
    with pytest.raises(NonFinite):
        list(one_by_one(job, x[7:8], y[7:8]))


def test_a_round_of_the_engine_is_a_round_of_the_loop() -> None:
    task, strategy = get_task("characters"), get_strategy("reptile", samples=10, epochs=2)
    loop = simulate(task, strategy, 3, 20)
    for workers in (1, 3):
        found = simulate(task, strategy, 3, 20, engine=FleetEngine(workers=workers))
        assert found.parameters.tobytes() == loop.parameters.tobytes()
        losses = [loss for _, loss in loop.curve]
        assert [loss for _, loss in found.curve] == pytest.approx(losses, rel=1e-5)


def test_engines_and_workers_agree_to_the_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    task = get_task("sine")
    strategy = get_strategy("reptile", samples=2, epochs=2, rate=0.001)
    clients = 2 * CHUNK + 17
    one, two, apart = (
        simulate(task, strategy, 2, clients, engine=engine).parameters.tobytes()
        for engine in (
            FleetEngine(workers=1),
            FleetEngine(workers=3),
            FleetEngine(workers=2, engine="processes"),
        )
    )
    assert one == two == apart


def test_chunks_draw_the_clients_of_the_round() -> None:
    task = get_task("characters")
    drawn = np.random.default_rng(0).integers(2**31, size=(CHUNK + 3, 2))
    streams = EpisodeStreams(task, drawn, shots=1)
    x, y = streams.draw(1, 3)
    expected = streams.episode(CHUNK + 2)
    np.testing.assert_array_equal(x[2], expected.support_x)
    np.testing.assert_array_equal(y[2], expected.support_y)


def test_what_the_kernel_does_not_know_is_refused() -> None:
    convnet = ModelSpec.convnet((4, 4, 1), [conv(2), dense(2)])
    assert not takes(convnet)
    assert not takes(ModelSpec.mlp([2, 3, 1], hidden="tanh"))
    spec = ModelSpec.mlp([2, 3], output="softmax")
    exact = kernel("exact")
    assert exact is not None
    job = Job(spec, spec.initial(0), 2, np.full(2, 0.1, np.float32))
    x, y = samples(spec, 3, 2, seed=0)
    with pytest.raises(UsageError, match="x of shape"):
        exact.train(job, x[:, :1], y)
    y[0, 0] = 3
    with pytest.raises(UsageError, match="class"):
        exact.train(job, x, y)
    with pytest.raises(UsageError, match="plain SGD"):
        momentum = get_strategy("reptile", momentum=0.9)
        simulate(get_task("sine"), momentum, 1, 4, engine=FleetEngine())
    for wrong in ({"mode": "loose"}, {"engine": "cluster"}, {"workers": -1}):
        with pytest.raises(UsageError):
            FleetEngine(**wrong)  # type: ignore[arg-type]


def test_without_a_compiler_or_ray_the_reason_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(MissingExtra, match="Ray"):
        FleetEngine(engine="ray")
    monkeypatch.setattr(engines, "kernel", lambda mode: None)
    with pytest.raises(MissingExtra, match="compiler"):
        FleetEngine()
