"""The int8 kernels as cores run them: the bits of the NumPy twin, and how many instructions."""

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.chain_layer import ChainLayer
from edge.int8 import Int8Layer
from edge.windows import pads_of, places

pytest.importorskip("unicorn")
pytest.importorskip("ziglang")

from tests.firmware_sim.soft_core import RAM, ROOT, SoftCore

SOURCES = [*sorted((ROOT / "edge/learner/src").glob("tl_int8*.c"))]
SOURCES += [ROOT / f"edge/learner/src/tl_{name}.c" for name in ("layer", "math", "window")]
KINDS = ["dense", "conv", "depthwise", "max_pool", "average_pool"]
KINDS += ["mean", "pad", "activate", "quantize", "dequantize"]
ACTIVATIONS = ["linear", "relu", "tanh", "softmax", "relu6", "logistic"]
LAYER, RESCALE, X, Y, W = (RAM + at for at in (0, 0x1000, 0x10000, 0x20000, 0x40000))


class Int8Core(SoftCore):
    """One core with the int8 kernels."""

    def __init__(self, core: str, folder: Path) -> None:
        super().__init__(core, folder, SOURCES, ("int8_prepare", "int8_forward"))
        self.count()

    def forward(self, part: ChainLayer, x: NDArray[np.int8], shift: int = 0) -> NDArray[np.int8]:
        """Run one layer, with its weights and input `shift` bytes off a word."""
        weights, bias, scales = W + shift, 0, 0
        if part.weights is not None:
            scales = W + (part.weights.nbytes + 8 & ~3)
            bias = scales + part.scales.nbytes
            self.write(weights, part.weights.tobytes())
            self.write(scales, part.scales.astype("<f4").tobytes())
            assert part.bias is not None
            self.write(bias, part.bias.astype("<i4").tobytes())
        packed = struct.pack(
            "<3I2f6H12B2bH",
            *(weights, bias, scales, part.in_scale, part.out_scale),
            *(*part.in_shape, *part.out_shape),
            *(KINDS.index(part.kind), 1, ACTIVATIONS.index(part.activation)),
            *(part.scales.size > 1, *part.kernel, *part.stride, *part.dilation),
            *(part.pads[0], part.pads[2], part.in_zero, part.out_zero, 0),
        )
        self.write(LAYER, packed)
        self.write(X + shift, x.tobytes())
        if part.weights is not None:
            self.run("int8_prepare", (LAYER, RESCALE))
        self.instructions = 0
        self.run("int8_forward", (LAYER, RESCALE, X + shift, Y))
        return np.frombuffer(self.read(Y, int(np.prod(part.out_shape))), np.int8)


@pytest.fixture(scope="module")
def cores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Int8Core]:
    folder = tmp_path_factory.mktemp("int8")
    return {core: Int8Core(core, folder) for core in ("m0", "m3", "m4f")}


def dense(n_in: int, n_out: int, rng: np.random.Generator) -> ChainLayer:
    return ChainLayer(
        kind="dense",
        dtype="int8",
        in_shape=(1, 1, n_in),
        out_shape=(1, 1, n_out),
        weights=rng.integers(-128, 128, (n_out, n_in)).astype(np.int8),
        bias=rng.integers(-9999, 9999, n_out).astype(np.int32),
        scales=rng.uniform(1e-3, 9e-3, n_out).astype(np.float32),
        in_scale=np.float32(0.05),
        in_zero=-7,
        out_scale=np.float32(0.1),
        out_zero=11,
        activation="relu",
    )


def conv(
    shape: tuple[int, int, int], filters: int, rng: np.random.Generator, kind: str = "conv",
    stride: tuple[int, int] = (1, 1), dilation: tuple[int, int] = (1, 1),
) -> ChainLayer:  # fmt: skip
    if kind == "conv":
        size: tuple[int, ...] = (filters, 3, 3, shape[2])
    else:
        size = (3, 3, filters)
    around = (shape, (3, 3), stride, "same", dilation)
    return ChainLayer(
        kind="conv" if kind == "conv" else "depthwise",
        dtype="int8",
        in_shape=shape,
        out_shape=(*places(*around), filters),
        weights=rng.integers(-128, 128, size).astype(np.int8),
        bias=rng.integers(-9999, 9999, filters).astype(np.int32),
        scales=rng.uniform(1e-3, 9e-3, filters).astype(np.float32),
        in_scale=np.float32(0.02),
        in_zero=3,
        out_scale=np.float32(0.1),
        out_zero=-4,
        kernel=(3, 3),
        stride=stride,
        dilation=dilation,
        padding="same",
        pads=pads_of(*around),
    )


def layers(rng: np.random.Generator) -> list[ChainLayer]:
    return [
        *(dense(n_in, n_out, rng) for n_in, n_out in ((64, 64), (37, 1), (5, 2), (19, 3), (3, 6))),
        *(conv((5, 6, c), n, rng) for c, n in ((1, 8), (3, 5), (16, 4))),
        replace(dense(21, 9, rng), in_scale=np.float32(80)),  # sums are shifted left
        conv((7, 7, 8), 6, rng, stride=(2, 1)),
        conv((9, 9, 4), 6, rng, dilation=(2, 3)),
        *(conv((5, 5, c), n, rng, "depthwise") for c, n in ((4, 4), (7, 7), (1, 8), (2, 6))),
    ]


@pytest.mark.parametrize("core", ["m0", "m3", "m4f"])
def test_a_core_gives_the_bits_of_the_twin(cores: dict[str, Int8Core], core: str) -> None:
    rng = np.random.default_rng(4)
    for k, part in enumerate(layers(rng)):
        x = rng.integers(-128, 128, part.in_shape).astype(np.int8)
        mine = cores[core].forward(part, x, shift=k % 4)
        np.testing.assert_array_equal(mine, Int8Layer(part).forward(x), err_msg=f"layer {k}")
        assert np.unique(mine).size > 1 or mine.size < 3


@pytest.mark.parametrize(("core", "at_most"), [("m4f", 2.1), ("m3", 3.4), ("m0", 9.4)])
def test_instructions_of_a_dense_layer(
    cores: dict[str, Int8Core], core: str, at_most: float
) -> None:
    part = dense(64, 64, np.random.default_rng(0))
    cores[core].forward(part, np.ones(64, np.int8))
    assert cores[core].instructions <= at_most * 64 * 64


@pytest.mark.parametrize(("core", "at_most"), [("m4f", 1.8), ("m3", 2.9), ("m0", 8.2)])
def test_instructions_of_a_convolution(
    cores: dict[str, Int8Core], core: str, at_most: float
) -> None:
    part = conv((14, 14, 16), 16, np.random.default_rng(0))
    cores[core].forward(part, np.ones((14, 14, 16), np.int8))
    assert cores[core].instructions <= at_most * 14 * 14 * 9 * 16 * 16
