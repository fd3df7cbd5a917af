"""The drift monitor: false alarms, delays, recovery, and C against its twin."""

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import UsageError
from edge.learner.monitor import (
    DriftMonitor,
    NativeMonitor,
    ReferenceMonitor,
)
from edge.learner.native import library
from edge.stepping import Watching

needs_c = pytest.mark.skipif(library() is None, reason="no C compiler")
losses = st.floats(width=32)


def alarms(monitor: DriftMonitor, stream: Iterable[float]) -> list[int]:
    """Where the state became drift."""
    found, before = [], monitor.drift
    for at, loss in enumerate(stream):
        drift = monitor.update(loss)
        if drift and not before:
            found.append(at)
        before = drift
    return found


@needs_c
@given(
    st.lists(st.one_of(losses, st.floats(0, 10, width=32)), max_size=60),
    st.integers(2, 10),
    st.floats(0, 2, width=32),
    st.floats(0.125, 16, width=32),
)
def test_twin_and_c_have_the_same_bits(
    stream: list[float], warm_up: int, allowance: float, threshold: float
) -> None:
    options = Watching(warm_up=warm_up, allowance=allowance, threshold=threshold)
    native, twin = NativeMonitor(options), ReferenceMonitor(options)
    for loss in stream:
        assert native.update(loss) == twin.update(loss)
        assert native.excess == twin.excess
        assert native.score(1.5) == twin.score(1.5)


@needs_c
@pytest.mark.parametrize("kind", ["normal", "squared error", "exponential", "log-normal"])
def test_no_false_alarm_in_thirty_thousand_losses(kind: str) -> None:
    """With the usual options; 300,000 of each kind gave none either."""
    rng = np.random.default_rng(8)
    drawn = rng.normal(size=30_000)
    stream = {
        "normal": drawn + 5,
        "squared error": drawn**2,
        "exponential": rng.exponential(size=30_000),
        "log-normal": np.exp(drawn),
    }[kind]
    assert alarms(DriftMonitor(), stream) == []


def test_four_times_the_squared_error_is_found_soon() -> None:
    """After 1,000 losses; 200 streams gave a median delay of 26 samples, 57 at 95 %."""
    delays = []
    for seed in range(20):
        error = np.random.default_rng(seed).normal(size=1300)
        error[1000:] *= 2
        delays.append(alarms(DriftMonitor(), error**2)[0] - 1000)
    assert min(delays) >= 0
    assert np.median(delays) <= 40
    assert max(delays) <= 120


@pytest.mark.parametrize("scale", [2.0**-10, 2.0**20])
def test_no_scale_has_to_be_known(scale: float) -> None:
    error = np.random.default_rng(1).normal(size=1300)
    error[1000:] *= 2
    assert alarms(ReferenceMonitor(), scale * error**2) == alarms(ReferenceMonitor(), error**2)


def test_it_comes_back_when_the_losses_do() -> None:
    rng = np.random.default_rng(2)
    monitor = ReferenceMonitor()
    assert len(alarms(monitor, [*rng.exponential(size=500), *(8 + rng.exponential(size=20))])) == 1
    assert monitor.drift
    assert alarms(monitor, rng.exponential(size=200)) == []
    assert not monitor.drift
    assert monitor.score(8) > 4


def test_one_wild_loss_is_no_drift() -> None:
    rng = np.random.default_rng(3)
    stream = rng.exponential(size=400)
    stream[200] = 1e6
    assert alarms(ReferenceMonitor(), stream) == []


def test_what_is_not_finite_is_not_counted() -> None:
    rng = np.random.default_rng(4)
    stream = rng.exponential(size=300).tolist()
    with_bad = [*stream[:200], float("nan"), float("inf"), -float("inf"), 3e38, *stream[200:]]
    plain, other = ReferenceMonitor(), ReferenceMonitor()
    alarms(plain, stream)
    alarms(other, with_bad)
    assert (plain.score(2), plain.excess) == (other.score(2), other.excess)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"warm_up": 1}, "warm_up is 1"),
        ({"allowance": -0.5}, "allowance is -0.5"),
        ({"allowance": float("nan")}, "allowance is nan"),
        ({"threshold": 0.0}, "threshold is 0.0"),
        ({"threshold": float("inf")}, "threshold is inf"),
        ({"most": 0}, "most is 0"),
        ({"threshold": 1e39}, "threshold is 1e\\+39"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, float], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        Watching(**options)  # type: ignore[arg-type]
