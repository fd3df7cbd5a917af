"""Forms of operators that are read, and those that are refused by name."""

import numpy as np
import pytest

from edge.artifact import Artifact, ArtifactError, UnsupportedOperator
from server.export.flatfile import FlatFile, Operator, Options, Tensor
from tests.edge.c_chain import c_layers

SHAPE = (1, 4, 4, 2)
SCALE: dict[str, object] = {"scales": (0.5,), "zero_points": (0,)}


def one_operator(
    code: int,
    version: int = 1,
    options: Options | None = None,
    shapes: tuple[tuple[int, ...], tuple[int, ...]] = (SHAPE, SHAPE),
    constants: tuple[Tensor, ...] = (),
    **of_ends: object,
) -> bytes:
    """A file of one operator, float32 unless said otherwise."""
    file = FlatFile("one")
    dtype = "int8" if of_ends else "float32"
    x, y = (file.add(Tensor("t", shape, dtype, None, **of_ends)) for shape in shapes)  # type: ignore[arg-type]
    inputs = (x, *(file.add(tensor) for tensor in constants))
    file.inputs, file.outputs = (x,), (y,)
    file.operators.append(Operator(code, version, inputs, (y,), options))
    return file.to_bytes()


def conv_options(**changed: int) -> Options:
    names = ["padding", "stride_w", "stride_h", "fused", "dilation_w", "dilation_h"]
    values = dict(zip(names, (0, 1, 1, 0, 1, 1), strict=True)) | changed
    fields = {slot: ("int32", values[name]) for slot, name in enumerate(names)}
    fields[0], fields[3] = ("int8", values["padding"]), ("int8", values["fused"])
    return Options(1, fields)


def filters(shape: tuple[int, ...] = (2, 3, 3, 2), **more: object) -> Tensor:
    dtype = "int8" if more else "float32"
    return Tensor("w", shape, dtype, np.ones(shape, dtype), **more)  # type: ignore[arg-type]


def bias(n: int = 2) -> Tensor:
    return Tensor("b", (n,), "int32", np.zeros(n, np.int32))


def axes(*values: int) -> Tensor:
    return Tensor("a", (len(values),), "int32", np.array(values, np.int32))


def pads(values: list[list[int]]) -> Tensor:
    return Tensor("p", (4, 2), "int32", np.array(values, np.int32))


GOOD = [
    one_operator(3, 1, conv_options(), constants=(filters(),)),
    one_operator(3, 3, conv_options(), constants=(filters(**SCALE), bias()), **SCALE),
    one_operator(34, 1, None, ((1, 2, 4, 2), SHAPE), (pads([[0, 0], [1, 1], [0, 0], [0, 0]]),)),
    one_operator(25, 1, Options(9, {0: ("float32", 1.0)}), ((1, 4), (1, 4))),
    one_operator(40, 1, None, (SHAPE, (1, 2)), (axes(2, 1),)),
    one_operator(40, 1, None, (SHAPE, (1, 1, 1, 2)), (axes(-3, -2),)),
]  # fmt: skip
BAD = {
    "CONV_2D version 6": one_operator(3, 6, conv_options(), constants=(filters(),)),
    "dilation .1, -1.": one_operator(3, 1, conv_options(dilation_w=-1), constants=(filters(),)),
    "stride .0, 1.": one_operator(3, 1, conv_options(stride_h=0), constants=(filters(),)),
    "fused activation 4": one_operator(3, 1, conv_options(fused=4), constants=(filters(),)),
    r"gives \(4, 4\) places": one_operator(3, 1, conv_options(padding=1), constants=(filters(),)),
    "stride .1, 1., dilation .1, 1., padding 2": one_operator(
        3, 1, conv_options(padding=2), constants=(filters(),)
    ),
    "weights of shape": one_operator(3, 1, conv_options(), constants=(filters((2, 3, 3, 1)),)),
    "no constant float32": one_operator(
        3, 1, conv_options(), constants=(filters(**SCALE), bias())
    ),
    "weight zero points": one_operator(
        3, 3, conv_options(), constants=(filters(scales=(0.5,), zero_points=(3,)), bias()), **SCALE
    ),
    "scales of another dimension": one_operator(
        3, 3, conv_options(),
        constants=(filters(scales=(0.5, 0.5), zero_points=(0, 0), axis=3), bias()), **SCALE,
    ),
    "a scale that is none": one_operator(
        3, 3, conv_options(), constants=(filters(scales=(-1.0,), zero_points=(0,)), bias()), **SCALE
    ),
    "3 biases for 2": one_operator(
        3, 3, conv_options(), constants=(filters(**SCALE), bias(3)), **SCALE
    ),
    "more than height and width": one_operator(
        34, 1, None, ((1, 4, 4, 1), (1, 4, 4, 2)), (pads([[0, 0], [0, 0], [0, 0], [0, 1]]),)
    ),
    "over dimensions": one_operator(
        40, 1, None, ((1, 4, 4, 2), (1, 2)), (axes(1, 3),)
    ),
    "beta 2": one_operator(25, 1, Options(9, {0: ("float32", 2.0)}), ((1, 4), (1, 4))),
    "tensor of shape": one_operator(3, 1, conv_options(), ((1, 4, 8), (1, 4, 4, 2)), (filters(),)),
    "RNN version 1": one_operator(24),
}  # fmt: skip


@pytest.mark.parametrize("data", GOOD)
def test_a_single_operator_is_a_chain(data: bytes) -> None:
    assert len(Artifact(data).chain) == 1
    assert c_layers(data) is not None


@pytest.mark.parametrize("why", BAD)
def test_a_form_that_is_not_known_is_refused_by_name(why: str) -> None:
    artifact = Artifact(BAD[why])
    assert artifact.describe().operators
    with pytest.raises(UnsupportedOperator, match=why):
        artifact.chain  # noqa: B018
    assert c_layers(BAD[why]) is None


def test_a_file_of_many_names_for_one_thing_is_refused_at_once() -> None:
    file = FlatFile("hostile")
    x = file.add(Tensor("x", (1, 1), "float32"))
    file.inputs = file.outputs = (x,)
    file.operators += [Operator(19, 1, (x,), (x,))] * 300
    with pytest.raises(ArtifactError, match="at most 256"):
        Artifact(file.to_bytes())
    file.operators = file.operators[:1]
    file.tensors[0] = Tensor("x", (1,) * 9, "float32")
    with pytest.raises(ArtifactError, match="at most 8"):
        Artifact(file.to_bytes())
    many = np.ones(5000, np.float32)
    file.tensors[0] = Tensor("x", (1, 1), "int8", None, many, np.zeros(5000, np.int64))
    with pytest.raises(ArtifactError, match="at most 4096"):
        Artifact(file.to_bytes())
