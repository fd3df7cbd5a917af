import hashlib
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import UsageError
from edge.layers import ConvSpec, PadSpec, PoolSpec
from edge.spec import LayerSpec, ModelSpec
from edge.steps import Step, conv, dense, depthwise, max_pool, mean, pad
from tests.edge.convnets import convnets
from tests.edge.zoo import parameters, specs

DENSE = "ba246377b82e77e8d98e9c66d45a7757f9a47815334ee3274a1f86efc4569db8"
CONVOLUTION = "e4c3f3f8cdbfbc1b8a38679d3fd9bf8047b8452b250cf76d6a1dfc250aaa9c5a"
WEIGHTS = "01d46c6dbb973098db3d0b7dae549ebd2f283d53758aa0c17e3d680fc1489aed"


@given(specs())
def test_join_undoes_split(spec: ModelSpec) -> None:
    vector = parameters(spec)
    assert spec.join(spec.split(vector)).tobytes() == vector.tobytes()
    assert [(w.shape, b.shape) for w, b in spec.split(vector)] == spec.shapes()


def test_a_row_of_weights_belongs_to_one_output() -> None:
    spec = ModelSpec.mlp([2, 3])
    [(w, b)] = spec.split(np.arange(9, dtype=np.float32))
    assert w.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert b.tolist() == [6, 7, 8]


def test_counts() -> None:
    spec = ModelSpec.mlp([196, 64, 5], hidden="relu", output="softmax")
    assert (spec.n_in, spec.n_out, spec.n_target, spec.loss) == (196, 5, 1, "cross_entropy")
    assert spec.n_parameters == 197 * 64 + 65 * 5
    assert spec.macs == 196 * 64 + 64 * 5


def test_the_digest_tells_architectures_apart_and_nothing_else() -> None:
    one = ModelSpec.mlp([4, 5, 2])
    assert one.digest() == ModelSpec.mlp([4, 5, 2]).digest()
    others = [
        ModelSpec.mlp([4, 5, 3]),
        ModelSpec.mlp([45, 2]),
        ModelSpec.mlp([4, 5, 2], hidden="tanh"),
        ModelSpec.mlp([4, 5, 2], output="softmax"),
    ]
    assert len({one.digest(), *(spec.digest() for spec in others)}) == 5


def test_initial_is_a_function_of_the_seed() -> None:
    spec = ModelSpec.mlp([8, 16, 4])
    assert spec.initial(3).tobytes() == spec.initial(3).tobytes()
    assert spec.initial(3).tobytes() != spec.initial(4).tobytes()
    for w, b in spec.split(spec.initial(3)):
        assert not b.any()
        assert 0 < np.abs(w).max() <= np.sqrt(6 / w.shape[1])


@pytest.mark.parametrize(
    ("widths", "hidden", "output"),
    [
        ([4], "relu", "linear"),
        ([4, 0], "relu", "linear"),
        ([4, 70000], "relu", "linear"),
        ([2] * 66, "relu", "linear"),
        ([2, 2, 2], "softmax", "linear"),
        ([2, 2], "relu", "gelu"),
    ],
)
def test_what_the_learner_would_refuse_is_refused(
    widths: list[int], hidden: str, output: str
) -> None:
    with pytest.raises(UsageError):
        ModelSpec.mlp(widths, hidden=hidden, output=output)


def test_a_loss_that_does_not_fit_the_last_layer_is_refused() -> None:
    with pytest.raises(UsageError, match="loss mse"):
        ModelSpec((LayerSpec(2, 2, "softmax"),), "mse")
    with pytest.raises(UsageError, match="layer 1 takes 3"):
        ModelSpec((LayerSpec(2, 2, "relu"), LayerSpec(3, 2, "linear")), "mse")


def test_a_vector_of_another_length_is_refused() -> None:
    with pytest.raises(UsageError, match=r"\(6,\) is needed"):
        ModelSpec.mlp([2, 2]).split(np.zeros(5, np.float32))


def test_a_dense_model_keeps_its_digest_and_its_weights() -> None:
    spec = ModelSpec.mlp([6, 5, 3], hidden="tanh", output="softmax")
    assert spec.digest() == DENSE
    assert hashlib.sha256(spec.initial(0).tobytes()).hexdigest() == WEIGHTS


