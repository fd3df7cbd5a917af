"""Int8 kernels of the C learner against the NumPy twin, the runtimes, and hostile numbers."""

import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge import runtime, steps
from edge.artifact import Artifact
from edge.chain_layer import ChainLayer
from edge.int8 import Int8Layer
from edge.int8_scale import ratio, rescale
from edge.learner import OnlineLearner
from edge.learner.native import CLayer, library
from edge.spec import ModelSpec
from server.export import tflite
from tests.edge.convnets import FUSED, convnets
from tests.edge.zoo import parameters

ROOT = Path(__file__).resolve().parents[2]
KINDS = ["dense", "conv", "depthwise", "max_pool", "average_pool"]
KINDS += ["mean", "pad", "activate", "quantize", "dequantize"]
ACTIVATIONS = ["linear", "relu", "tanh", "softmax", "relu6", "logistic"]

pytestmark = pytest.mark.skipif(library() is None, reason="there is no C build of the learner")


def in_c(part: ChainLayer, x: NDArray[np.int8]) -> NDArray[np.int8]:
    """tl_int8_forward on one layer."""
    lib, held = library(), [part.weights, part.bias, part.scales]
    assert lib is not None
    at = [None if a is None or not a.size else np.ascontiguousarray(a) for a in held]
    layer = CLayer(*(None if a is None else a.ctypes.data for a in at))
    layer.in_scale, layer.out_scale = part.in_scale, part.out_scale
    layer.input, layer.output = part.in_shape, part.out_shape
    layer.kind, layer.type = KINDS.index(part.kind), 1
    layer.activation, layer.per_channel = ACTIVATIONS.index(part.activation), part.scales.size > 1
    layer.kernel_h, layer.kernel_w = part.kernel
    layer.stride_h, layer.stride_w = part.stride
    layer.dilation_h, layer.dilation_w = part.dilation
    layer.pad_top, layer.pad_left = part.pads[0], part.pads[2]
    layer.in_zero, layer.out_zero = part.in_zero, part.out_zero
    y = np.full(int(np.prod(part.out_shape)) + 8, 77, np.int8)
    table = np.zeros(2 * part.out_shape[2], np.int32)
    if part.weights is not None:
        lib.tl_int8_prepare(ctypes.byref(layer), ctypes.c_void_p(table.ctypes.data))
    values = np.ascontiguousarray(x)
    lib.tl_int8_forward(
        ctypes.byref(layer), *(ctypes.c_void_p(a.ctypes.data) for a in (table, values, y))
    )
    assert (y[-8:] == 77).all()
    return y[:-8]


def quantised(spec: ModelSpec, per_channel: bool = True) -> bytes:
    x = np.random.default_rng(2).normal(size=(30, spec.n_in)).astype(np.float32)
    return tflite.write_int8(spec, parameters(spec), x, per_channel=per_channel, name="zoo")


