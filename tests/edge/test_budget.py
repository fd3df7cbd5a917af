import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.artifact import Artifact
from edge.budget import check_fits, requirement
from edge.errors import DoesNotFit, UsageError
from edge.learner import NativeLearner
from edge.learner.native import library
from edge.spec import ModelSpec
from edge.steps import conv, dense, max_pool, mean
from server.export import tflite
from tests.edge.zoo import model, parameters, samples, specs

SPEC = ModelSpec.mlp([1, 40, 40, 1])
needs_c = pytest.mark.skipif(library() is None, reason="no C compiler")


@needs_c
@given(specs(widest=40), st.booleans(), st.booleans(), st.data())
def test_the_figures_are_those_of_the_firmware(
    spec: ModelSpec, standardise: bool, momentum: bool, data: st.DataObject
) -> None:
    layers = data.draw(st.integers(0, len(spec.layers)))
    file = model(spec)
    for source in (spec, Artifact(file)):
        need = requirement(source, train_layers=layers, standardise=standardise, momentum=momentum)
        sizes = NativeLearner(
            file, train_layers=layers, standardise=standardise, momentum=0.5 * momentum
        ).sizes
        assert (need.parameters, need.macs) == (sizes.parameters, sizes.macs)
        assert (need.ram_infer, need.ram_train) == (sizes.arena_infer, sizes.arena_train)


CONV = ModelSpec.convnet(
    (9, 8, 2),
    [
        conv(4, 3, padding="same", activation="relu"),
        max_pool(2),
        conv(8, (3, 2), stride=(2, 1), padding=(1, 0, 2, 1), activation="relu"),
        mean(),
        dense(5, "softmax"),
    ],
)


@needs_c
@pytest.mark.parametrize("train_layers", [0, 1, 2])
@pytest.mark.parametrize("standardise", [False, True])
def test_convolutional_and_hybrid_figures_are_those_of_the_firmware(
    train_layers: int, standardise: bool
) -> None:
    rows = samples(CONV, 40)[0]
    files = [
        model(CONV),
        tflite.write_hybrid(CONV, parameters(CONV), rows, float_layers=2, name="h"),
    ]
    for file in files:
        options = {"train_layers": train_layers, "standardise": standardise}
        need, sizes = requirement(Artifact(file), **options), NativeLearner(file, **options).sizes
        assert (need.parameters, need.macs) == (sizes.parameters, sizes.macs)
        assert (need.ram_infer, need.ram_train) == (sizes.arena_infer, sizes.arena_train)
    options = {"train_layers": train_layers, "standardise": standardise}
    sizes = NativeLearner(files[0], **options).sizes
    assert requirement(CONV, **options).ram_train == sizes.arena_train


@needs_c
def test_the_figures_of_an_int8_model_are_those_of_the_firmware() -> None:
    spec = ModelSpec.mlp([13, 7, 5], output="softmax")
    file = tflite.write_int8(spec, parameters(spec), samples(spec, 50)[0], name="zoo")
    need, sizes = requirement(Artifact(file)), NativeLearner(file, infer_only=True).sizes
    rescale = 8 * (7 + 5)
    assert (need.ram_infer, need.ram_train) == (sizes.arena_infer, 0) == (rescale + 16 + 8, 0)
    assert (need.parameters, sizes.parameters, sizes.arena_train) == (0, 0, 0)


def test_figures_by_hand() -> None:
    need = requirement(SPEC)
    parameters = 40 + 40 + 1600 + 40 + 40 + 1
    assert need.parameters == parameters
    assert need.ram_infer == 4 * 80
    assert need.ram_train == 4 * (parameters + (40 + 40 + 1) + 2 * 40)
    assert requirement(SPEC, train_layers=1).parameters == 41
    assert (need.table, need.sample) == (3 * 48, 4 * 3)
    assert need.board_train == need.ram_train + 156


def test_layers_beyond_the_model_are_refused() -> None:
    with pytest.raises(UsageError, match="train_layers is 4"):
        requirement(SPEC, train_layers=4)


def test_what_does_not_fit_is_refused_with_both_figures() -> None:
    need = requirement(Artifact(model(SPEC)))
    check_fits(need, arena=need.board_train, slot=need.flash, train=True, what="board")
    check_fits(need, arena=need.board_infer, slot=need.flash, train=False, what="board")
    with pytest.raises(DoesNotFit) as caught:
        check_fits(need, arena=need.board_train - 1, slot=need.flash, train=True, what="board")
    assert (caught.value.needed, caught.value.available) == (need.board_train, need.board_train - 1)
    assert "fewer trained layers" in caught.value.hint
    with pytest.raises(DoesNotFit, match="flash") as caught:
        check_fits(need, arena=1 << 20, slot=need.flash - 1, train=True, what="board")
    assert "layers" not in caught.value.hint
