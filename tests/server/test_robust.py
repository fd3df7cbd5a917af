"""Robust aggregation: honest cohorts are averaged, liars are not followed."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import UsageError
from server.simulate import simulate
from server.strategies import STRATEGIES, Contribution, get_strategy
from server.strategies.robust import check_rule, require_enough, robust_mean
from server.tasks import get_task

DEFENCES = ("clip:2", "median", "trimmed:0.2", "krum:2")


def cohort(seed: int, honest: int = 9, liars: int = 2, size: float = 1e6) -> list[Contribution]:
    rng = np.random.default_rng(seed)
    good = [rng.normal(1, 0.05, 12) for _ in range(honest)]
    bad = [rng.normal(0, 1, 12) * size for _ in range(liars)]
    return [Contribution(f"d{i}", d.astype(np.float32), 4) for i, d in enumerate(good + bad)]


@pytest.mark.parametrize("rule", DEFENCES)
@given(seed=st.integers(0, 2**32))
def test_liars_do_not_move_the_model_far(rule: str, seed: int) -> None:
    base, updates = np.zeros(12, np.float32), cohort(seed)
    strategy = get_strategy("reptile", robust=rule)
    found = strategy.aggregate(base, updates, 1.0)
    assert np.abs(found - 1).max() < 1
    assert np.abs(get_strategy("reptile").aggregate(base, updates, 1.0) - 1).max() > 100
    random.Random(seed).shuffle(updates)
    assert strategy.aggregate(base, iter(updates), 1.0).tobytes() == found.tobytes()


@pytest.mark.parametrize("name", sorted(STRATEGIES))
@pytest.mark.parametrize("rule", DEFENCES)
def test_every_strategy_takes_every_rule(name: str, rule: str) -> None:
    strategy = get_strategy(name, robust=rule)
    base = np.ones(12, np.float32)
    assert np.array_equal(strategy.aggregate(base, [], 1.0), base)
    if strategy.remembers:
        return
    one = [Contribution("d", np.full(12, 0.25, np.float32), 4)]
    assert np.array_equal(strategy.aggregate(base, one, 1.0), base + 0.25)
    assert get_strategy(name, **strategy.options()) == strategy


@given(seed=st.integers(0, 2**32), honest=st.integers(1, 12))
def test_without_liars_the_rules_are_close_to_the_mean(seed: int, honest: int) -> None:
    updates = cohort(seed, honest, 0)
    mean = robust_mean("mean", updates).value()
    np.testing.assert_allclose(mean, np.mean([u.delta for u in updates], axis=0), rtol=1e-6)
    for rule in ("clip:1e9", "trimmed:0", "krum:0"):
        np.testing.assert_allclose(robust_mean(rule, updates).value(), mean, rtol=1e-6)
    for rule in ("median", "trimmed:0.3", "krum:3"):
        np.testing.assert_allclose(robust_mean(rule, updates).value(), mean, atol=0.3)


def test_clipping_weighs_by_samples_where_the_strategy_does() -> None:
    updates = [
        Contribution("a", np.float32([8, 0]), 1),
        Contribution("b", np.float32([0, 1]), 3),
    ]
    found = get_strategy("fedavg", robust="clip:4").aggregate(np.zeros(2, np.float32), updates, 1.0)
    np.testing.assert_allclose(found, [1.0, 0.75])


@pytest.mark.parametrize(
    "rule",
    ["", "mode", "median:3", "clip", "clip:0", "clip:nan", "trimmed:0.5", "krum:1.5", "krum"],
)
def test_a_rule_that_is_none_is_refused(rule: str) -> None:
    with pytest.raises(UsageError, match="robust rule"):
        check_rule(rule)
    with pytest.raises(UsageError):
        get_strategy("reptile", robust=rule)


def test_krum_needs_more_devices_than_its_liars_allow() -> None:
    with pytest.raises(UsageError, match="needs 7 devices") as caught:
        require_enough("krum:2", 6)
    assert "krum:1" in caught.value.hint
    require_enough("krum:2", 7)
    require_enough("krum:0", 1)
    require_enough("median", 1)
    with pytest.raises(UsageError, match="needs 5 devices"):
        simulate(get_task("sine"), get_strategy("reptile", robust="krum:1"), 1, 4)
