"""The primitives for cores without an FPU give the bits of plain float32 arithmetic."""

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.firmware_sim.soft_core import INCLUDES, SOURCES, SoftCore

Floats = NDArray[np.float32]
Call = Callable[..., None]
N_IN, N_OUT = 31, 9  # more inputs than the list has room for


def plain_dot(start: Floats, w: Floats, x: Floats) -> Floats:
    """start[o] + sum over i of w[i][o] * x[i], in index order, zero factors left out."""
    total = start.copy()
    for row, factor in zip(w, x, strict=True):
        if factor != 0:
            total += row * factor
    return total


def plain_update(w: Floats, x: Floats, g: Floats) -> Floats:
    used = np.not_equal.outer(x, np.zeros_like(g)) & (g != 0)
    return np.where(used, w - np.multiply.outer(x, g), w)


def pattern(rng: np.random.Generator, n: int, kind: str) -> Floats:
    """Bits that are hard to round: few, or nearly all, of the mantissa, in `kind` of exponents."""
    low, high = {
        "near": (126, 129),
        "gaps": (100, 152),
        "small": (58, 70),
        "large": (165, 200),
        "any": (0, 256),
    }[kind]
    exponent = rng.integers(low, high, n, dtype=np.uint32) << 23
    masks = [0x7FFFFF, 0x700000, 0x7FF000, 0, 3]
    mantissa = rng.integers(0, 1 << 23, n, dtype=np.uint32) & rng.choice(masks, n).astype("<u4")
    mantissa |= (rng.choice([0, 0, 0x7FFFF0], n)).astype("<u4")
    values = ((rng.integers(0, 2, n, dtype=np.uint32) << 31) | exponent | mantissa).view("<f4")
    values[rng.random(n) < 0.15] = 0
    return np.asarray(values, np.float32)


def same(got: Floats, expected: Floats) -> None:
    nan = np.isnan(got) & np.isnan(expected)
    zero = (got == 0) & (expected == 0)
    differ = (got.view(np.uint32) != expected.view(np.uint32)) & ~nan & ~zero
    assert not differ.any(), (got[differ][:3], expected[differ][:3])


def check(call: Call, seed: int, kinds: tuple[str, str, str]) -> None:
    rng = np.random.default_rng(seed)
    w = pattern(rng, N_IN * N_OUT, kinds[0]).reshape(N_IN, N_OUT)
    x, z = pattern(rng, N_IN, kinds[1]), pattern(rng, N_OUT, kinds[2])
    d, dx = pattern(rng, N_OUT, kinds[1]), pattern(rng, N_IN, kinds[2])
    if seed % 2:
        z = np.asarray(-w[0] * x[0])  # the first sum cancels, all or nearly
        w[1:3] = np.multiply.outer(x, d)[1:3]
        w[2].view(np.uint32)[:] += rng.integers(0, 3, N_OUT, dtype=np.uint32)
    got = z.copy()
    call("columns", w, x, N_IN, N_OUT, z, got)
    same(got, plain_dot(z, w, x))
    got = dx.copy()
    call("back", w, d, N_IN, N_OUT, got)
    same(got, plain_dot(dx, np.ascontiguousarray(w.T), d))
    got = z[:5].copy()
    call("rows", w.reshape(-1), N_IN + 2, x, N_IN, 5, got)
    rows = np.stack([w.reshape(-1)[o * (N_IN + 2) :][:N_IN] for o in range(5)])
    same(got, plain_dot(z[:5], np.ascontiguousarray(rows.T), x))
    got = w.copy()
    call("update", got, x, d, N_IN, N_OUT)
    same(got, plain_update(w, x, d))
    got, back, g = w.copy(), np.zeros(N_IN, np.float32), pattern(rng, N_OUT, kinds[1])
    call("back_update", got, x, d, g, N_IN, N_OUT, back)
    same(got, plain_update(w, x, g))
    expected = plain_dot(np.zeros(N_IN, np.float32), np.ascontiguousarray(w.T), d)
    same(back, np.where(x != 0, expected, np.float32(0)))


@cache
def host(*defines: str) -> Call:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    out = Path(tempfile.mkdtemp()) / "soft.so"
    command = [compiler, "-std=c99", "-O2", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror"]
    command += [
        "-pedantic",
        "-Wmissing-prototypes",
        "-DTL_SOFT_ON_HOST",
        "-shared",
        "-fPIC",
        *defines,
    ]
    subprocess.run([*command, *INCLUDES, *map(str, SOURCES), "-o", str(out)], check=True)
    library = ctypes.CDLL(str(out))

    def call(name: str, *arguments: Any) -> None:
        raw = [
            ctypes.c_uint32(a) if isinstance(a, int) else ctypes.c_void_p(a.ctypes.data)
            for a in arguments
        ]
        library[f"tl_{name}"](ctypes.c_bool(False), *raw)

    return call


@cache
def core(name: str) -> Call:
    if find_spec("ziglang") is None or find_spec("unicorn") is None:
        pytest.skip("no emulated core")
    return SoftCore(name, Path(tempfile.mkdtemp())).call


kind = st.sampled_from(["near", "near", "gaps", "small", "large", "any"])


@pytest.mark.parametrize("defines", [(), ("-DTL_SOFT_SHORT_MULTIPLY=1",)], ids=["m3", "m0"])
@given(seed=st.integers(0, 2**32), kinds=st.tuples(kind, kind, kind))
@settings(max_examples=100, deadline=None)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_host_build_of_the_algorithm(
    defines: tuple[str, ...], seed: int, kinds: tuple[str, str, str]
) -> None:
    check(host(*defines), seed, kinds)


@pytest.mark.parametrize("name", ["m0", "m3"])
@given(seed=st.integers(0, 2**32), kinds=st.tuples(kind, kind, kind))
@settings(max_examples=40, deadline=None)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_emulated_core(name: str, seed: int, kinds: tuple[str, str, str]) -> None:
    check(core(name), seed, kinds)


def test_sums_that_only_an_exact_sticky_bit_gets_right() -> None:
    one, half_ulp, bit = np.float32(1), np.float32(2**-24), np.float32(2**-46)
    for tiny, expected in ((0.0, 1.0), (bit, 1 + 2**-23), (-bit, 1.0)):
        z = np.array([one], np.float32)
        w = np.array([[half_ulp * (1 + np.float32(tiny) * 2**23)]], np.float32)
        host()("columns", w, np.ones(1, np.float32), 1, 1, z.copy(), z)
        assert z[0] == np.float32(expected)
