import hashlib
import os
from math import prod
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.artifact import Artifact, ArtifactError, TruncatedArtifact, UnsupportedOperator
from edge.errors import UsageError
from edge.spec import ModelSpec
from server.export import tflite
from server.export.flatfile import FlatFile, Tensor
from server.export.operators import dense
from tests.edge.convnets import convnets, everything, inputs
from tests.edge.zoo import model, parameters, samples, specs

SPEC = ModelSpec.mlp([6, 5, 3], hidden="tanh", output="softmax")
FILE = model(SPEC)
INT8 = tflite.write_int8(SPEC, parameters(SPEC), samples(SPEC, 50)[0], name="zoo")
CONV = everything()
HYBRID = tflite.write_hybrid(CONV, parameters(CONV), inputs(CONV), float_layers=2, name="zoo")
ROOT = Path(os.environ.get("TINYFLEET_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
FOREIGN = sorted((ROOT / "tinyml_catalogue" / "models").glob("*.tflite"))


@given(specs())
def test_what_was_written_is_read(spec: ModelSpec) -> None:
    artifact = Artifact(model(spec))
    assert artifact.spec == spec
    assert artifact.dtype == "float32"
    assert artifact.macs == spec.macs
    assert artifact.parameters().tobytes() == parameters(spec).tobytes()


@given(convnets())
def test_a_convnet_that_was_written_is_read(spec: ModelSpec) -> None:
    artifact = Artifact(model(spec))
    assert (artifact.spec, artifact.tail_spec, artifact.macs) == (spec, spec, spec.macs)
    assert artifact.parameters().tobytes() == parameters(spec).tobytes()
    assert artifact.with_parameters(parameters(spec, 7)).data == model(spec, 7)


def test_a_hybrid_file_knows_what_can_be_trained() -> None:
    artifact = Artifact(HYBRID)
    assert (artifact.dtype, artifact.spec) == ("float32", CONV)
    assert artifact.tail_spec.layers == CONV.layers[-2:]
    assert artifact.frozen_layers == len(CONV.layers) - 2
    assert [part.kind for part in artifact.backbone][:2] == ["quantize", "pad"]
    assert artifact.backbone[-1].kind == "dequantize"
    with pytest.raises(UsageError, match="is needed"):
        artifact.with_parameters(parameters(CONV))


def test_layers_that_share_their_weights_are_not_given_others() -> None:
    file = FlatFile("shared")
    x, middle, y = (file.add(Tensor(name, (1, 2), "float32")) for name in "xmy")
    w = file.add(Tensor("w", (2, 2), "float32", np.ones((2, 2), np.float32)))
    b = file.add(Tensor("b", (2,), "float32", np.ones(2, np.float32)))
    file.inputs, file.outputs = (x,), (y,)
    for source, out in ((x, middle), (middle, y)):
        file.operators.append(dense((source, w, b), out, "relu", int8=False))
    artifact = Artifact(file.to_bytes())
    assert artifact.with_parameters(artifact.parameters()).data == artifact.data
    with pytest.raises(UnsupportedOperator, match="share their weights"):
        artifact.with_parameters(np.arange(12, dtype=np.float32))


def test_other_parameters_change_the_buffers_and_nothing_else() -> None:
    artifact, new = Artifact(FILE), parameters(SPEC, 7)
    changed = artifact.with_parameters(new)
    assert changed.data == model(SPEC, 7)
    assert artifact.data == FILE
    assert changed.with_parameters(artifact.parameters()).data == FILE
    assert changed.sha256 == hashlib.sha256(changed.data).hexdigest() != artifact.sha256


@pytest.mark.parametrize("bad", [np.zeros(3, np.float32), np.full(53, np.nan, np.float32)])
def test_parameters_that_do_not_fit_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(UsageError):
        Artifact(FILE).with_parameters(bad)


def test_an_int8_file_has_a_spec_but_nothing_to_train() -> None:
    artifact = Artifact(INT8)
    assert (artifact.dtype, artifact.spec) == ("int8", SPEC)
    with pytest.raises(UnsupportedOperator, match="only float32"):
        artifact.parameters()
    assert artifact.frozen_layers == 2
    assert Artifact(FILE).frozen_layers == 0


@pytest.mark.parametrize("data", [b"", b"\x08\0\0\0", FILE[:9], FILE[: len(FILE) // 2]])
def test_a_truncated_file_is_refused(data: bytes) -> None:
    with pytest.raises(TruncatedArtifact):
        Artifact(data)


def test_another_file_is_refused() -> None:
    with pytest.raises(ArtifactError, match="identifier"):
        Artifact(b"\x89PNG\r\n\x1a\n" * 4)


def exercise(data: bytes) -> None:
    """Everything that reads; only an ArtifactError may come out."""
    try:
        artifact = Artifact(data)
        artifact.describe()
        assert artifact.spec.n_in == prod(artifact.chain[0].in_shape)
        artifact.with_parameters(artifact.parameters())
    except ArtifactError:
        pass


@given(st.binary(max_size=200))
def test_any_bytes_are_an_artefact_or_an_error(tail: bytes) -> None:
    exercise(tail)
    exercise(FILE[:8] + tail)


@given(
    st.sampled_from([FILE, INT8, HYBRID]),
    st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_a_mutated_file_is_an_artefact_or_an_error(
    file: bytes, changes: list[tuple[int, int]]
) -> None:
    data = bytearray(file)
    for at, value in changes:
        data[at % len(data)] = value
    exercise(bytes(data))


@given(st.sampled_from([FILE, INT8, HYBRID]), st.integers(0, 1 << 16))
def test_any_beginning_of_a_file_is_an_artefact_or_an_error(file: bytes, size: int) -> None:
    exercise(file[: size % len(file)])


@pytest.mark.skipif(not FOREIGN, reason="the published models are not here")
def test_published_files_are_described() -> None:
    for path in FOREIGN:
        described = Artifact(path.read_bytes()).describe()
        assert described.size == path.stat().st_size
        assert described.operators and described.tensors and described.macs > 0, path.name
        assert all(tensor.elements > 0 for tensor in described.inputs), path.name
