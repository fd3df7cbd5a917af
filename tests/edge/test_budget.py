import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.artifact import Artifact
from edge.budget import check_fits, requirement
from edge.errors import DoesNotFit, UsageError
from edge.learner import NativeLearner
from edge.learner.native import library
from edge.spec import ModelSpec
from server.export import tflite
from tests.edge.zoo import model, parameters, samples, specs

SPEC = ModelSpec.mlp([1, 40, 40, 1])
needs_c = pytest.mark.skipif(library() is None, reason="no C compiler")


@needs_c
@given(specs(widest=40), st.booleans(), st.data())
def test_the_figures_are_those_of_the_firmware(
    spec: ModelSpec, standardise: bool, data: st.DataObject
) -> None:
    layers = data.draw(st.integers(0, len(spec.layers)))
    file = model(spec)
    for source in (spec, Artifact(file)):
        need = requirement(source, train_layers=layers, standardise=standardise)
        sizes = NativeLearner(file, train_layers=layers, standardise=standardise).sizes
        assert (need.parameters, need.macs) == (sizes.parameters, sizes.macs)
        assert (need.ram_infer, need.ram_train) == (sizes.arena_infer, sizes.arena_train)


@needs_c
def test_the_figures_of_an_int8_model_are_those_of_the_firmware() -> None:
    spec = ModelSpec.mlp([13, 7, 5], output="softmax")
    file = tflite.write_int8(spec, parameters(spec), samples(spec, 50)[0], name="zoo")
    need, sizes = requirement(Artifact(file)), NativeLearner(file, infer_only=True).sizes
    assert (need.ram_infer, need.ram_train) == (sizes.arena_infer, 0) == (2 * 16, 0)
    assert (need.parameters, sizes.parameters, sizes.arena_train) == (0, 0, 0)


def test_figures_by_hand() -> None:
    need = requirement(SPEC)
    parameters = 40 + 40 + 1600 + 40 + 40 + 1
    assert need.parameters == parameters
    assert need.ram_infer == 4 * 80
    assert need.ram_train == 4 * (parameters + (40 + 40 + 1) + 1 + 2 * 40)
    assert requirement(SPEC, train_layers=1).parameters == 41


def test_layers_beyond_the_model_are_refused() -> None:
    with pytest.raises(UsageError, match="train_layers is 4"):
        requirement(SPEC, train_layers=4)


def test_what_does_not_fit_is_refused_with_both_figures() -> None:
    need = requirement(Artifact(model(SPEC)))
    check_fits(need, arena=need.ram_train, slot=need.flash, train=True, what="board")
    check_fits(need, arena=need.ram_infer, slot=need.flash, train=False, what="board")
    with pytest.raises(DoesNotFit) as caught:
        check_fits(need, arena=need.ram_train - 1, slot=need.flash, train=True, what="board")
    assert (caught.value.needed, caught.value.available) == (need.ram_train, need.ram_train - 1)
    with pytest.raises(DoesNotFit, match="flash"):
        check_fits(need, arena=1 << 20, slot=need.flash - 1, train=False, what="board")
