"""The memory plan of any convolutional model, against what the firmware would lay out."""

import ctypes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.artifact import Artifact
from edge.budget import Requirement, requirement
from edge.learner.native import MOMENTUM, STANDARDISE, CLayer, CModel, CSizes, library
from edge.spec import ModelSpec
from server.export import tflite
from tests.edge.convnets import convnets, inputs
from tests.edge.zoo import model, parameters

pytestmark = pytest.mark.skipif(library() is None, reason="no C compiler")


def figures(need: Requirement) -> tuple[int, ...]:
    return need.parameters, need.macs, need.ram_infer, need.ram_train


def sizes_of(file: bytes, train_layers: int, flags: int) -> tuple[int, ...]:
    """What `tl_model_sizes` says."""
    c = library()
    assert c is not None
    held = ctypes.create_string_buffer(file, len(file))
    found, table, sizes = CModel(), (CLayer * 64)(), CSizes()
    at = ctypes.cast(held, ctypes.c_void_p)
    assert c.tl_model_open(ctypes.byref(found), at, len(file), table, 64) == 0
    assert c.tl_model_sizes(ctypes.byref(found), train_layers, flags, ctypes.byref(sizes)) == 0
    return sizes.parameters, sizes.macs, sizes.arena_infer, sizes.arena_train


@given(convnets(), st.booleans(), st.booleans(), st.data())
def test_the_plan_of_a_float_model_is_the_layout(
    spec: ModelSpec, standardise: bool, momentum: bool, data: st.DataObject
) -> None:
    layers = data.draw(st.integers(0, len(spec.weighted)))
    flags = STANDARDISE * standardise | MOMENTUM * momentum
    file = model(spec)
    for source in (spec, Artifact(file)):
        need = requirement(source, train_layers=layers, standardise=standardise, momentum=momentum)
        assert figures(need) == sizes_of(file, layers, flags)


@given(convnets(), st.booleans())
def test_the_plan_of_a_model_with_int8_layers_is_the_layout(
    spec: ModelSpec, standardise: bool
) -> None:
    p, x = parameters(spec), inputs(spec, 4)
    files = [tflite.write_int8(spec, p, x, name="zoo")]
    if len(spec.weighted) > 1:
        files.append(tflite.write_hybrid(spec, p, x, float_layers=1, name="zoo"))
    for file in files:
        need = requirement(Artifact(file), standardise=standardise)
        assert figures(need) == sizes_of(file, 0, STANDARDISE * standardise)
