import numpy as np
import pytest
from hypothesis import given

from edge.errors import UsageError
from edge.spec import LayerSpec, ModelSpec
from tests.edge.zoo import parameters, specs


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
