"""The chain of a file, against what the C reader finds in it."""

import os
from math import prod
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge import steps
from edge.artifact import Artifact, ArtifactError, UnsupportedOperator
from edge.chain_layer import ChainLayer, Kind
from edge.learner import native
from edge.spec import ModelSpec
from server.export import tflite
from tests.edge.c_chain import c_layers
from tests.edge.convnets import convnets, everything, inputs
from tests.edge.zoo import parameters

KINDS = get_args(Kind)
ACTIVATIONS = ["linear", "relu", "tanh", "softmax", "relu6", "logistic"]
ROOT = Path(os.environ.get("TINYFLEET_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
FOREIGN = sorted((ROOT / "tinyml_catalogue" / "models").glob("*.tflite"))
EVERYTHING = everything()
P, X = parameters(EVERYTHING), inputs(EVERYTHING, 20)
FILES = [
    tflite.write(EVERYTHING, P, name="m"),
    tflite.write_int8(EVERYTHING, P, X, name="m"),
    tflite.write_hybrid(EVERYTHING, P, X, float_layers=3, name="m"),
]


def facts(one: native.CLayer) -> dict[str, object]:
    window = one.kind in (1, 2, 3, 4)
    return {
        "kind": KINDS[one.kind],
        "dtype": ("float32", "int8")[one.type],
        "activation": ACTIVATIONS[one.activation],
        "shapes": [(s.h, s.w, s.c) for s in (one.input, one.output)],
        "scales": (one.in_scale, one.in_zero, one.out_scale, one.out_zero),
        "per_channel": bool(one.per_channel),
        "bias": bool(one.bias),
        "window": window
        and (one.kernel_h, one.kernel_w, one.stride_h, one.stride_w, one.dilation_h,
             one.dilation_w, one.pad_top, one.pad_left),
    }  # fmt: skip


def ours(part: ChainLayer) -> dict[str, object]:
    window = part.kind in ("conv", "depthwise", "max_pool", "average_pool")
    return {
        "kind": part.kind,
        "dtype": part.dtype,
        "activation": part.activation,
        "shapes": [part.in_shape, part.out_shape],
        "scales": (part.in_scale, part.in_zero, part.out_scale, part.out_zero),
        "per_channel": len(part.scales) > 1,
        "bias": part.bias is not None,
        "window": window and (*part.kernel, *part.stride, *part.dilation, *part.pads[::2]),
    }


@pytest.mark.parametrize("data", FILES)
def test_the_c_reader_finds_the_same_layers(data: bytes) -> None:
    table = c_layers(data)
    assert table is not None
    assert [ours(part) for part in Artifact(data).chain] == [facts(one) for one in table]


@settings(deadline=None, max_examples=60)
@given(convnets(), st.sampled_from(["float32", "int8", "hybrid"]))
def test_the_c_reader_finds_the_same_layers_in_any_model(spec: ModelSpec, kind: str) -> None:
    p, x = parameters(spec), inputs(spec, 4)
    if kind == "hybrid" and len(spec.weighted) > 1:
        data = tflite.write_hybrid(spec, p, x, float_layers=1, name="m")
    else:
        data = tflite.write(spec, p, name="m") if kind == "float32" else FILES[1]
        data = tflite.write_int8(spec, p, x, name="m") if kind == "int8" else data
    table = c_layers(data)
    assert table is not None
    assert [ours(part) for part in Artifact(data).chain] == [facts(one) for one in table]


CHANGES = st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=4)


@settings(deadline=None)
@given(st.sampled_from(FILES), CHANGES)
def test_what_is_read_of_a_mutated_file_the_c_reader_takes(
    file: bytes, changes: list[tuple[int, int]]
) -> None:
    data = bytearray(file)
    for at, value in changes:
        data[at % len(data)] = value
    try:
        artifact = Artifact(bytes(data))
        artifact.describe()
        assert artifact.chain
    except ArtifactError:
        return
    assert c_layers(bytes(data)) is not None
    try:
        assert artifact.spec.n_in == prod(artifact.chain[0].in_shape)
        artifact.with_parameters(np.zeros_like(artifact.parameters()))
    except ArtifactError:
        pass


def test_weights_are_in_the_order_of_the_file() -> None:
    spec = ModelSpec.convnet((5, 5, 2), [steps.conv(3, (2, 3)), steps.depthwise((3, 1))])
    p = parameters(spec)
    conv, depthwise = Artifact(tflite.write(spec, p, name="m")).chain
    assert conv.weights is not None and conv.weights.shape == (3, 2, 3, 2)
    assert depthwise.weights is not None and depthwise.weights.shape == (3, 1, 3)
    [(w0, _), (w1, _)] = spec.split(p)
    assert conv.weights.tobytes() == w0.tobytes()
    assert depthwise.weights.tobytes() == w1.tobytes()


@pytest.mark.skipif(not FOREIGN, reason="the published models are not here")
def test_published_files_are_the_same_chains_or_refused_by_both() -> None:
    refused = {}
    for path in FOREIGN:
        data = path.read_bytes()
        table = c_layers(data)
        try:
            parts = Artifact(data).chain
        except UnsupportedOperator as error:
            refused[path.stem] = error.message
            assert table is None, path.name
            continue
        assert table is not None, path.name
        assert [ours(part) for part in parts] == [facts(one) for one in table], path.name
    # A branch, a resize, and uint8.
    assert set(refused) == {"ARM_MicroNet_VWW_3", "Snoring_Guardian", "Person_Detection"}