@settings(max_examples=40, deadline=None)
@given(convnets(), st.booleans(), st.integers(0, 99))
def test_c_gives_the_bits_of_the_twin(spec: ModelSpec, per_channel: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for part in Artifact(quantised(spec, per_channel)).chain:
        if part.dtype == "int8" and part.kind != "dequantize":
            x = rng.integers(-128, 128, part.in_shape).astype(np.int8)
            np.testing.assert_array_equal(in_c(part, x), Int8Layer(part).forward(x), part.kind)


@settings(max_examples=40, deadline=None)
@given(convnets(FUSED), st.booleans())
def test_answers_are_those_of_tflite_micro(spec: ModelSpec, per_channel: bool) -> None:
    pytest.importorskip("tflite_micro")
    data = quantised(spec, per_channel)
    x = np.random.default_rng(5).integers(-128, 128, (4, spec.n_in)).astype(np.int8)
    theirs = runtime.load(data, "tflite-micro").run(x)
    learner = OnlineLearner(data, infer_only=True)
    mine = np.stack([learner.predict_int8(row) for row in x])
    # A mean may round the other way; the layers behind it can make more of that one step.
    mean = any(part.kind == "mean" for part in Artifact(data).chain[:-1])
    assert np.abs(mine.astype(int) - theirs).max() <= (4 if mean else 1)


@pytest.mark.parametrize("activation", ["relu", "relu6", "tanh", "logistic", "softmax"])
def test_every_value_of_an_activation(activation: Any) -> None:
    spec = ModelSpec.convnet((1, 1, 256), [steps.dense(256, activation)])
    values = 2 * np.eye(256, dtype=np.float32)
    numbers = np.concatenate([values.reshape(-1), np.zeros(256, np.float32)])
    x = np.random.default_rng(1).normal(0, 1.5, (60, 256)).astype(np.float32)
    data = tflite.write_int8(spec, numbers, x, name="zoo")
    whole = np.arange(-128, 128).astype(np.int8)
    mine = OnlineLearner(data, infer_only=True).predict_int8(whole)
    for other in runtime.available(data):
        apart = np.abs(mine.astype(int) - other.run(whole[None])[0])
        assert apart.max() <= 1, other.name


def exactly(top: int, bottom: int) -> int:
    """top / bottom rounded half away from zero."""
    sign = -1 if top < 0 else 1
    return sign * ((2 * abs(top) + bottom) // (2 * bottom))


@given(
    st.integers(-(2**31), 2**31 - 1),
    st.floats(2.0**-90, 2.0**90, width=32),
    st.floats(2.0**-90, 2.0**90, width=32),
)
def test_a_rescaled_sum_is_the_real_product_rounded(total: int, top: float, bottom: float) -> None:
    by = ratio(np.float64(top), np.float32(bottom))
    multiplier, shift = int(by[0][0]), int(by[1][0])
    if shift > 0 and abs(total) << shift >= 2**31:
        return
    mine = int(rescale(total, by)[0])
    assert abs(mine - exactly(total * multiplier, 2 ** (31 - shift))) <= 1
    if multiplier and -31 < shift < 30:
        assert multiplier / 2**31 * 2.0**shift == pytest.approx(top / bottom, rel=2**-30)


@st.composite
def hostile(draw: st.DrawFn) -> ChainLayer:
    """A dense layer with any bits as scales and any bias."""
    n_in, n_out = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    kinds = st.integers(0, 2**32 - 1) | st.sampled_from([0, 1, 0x7FC00000, 0x7F800000, 0x80000000])

    def scales(n: int) -> NDArray[np.float32]:
        bits = draw(st.lists(kinds, min_size=n, max_size=n))
        return np.array(bits, np.uint32).view(np.float32)

    rng = np.random.default_rng(draw(st.integers(0, 99)))
    biases = st.integers(-(2**31), 2**31 - 1)
    return ChainLayer(
        kind="dense",
        dtype="int8",
        in_shape=(1, 1, n_in),
        out_shape=(1, 1, n_out),
        activation=draw(st.sampled_from(["linear", "relu", "relu6"])),
        weights=rng.integers(-128, 128, (n_out, n_in)).astype(np.int8),
        bias=np.array(draw(st.lists(biases, min_size=n_out, max_size=n_out)), np.int32),
        scales=scales(draw(st.sampled_from([1, n_out]))),
        in_scale=scales(1)[0],
        in_zero=draw(st.integers(-128, 127)),
        out_scale=scales(1)[0],
        out_zero=draw(st.integers(-128, 127)),
    )


@settings(max_examples=200)
@given(hostile())
def test_hostile_scales_and_biases_give_the_same_bits_everywhere(part: ChainLayer) -> None:
    x = np.arange(-4, part.in_shape[2] - 4).astype(np.int8)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(in_c(part, x), Int8Layer(part).forward(x))


DRIVER = """
#include "tl_internal.h"
static uint32_t seed = 1;
static uint32_t any(void) { seed = seed * 1664525u + 1013904223u; return seed ^ seed >> 15; }
int main(void)
{
    static int8_t x[4096], y[4096], w[4096];
    static int32_t bias[16], rescale[32];
    static uint32_t scales[16];
    for (int i = 0; i < 4096; i++) { x[i] = (int8_t)any(); w[i] = (int8_t)any(); }
    for (int run = 0; run < 20000; run++) {
        tl_layer l = {0};
        uint32_t bits[2] = {any() << (any() % 9), any()};
        for (int i = 0; i < 16; i++) { bias[i] = (int32_t)any(); scales[i] = any() << (i % 9); }
        l.weights = (const uint8_t *)w;
        l.bias = (const uint8_t *)bias;
        l.scales = (const uint8_t *)scales;
        __builtin_memcpy(&l.in_scale, &bits[0], 4);
        __builtin_memcpy(&l.out_scale, &bits[1], 4);
        l.kind = (uint8_t)(any() % 9u);
        l.type = TL_INT8;
        l.activation = (uint8_t)(any() % 6u);
        l.per_channel = any() & 1u;
        l.kernel_h = 1 + any() % 3u; l.kernel_w = 1 + any() % 3u;
        l.stride_h = 1 + any() % 3u; l.stride_w = 1 + any() % 3u;
        l.dilation_h = 1 + any() % 2u; l.dilation_w = 1 + any() % 2u;
        l.in_zero = (int8_t)any(); l.out_zero = (int8_t)any();
        l.in.h = 1 + any() % 6u; l.in.w = 1 + any() % 6u; l.in.c = 1 + any() % 5u;
        l.pad_top = any() % 3u; l.pad_left = any() % 3u;
        l.out.h = 1 + any() % 6u; l.out.w = 1 + any() % 6u; l.out.c = l.in.c;
        if (l.kind == TL_DENSE) l.in.h = l.in.w = l.out.h = l.out.w = 1;
        if (l.kind == TL_DENSE || l.kind == TL_CONV) l.out.c = 1 + any() % 16u;
        if (l.kind == TL_DEPTHWISE) l.out.c = (uint16_t)(l.in.c * (1 + any() % 3u));
        if (l.kind == TL_MEAN) l.out.h = l.out.w = 1;
        if (l.kind == TL_PAD) {
            l.out.h = (uint16_t)(l.in.h + l.pad_top + any() % 3u);
            l.out.w = (uint16_t)(l.in.w + l.pad_left + any() % 3u);
        }
        if (l.kind >= TL_ACTIVATE) l.out = l.in;
        if (tl_has_weights(&l)) tl_int8_prepare(&l, rescale);
        tl_int8_forward(&l, tl_has_weights(&l) ? rescale : 0, x, y);
        (void)tl_quantise(l.in_scale, l.out_scale, l.out_zero);
    }
    return 0;
}
"""


def test_nothing_is_undefined_whatever_the_numbers(tmp_path: Path) -> None:
    if shutil.which("clang") is None:
        pytest.skip("clang is not installed")
    source = ROOT / "edge/learner/src"
    names = [*source.glob("tl_int8*.c"), *(source / f"tl_{n}.c" for n in ("layer", "math"))]
    names.append(source / "tl_window.c")
    (tmp_path / "driver.c").write_text(DRIVER)
    flags = ["-std=c99", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    include = [f"-I{source}", f"-I{source.parent / 'include'}"]
    made = tmp_path / "driver"
    command = ["clang", *flags, *include, str(tmp_path / "driver.c"), *map(str, names)]
    subprocess.run([*command, "-o", str(made)], check=True)
    subprocess.run([str(made)], check=True)