def test_counts_of_a_convnet() -> None:
    spec = ModelSpec.convnet(
        (14, 14, 4),
        [
            conv(8, 3),
            depthwise(3, stride=2, multiplier=2),
            max_pool(2),
            mean(),
            dense(5, "softmax"),
        ],
    )
    assert [layer.out_shape for layer in spec.layers] == [
        (14, 14, 8), (7, 7, 16), (3, 3, 16), (1, 1, 16), (1, 1, 5),
    ]  # fmt: skip
    assert spec.shapes() == [((8, 3, 3, 4), (8,)), ((3, 3, 16), (16,)), ((5, 16), (5,))]
    assert spec.n_parameters == 296 + 160 + 85 == spec.initial(0).size
    assert [spec.trained(n) for n in range(4)] == [541, 85, 245, 541]
    assert spec.macs == 14 * 14 * 8 * 36 + 7 * 7 * 16 * 9 + 80
    assert [layer.fan_in for layer in spec.weighted] == [36, 9, 16]
    assert (spec.in_shape, spec.n_in, spec.loss) == ((14, 14, 4), 784, "cross_entropy")


@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 5), st.integers(1, 4), st.booleans())
def test_windows_lie_as_tensorflow_puts_them(
    size: int, kernel: int, stride: int, dilation: int, same: bool
) -> None:
    layer = ConvSpec(
        (size, 1, 1), 1, (kernel, 1), (stride, 1), "same" if same else "valid", (dilation, 1)
    )
    span = (kernel - 1) * dilation + 1
    top, bottom, _, _ = layer.pads
    out = layer.out_shape[0]
    if same:
        assert out == math.ceil(size / stride)
        assert top + bottom == max((out - 1) * stride + span - size, 0)
        assert bottom - top in (0, 1)
    else:
        assert out == len(range(0, size - span + 1, stride)) or span > size
    if span <= size + top + bottom:
        assert (out - 1) * stride + span <= size + top + bottom


@given(convnets())
def test_join_undoes_split_of_a_convnet(spec: ModelSpec) -> None:
    vector = parameters(spec)
    assert spec.join(spec.split(vector)).tobytes() == vector.tobytes()
    assert [(w.shape, b.shape) for w, b in spec.split(vector)] == spec.shapes()


def test_the_digest_tells_convolutions_apart() -> None:
    layers = [
        conv(2, 3),
        conv(2, 3, padding="valid"),
        conv(2, 3, stride=2),
        conv(2, 3, dilation=2),
        conv(2, 3, activation="relu6"),
        conv(2, (3, 1)),
        depthwise(3),
        max_pool(3, stride=1, padding="same"),
        dense(32, "relu"),
    ]
    assert len({ModelSpec.convnet((4, 4, 2), [one]).digest() for one in layers}) == len(layers)
    assert ModelSpec.convnet((4, 4, 2), layers[:1]).digest() == CONVOLUTION


def test_padding_in_numbers_is_a_layer() -> None:
    spec = ModelSpec.convnet((4, 4, 1), [conv(2, 3, stride=2, padding=(1, 1, 1, 1))])
    assert spec.layers == (
        PadSpec((4, 4, 1), (1, 1, 1, 1)),
        ConvSpec((6, 6, 1), 2, (3, 3), (2, 2), "valid", activation="relu"),
    )


def test_a_pool_that_takes_everything_is_one_layer_however_it_is_written() -> None:
    assert PoolSpec("max", (4, 6, 2)) == PoolSpec("max", (4, 6, 2), (4, 6), (4, 6))
    assert PoolSpec("mean", (4, 6, 2)) == PoolSpec("mean", (4, 6, 2), (2, 2), (1, 1), "same")
    assert replace(PoolSpec("max", (4, 6, 2)), activation="relu").window == (4, 6)


@pytest.mark.parametrize(
    ("step", "why"),
    [
        (conv(2, 5, padding="valid"), "wide"),
        (conv(2, 3, stride=0), "stride"),
        (conv(2, 300), "kernel"),
        (conv(0, 3), "wide"),
        (conv(1 << 19, 1), "wide"),
        (depthwise(3, multiplier=0), "wide"),
        (max_pool(5), "wide"),
        (pad((0, 0, -1, 0)), "padding"),
        (conv(2, 3, activation="softmax"), "softmax is over a vector"),
        (conv(2, 3, padding="full"), "valid and same"),  # type: ignore[arg-type]
        (lambda shape: (PoolSpec("mean", shape, activation="relu"),), "write that as a layer"),
        (lambda shape: (ConvSpec(shape, 3, (1, 1), depthwise=True),), "divide"),
    ],
)
def test_a_layer_that_the_learner_would_refuse_is_refused(step: Step, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        ModelSpec.convnet((4, 4, 2), [step])


def test_multiply_accumulates_of_a_layer_are_bounded() -> None:
    with pytest.raises(UsageError, match="multiply-accumulates"):
        ModelSpec.convnet((512, 512, 4), [conv(4, 10)])


def test_more_layers_than_there_are_cannot_be_trained() -> None:
    with pytest.raises(UsageError, match="has 1 layers with weights"):
        ModelSpec.mlp([2, 2]).trained(2)
