"""Running statistics: against two passes in float64, and the C library against its twin."""

import ctypes
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from edge.learner.build import library_path
from edge.learner.reference_statistics import RunningStatistics

needs_c = pytest.mark.skipif(library_path() is None, reason="no C compiler")
MILLION = 1_000_000
OFFSETS = np.array([0, 1e4, 1e6, -1e6, 1e-3, 3e3, 2.5e5])
DEVIATIONS = np.array([1, 1, 10, 10, 1e-2, 1e3, 0.5])


class CStatistics(ctypes.Structure):
    _fields_ = [
        ("count", ctypes.c_uint32),
        ("n", ctypes.c_uint32),
        ("mean", ctypes.c_void_p),
        ("m2", ctypes.c_void_p),
    ]


class NativeStatistics:
    """The C functions over arrays of ours."""

    def __init__(self, n: int) -> None:
        self.lib = ctypes.CDLL(str(library_path()))
        for name in ("tl_standardiser_update", "tl_standardiser_apply"):
            getattr(self.lib, name).restype = None
        self.mean, self.m2 = np.zeros((2, n), np.float32), np.zeros((2, n), np.float32)
        self.c = CStatistics(0, n, self.mean.ctypes.data, self.m2.ctypes.data)

    @property
    def count(self) -> int:
        return int(self.c.count)

    def observe_many(self, x: NDArray[np.float32]) -> None:
        x = np.ascontiguousarray(x, np.float32)
        start, step, update = x.ctypes.data, x.strides[0], self.lib.tl_standardiser_update
        this = ctypes.byref(self.c)
        for row in range(len(x)):
            update(this, ctypes.c_void_p(start + row * step))

    def apply(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        x = np.ascontiguousarray(x, np.float32)
        out = np.empty_like(x)
        self.lib.tl_standardiser_apply(
            ctypes.byref(self.c), ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(out.ctypes.data)
        )
        return out


def check_against_two_passes(seen: NativeStatistics, x: NDArray[np.float32]) -> None:
    wide = x.astype(np.float64)
    mean, variance = wide.mean(0), wide.var(0)
    found_mean = seen.mean.astype(np.float64).sum(0)
    found_variance = seen.m2.astype(np.float64).sum(0) / len(x)
    assert (np.abs(found_mean - mean) <= 1e-5 * np.sqrt(variance)).all()
    assert (np.abs(found_mean - mean) <= 1e-5 * np.abs(mean)).all()
    assert (np.abs(found_variance - variance) <= 1e-5 * variance).all()
    for row in x[:: len(x) // 50]:
        exact = (row.astype(np.float64) - mean) / np.sqrt(variance)
        assert (np.abs(seen.apply(row) - exact) <= 1e-5 * np.maximum(np.abs(exact), 1)).all()


@needs_c
@pytest.mark.parametrize("order", ["drawn", "rising", "bursts"])
def test_a_million_samples_match_two_passes(order: str) -> None:
    rng = np.random.default_rng(3)
    x = (rng.normal(size=(MILLION, len(OFFSETS))) * DEVIATIONS + OFFSETS).astype(np.float32)
    if order == "rising":
        x = np.sort(x, axis=0)
    elif order == "bursts":
        x[: MILLION // 2] = x[: MILLION // 2].mean(0, np.float64)
    seen = NativeStatistics(len(OFFSETS))
    seen.observe_many(x)
    check_against_two_passes(seen, x)


@needs_c
def test_ten_thousand_samples_match_two_passes() -> None:
    rng = np.random.default_rng(4)
    x = (rng.normal(size=(10_000, len(OFFSETS))) * DEVIATIONS + OFFSETS).astype(np.float32)
    seen = NativeStatistics(len(OFFSETS))
    seen.observe_many(x)
    check_against_two_passes(seen, x)


def numbers(width: int) -> Any:
    edge = st.floats(-(2.0**59), 2.0**59, width=32, allow_subnormal=False)
    usual = st.floats(-100, 100, width=32)
    offset = st.floats(99968, 100096, width=32)
    return st.integers(1, 12).flatmap(
        lambda rows: arrays(np.float32, (rows, width), elements=st.one_of(edge, usual, offset))
    )


@needs_c
@given(numbers(3))
def test_twin_and_c_have_the_same_bits(x: NDArray[np.float32]) -> None:
    native, twin = NativeStatistics(3), RunningStatistics(3)
    for row in x:
        native.observe_many(row[np.newaxis])
        twin.observe(row)
        assert native.count == twin.count
        assert native.mean.tobytes() == twin.mean.tobytes()
        assert native.m2.tobytes() == twin.m2.tobytes()
        for probe in (row, x[0], np.zeros(3, np.float32)):
            assert native.apply(probe).tobytes() == twin.apply(probe).tobytes()


@given(numbers(2))
def test_the_remainders_are_below_the_last_place(x: NDArray[np.float32]) -> None:
    seen = RunningStatistics(2)
    for row in x:
        seen.observe(row)
    for high, low in (*seen.mean.T, *seen.m2.T):
        assert high + low == high
        assert np.isfinite(high)
    assert (seen.m2[0] >= 0).all()


def test_the_largest_samples_do_not_overflow() -> None:
    seen = RunningStatistics(2)
    with np.errstate(all="raise", under="ignore"):
        for step in range(3000):
            seen.observe(np.float32([1e18, 5.0]) * np.float32((-1) ** step))
        out = seen.apply(np.float32([1e18, 5.0]))
    assert np.isfinite(seen.mean).all()
    assert np.isfinite(seen.m2).all()
    assert np.isfinite(out).all()
    assert out[1] == pytest.approx(1, rel=1e-5)


def test_one_sample_and_a_constant_are_centred_only() -> None:
    seen = RunningStatistics(2)
    seen.observe(np.float32([3, 7]))
    assert seen.apply(np.float32([4, 7])).tolist() == [1, 0]
    for _ in range(50):
        seen.observe(np.float32([3, 7]))
    assert seen.apply(np.float32([4, 7])).tolist() == [1, 0]


def test_the_count_saturates() -> None:
    seen = RunningStatistics(1)
    seen.observe(np.float32([1]))
    seen.count = 1 << 24
    before = seen.mean.tobytes()
    seen.observe(np.float32([9]))
    assert (seen.count, seen.mean.tobytes()) == (1 << 24, before)
