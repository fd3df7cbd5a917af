import doctest

import numpy as np
import pytest

import server.evaluate
from edge.errors import UsageError
from edge.learner import library
from server.evaluate import Adaptation, adapted, estimate, evaluate, from_scratch
from server.journal import Journal
from server.rounds import Coordinator, Settings
from server.simulate import new_model, simulate
from server.strategies import get_strategy
from server.tasks import get_task
from server.transports.loopback import LoopbackDevice, LoopbackTransport, SensorWorker

SINE = get_task("sine")
HOW = Adaptation(shots=10, epochs=16, rate=0.002, queries=50)
RUNS = {
    "reptile": (300, {"cohort_size": 8, "samples": 10, "epochs": 8, "rate": 0.002}),
    "tinyreptile": (2000, {"samples": 32, "rate": 0.003}),
    "fedavg": (40, {"cohort_size": 4, "rate": 0.001}),
    "anil": (40, {"cohort_size": 4, "rate": 0.0005, "query": 6}),
    "fedadam": (40, {"cohort_size": 4, "rate": 0.0005}),
    "fedbuff": (40, {"cohort_size": 4, "buffer": 4, "rate": 0.0005}),
    "fedprox": (40, {"cohort_size": 4, "rate": 0.0005, "samples": 8, "epochs": 3}),
    "fedrep": (40, {"cohort_size": 4, "rate": 0.0005}),
    "fedyogi": (40, {"cohort_size": 4, "rate": 0.0005}),
    "fomaml": (40, {"cohort_size": 4, "rate": 0.0005, "epochs": 2}),
    "perfedavg": (40, {"cohort_size": 4, "rate": 0.0005}),
    "tinymetafed": (40, {"cohort_size": 4, "rate": 0.0005, "local_epochs": 2}),
}
FRESH = {"fedprox": 24, "fedrep": 64, "tinymetafed": 64, "anil": 16, "fomaml": 20, "perfedavg": 20}
"""Samples that a device takes from its sensor in a round, where it is not a plan's `samples`."""
STEPS = {"momentum": 0.5, "decay": 0.01, "clip": 1.0, "rate_schedule": "linear"}


@pytest.mark.parametrize("name", ["reptile", "tinyreptile"])
def test_meta_learning_beats_fresh_weights_and_training_alone(name):
    rounds, options = RUNS[name]
    outcome = simulate(SINE, get_strategy(name, **options), rounds)
    found = evaluate(SINE, outcome.artifact.data, HOW, clients=30, more=5)
    fresh = adapted(SINE, new_model(SINE).data, HOW, clients=30)[1]
    assert found.after.mean < 2.6 and found.after.mean < 0.75 * found.before.mean
    assert found.after.mean < 0.75 * fresh.mean
    assert found.after.mean < 0.75 * found.scratch.mean
    assert found.after.mean < found.scratch_more.mean
    assert len(outcome.curve) == rounds and outcome.updates == rounds * options.get(
        "cohort_size", 1
    )


@pytest.mark.parametrize("name", sorted(RUNS))
def test_the_same_arguments_give_the_same_bits(name):
    strategy = get_strategy(name, **RUNS[name][1])
    seen = []
    one = simulate(SINE, strategy, 12, clients_per_round=3, seed=5, on_round=seen.append)
    two = simulate(SINE, strategy, 12, clients_per_round=3, seed=5)
    other = simulate(SINE, strategy, 12, clients_per_round=3, seed=6)
    assert one.artifact.data == two.artifact.data != other.artifact.data
    assert one.curve == two.curve == [(r.round, r.loss) for r in seen]
    assert np.array_equal(seen[-1].parameters, one.parameters) and one.updates == 36


def test_a_simulation_goes_on_from_a_model():
    strategy = get_strategy("reptile", **RUNS["reptile"][1])
    first = simulate(SINE, strategy, 3)
    assert not np.array_equal(
        simulate(SINE, strategy, 3, base=first.artifact).parameters, first.parameters
    )


class Recorded:
    """A sensor that gives one recorded support set."""

    def __init__(self, episode):
        self.episode, self.at = episode, 0

    def next_sample(self):
        self.at += 1
        return self.episode.support_x[self.at - 1], self.episode.support_y[self.at - 1]

    def rewind(self):
        self.at = 0


@pytest.mark.parametrize("steps", [{}, STEPS], ids=["plain", "all options"])
@pytest.mark.parametrize("name", sorted(RUNS))
def test_a_simulated_round_has_the_bits_of_a_coordinated_one(name, steps):
    if steps and library() is None:
        pytest.skip("no C compiler")
    strategy, base = get_strategy(name, **RUNS[name][1], **steps), new_model(SINE)
    size = strategy.cohort_size
    drawn = np.random.default_rng([0, 1]).integers(2**31, size=(size, 2))
    samples, devices = FRESH.get(name, strategy.plan(1, 1).samples), []
    for number, (index, state) in enumerate(drawn):
        rng = np.random.default_rng(int(state))
        episode = SINE.client(int(index), "train").episode(rng, shots=samples, queries=1)
        devices.append(LoopbackDevice(f"d{number}", SensorWorker(Recorded(episode))))
    names = [device.device for device in devices]
    coordinated = Coordinator(
        LoopbackTransport(devices), Journal(":memory:"), strategy, Settings(rounds=1),
        run="r", base=base, cohort=names,
    ).run()  # fmt: skip
    assert coordinated.artifact.data == simulate(SINE, strategy, 1).artifact.data != base.data


def test_options_that_no_device_follows_are_refused_before_a_run():
    for options in ({"momentum": 1.0}, {"clip": -1.0}, {"rate_schedule": "cosine"}):
        with pytest.raises(UsageError):
            get_strategy("reptile", **options)


def test_only_the_last_layer_moves_where_the_strategy_says_so():
    strategy = get_strategy("reptile", **RUNS["reptile"][1], train_layers=1)
    before, after = new_model(SINE).parameters(), simulate(SINE, strategy, 2).parameters
    assert np.array_equal(before[:-41], after[:-41])
    assert not np.array_equal(before[-41:], after[-41:])


def test_an_interval_holds_the_mean_and_narrows():
    rng = np.random.default_rng(1)
    few, many = estimate(rng.normal(3, 1, (5, 2))), estimate(rng.normal(3, 1, (500, 2)))
    assert few.low <= few.mean <= few.high and many.low < 3.0 < many.high
    assert many.high - many.low < few.high - few.low
    assert doctest.testmod(server.evaluate).failed == 0


def test_weights_that_run_away_leave_the_device_as_it_was():
    wild = Adaptation(shots=10, epochs=50, rate=1e6)
    before, after = adapted(SINE, new_model(SINE).data, wild, clients=3)
    assert before == after
    outcome = simulate(SINE, get_strategy("reptile", rate=1e9), 2)
    assert np.isfinite(outcome.parameters).all()


@pytest.mark.slow
def test_characters_are_learnt_faster_than_alone():
    task = get_task("characters")
    strategy = get_strategy("reptile", cohort_size=8, samples=25, epochs=4, rate=0.02)
    outcome = simulate(task, strategy, 300)
    how = Adaptation(shots=5, epochs=4, rate=0.02)
    after = adapted(task, outcome.artifact.data, how)[1]
    alone = from_scratch(task, outcome.artifact.data, how, rates=(1.0,))
    assert after.mean > alone.mean + 0.05
