import doctest
import importlib
import itertools
import pkgutil
import random
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import server.strategies
from edge.errors import UsageError
from edge.messages import Offer
from server.strategies import STRATEGIES, Contribution, Mean, get_strategy
from server.strategies.schedules import SCHEDULES, outer_rate

every = pytest.mark.parametrize("name", sorted(STRATEGIES))
averaging = pytest.mark.parametrize(
    "name", [name for name, kind in sorted(STRATEGIES.items()) if not kind.remembers]
)
floats = st.floats(-1e3, 1e3, width=32)


def contributions(n, seed, count=7):
    rng = np.random.default_rng(seed)
    return [
        Contribution(f"d{i}", rng.normal(0, 10.0 ** (i - 3), n).astype(np.float32), i + 1)
        for i in range(count)
    ]


@every
@given(seed=st.integers(0, 2**32), rate=st.floats(0.01, 1.0))
def test_any_order_of_updates_gives_the_same_bits(name, seed, rate):
    updates = contributions(33, seed)
    base = np.random.default_rng(seed).normal(size=33).astype(np.float32)
    strategy = get_strategy(name)
    first = strategy.aggregate(base, updates, rate)
    random.Random(seed).shuffle(updates)
    assert get_strategy(name).aggregate(base, iter(updates), rate).tobytes() == first.tobytes()


@every
@given(base=arrays(np.float32, 12, elements=floats), rate=st.floats(0.01, 1.0))
def test_zero_deltas_and_no_updates_give_the_base(name, base, rate):
    strategy = get_strategy(name)
    zero = [Contribution(f"d{i}", np.zeros(12, np.float32), 4) for i in range(3)]
    assert np.array_equal(strategy.aggregate(base, zero, rate), base)
    assert np.array_equal(strategy.aggregate(base, [], rate), base)


@averaging
@given(base=arrays(np.float32, 5, elements=floats), delta=arrays(np.float32, 5, elements=floats))
def test_one_update_at_rate_one_gives_what_the_device_learnt(name, base, delta):
    result = get_strategy(name).aggregate(base, [Contribution("d", delta, 3)], 1.0)
    exact = (base.astype(np.float64) + delta.astype(np.float64)).astype(np.float32)
    assert np.array_equal(result, exact)


@every
def test_shape_dtype_and_inputs_are_kept(name):
    base = np.ones(20, np.float32)
    updates = contributions(20, 1)
    before = [update.delta.copy() for update in updates]
    result = get_strategy(name).aggregate(base, updates, 0.5)
    assert result.dtype == np.float32 and result.shape == (20,)
    assert not np.shares_memory(result, base) and np.array_equal(base, np.ones(20))
    assert all(np.array_equal(u.delta, b) for u, b in zip(updates, before, strict=True))


@every
def test_memory_does_not_grow_with_the_cohort(name):
    n, strategy, base = 20_000, get_strategy(name), np.zeros(20_000, np.float32)
    shared = np.ones(n, np.float32)

    def peak(count):
        updates = [Contribution(f"d{i:04}", shared, 1) for i in range(count)]
        tracemalloc.start()
        strategy.aggregate(base, updates, 1.0)
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    assert peak(200) < peak(2) + 100_000


@every
@given(round=st.integers(1, 500))
def test_plan_goes_over_the_wire_and_options_make_the_strategy_again(name, round):
    strategy = get_strategy(name)
    plan = strategy.plan(round, 500)
    offer = Offer("r", round, "0" * 64, ("d",), plan, 0.0, "i")
    assert Offer.decode(offer.encode()).plan == plan and plan.strategy == name
    assert get_strategy(name, **strategy.options()) == strategy
    assert strategy.cohort_size >= 1 and 0 < strategy.outer_rate(round, 500) <= 1


@given(cut=st.integers(0, 7), seed=st.integers(0, 2**32))
def test_parts_of_a_mean_merge_to_the_whole(cut, seed):
    updates = contributions(9, seed)
    whole, left, right = Mean(9), Mean(9), Mean(9)
    for i, update in enumerate(updates):
        whole.add(update.delta, update.samples)
        (left if i < cut else right).add(update.delta, update.samples)
    merged = left.merge(right)
    assert merged.weight == whole.weight
    np.testing.assert_allclose(merged.value(), whole.value(), rtol=1e-12, atol=1e-12)


@given(schedule=st.sampled_from(sorted(SCHEDULES)), rounds=st.integers(1, 300))
def test_schedules_start_at_the_first_rate_and_never_rise_or_reach_zero(schedule, rounds):
    rates = [outer_rate(schedule, 0.8, n, rounds) for n in range(1, rounds + 1)]
    assert rates[0] == pytest.approx(0.8) and rates[-1] > 0
    assert all(a >= b for a, b in itertools.pairwise(rates))


def test_what_makes_them_different():
    deltas = [Contribution("a", np.float32([1]), 1), Contribution("b", np.float32([4]), 3)]
    base = np.float32([0])
    assert get_strategy("reptile").aggregate(base, deltas, 1.0)[0] == 2.5
    assert get_strategy("fedavg").aggregate(base, deltas, 1.0)[0] == 3.25
    assert get_strategy("tinyreptile").cohort_size == 1
    assert get_strategy("tinyreptile").plan(1, 2).epochs == 1
    assert get_strategy("reptile").plan(1, 2).epochs > 1


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("raptile", {}, "reptile"),
        ("reptile", {"epoch": 3}, "epochs"),
        ("reptile", {"epochs": 1}, "tinyreptile"),
        ("reptile", {"schedule": "step"}, "cosine"),
        ("fedavg", {"rate": 0.0}, "above 0"),
        ("tinyreptile", {"samples": 0}, "1 or more"),
    ],
)
def test_errors_name_what_is_allowed(name, options, said):
    with pytest.raises(UsageError, match=said):
        get_strategy(name, **options)


def test_doctests():
    for part in pkgutil.iter_modules(server.strategies.__path__, "server.strategies."):
        assert doctest.testmod(importlib.import_module(part.name)).failed == 0
    assert doctest.testmod(server.strategies).attempted >= 1
