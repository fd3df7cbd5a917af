import ctypes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.artifact import Artifact
from edge.budget import Requirement, check_fits, requirement
from edge.errors import DoesNotFit, UsageError
from edge.learner.native import MOMENTUM, STANDARDISE, CLayer, CModel, CSizes, library
from edge.spec import ModelSpec
from server.export import tflite
from tests.edge.convnets import convnets, inputs
from tests.edge.zoo import model, parameters, specs

SPEC = ModelSpec.mlp([1, 40, 40, 1])
needs_c = pytest.mark.skipif(library() is None, reason="no C compiler")


def figures(need: Requirement) -> tuple[int, ...]:
    return need.parameters, need.features, need.macs, need.ram_infer, need.ram_train


def sizes_of(file: bytes, train_layers: int, flags: int) -> tuple[int, ...]:
    """What `tl_model_sizes` says."""
    c = library()
    assert c is not None
    held = ctypes.create_string_buffer(file, len(file))
    found, table, sizes = CModel(), (CLayer * 64)(), CSizes()
    at = ctypes.cast(held, ctypes.c_void_p)
    assert c.tl_model_open(ctypes.byref(found), at, len(file), table, 64) == 0
    assert c.tl_model_sizes(ctypes.byref(found), train_layers, flags, ctypes.byref(sizes)) == 0
    return (
        sizes.parameters, sizes.features, sizes.macs, sizes.arena_infer, sizes.arena_train,
    )  # fmt: skip


@needs_c
@given(st.one_of(specs(widest=40), convnets()), st.booleans(), st.booleans(), st.data())
def test_the_figures_are_those_of_the_firmware(
    spec: ModelSpec, standardise: bool, momentum: bool, data: st.DataObject
) -> None:
    layers = data.draw(st.integers(0, len(spec.weighted)))
    flags = STANDARDISE * standardise | MOMENTUM * momentum
    file = model(spec)
    for source in (spec, Artifact(file)):
        need = requirement(source, train_layers=layers, standardise=standardise, momentum=momentum)
        assert figures(need) == sizes_of(file, layers, flags)


@needs_c
@given(convnets(), st.booleans())
def test_the_figures_of_a_model_with_int8_layers_are_those_of_the_firmware(
    spec: ModelSpec, standardise: bool
) -> None:
    p, x = parameters(spec), inputs(spec, 4)
    files = [tflite.write_int8(spec, p, x, name="zoo")]
    if len(spec.weighted) > 1:
        files.append(tflite.write_hybrid(spec, p, x, float_layers=1, name="zoo"))
    for file in files:
        need = requirement(Artifact(file), standardise=standardise)
        assert figures(need) == sizes_of(file, 0, STANDARDISE * standardise)


def test_figures_by_hand() -> None:
    need = requirement(SPEC)
    count = 40 + 40 + 1600 + 40 + 40 + 1
    assert (need.parameters, need.features) == (count, 1)
    assert need.ram_infer == 4 * 80
    assert need.ram_train == 4 * (count + (40 + 40 + 1) + 2 * 40)
    assert requirement(SPEC, train_layers=1).parameters == 41
    assert requirement(SPEC, momentum=True).ram_train == need.ram_train + 4 * count


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
