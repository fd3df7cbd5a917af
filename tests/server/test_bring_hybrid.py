"""Hybrids of foreign files: the features are those of the original, bit for bit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.artifact import Artifact
from edge.chain import UnsupportedOperator
from edge.errors import ArtifactError, UsageError
from edge.learner import OnlineLearner
from edge.runtime import load
from edge.split import split
from server.bring import trial
from server.bring.hybrid import hybrid
from server.bring.tail import Tail
from server.bring.tree import Node, read
from server.bring.write import write
from tests.server.foreign import FILES, NEEDED, foreign

pytestmark = NEEDED
UNKNOWN = ("ARM_MicroNet_VWW_3", "Person_Detection", "Snoring_Guardian")
"""Those that the learner does not know from front to end."""


def interpreters(data: bytes) -> list[Any]:
    from ai_edge_litert import interpreter as litert
    from tflite_runtime import interpreter as tflite

    made = []
    for library in (tflite, litert):
        kind = library.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        one = library.Interpreter(
            model_content=data,
            experimental_op_resolver_type=kind,
            experimental_preserve_all_tensors=True,
        )
        one.allocate_tensors()
        made.append(one)
    return made


def tensor_of(interpreter: Any, x: np.ndarray, index: int) -> np.ndarray:
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    return np.array(interpreter.get_tensor(index))


def inputs(artifact: Artifact, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if artifact.dtype == "float32":
        return rng.uniform(-1, 1, artifact.input.shape).astype(np.float32)
    kind = np.iinfo(artifact.dtype)
    return rng.integers(kind.min, kind.max + 1, artifact.input.shape).astype(artifact.dtype)


def index_of(artifact: Artifact, name: str) -> int:
    return next(i for i, tensor in enumerate(artifact.tensors) if tensor.name == name)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_features_are_those_of_the_original(path: Path) -> None:
    data = path.read_bytes()
    made = hybrid(data, Tail(3, hidden=(5,)), name=path.stem)
    whole, copy = Artifact(data), Artifact(made.data)
    assert made.data == hybrid(data, Tail(3, hidden=(5,)), name=path.stem).data
    assert copy.output.shape == (1, 3) and copy.output.dtype == "float32"
    for old, new in zip(interpreters(data), interpreters(made.data), strict=True):
        for seed in range(3):
            x = inputs(whole, seed)
            before = tensor_of(old, x, made.feature.tensor)
            after = tensor_of(new, x, index_of(copy, made.feature.name))
            assert before.dtype == after.dtype and before.tobytes() == after.tobytes()
            y = tensor_of(new, x, copy.outputs[0])
            assert np.isfinite(y).all() and abs(float(y.sum()) - 1) < 1e-5


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_front_and_a_tail_are_the_whole(name: str) -> None:
    data = hybrid(foreign(name), Tail(4, hidden=(6,), seed=3)).data
    artifact = Artifact(data)
    with pytest.raises(UnsupportedOperator):
        _ = artifact.spec
    parts = split(artifact)
    assert parts is not None
    learner = OnlineLearner(parts.tail.data)
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (4, artifact.input.elements)).astype(np.float32)
    for runtime in (load(data, library) for library in ("tflite-runtime", "ai-edge-litert")):
        features = load(parts.front, runtime.name).run(x)
        assert features.dtype == np.float32 and features.shape == (4, learner.n_in)
        np.testing.assert_allclose(learner.predict_many(features), runtime.run(x), atol=2e-6)


@pytest.mark.parametrize("name", UNKNOWN)
def test_new_parameters_change_the_tail_alone(name: str) -> None:
    data = hybrid(foreign(name), Tail(2)).data
    artifact = Artifact(data)
    parts = split(artifact)
    assert parts is not None
    n = artifact.tail_spec.n_parameters
    vector = np.arange(1, n + 1, dtype=np.float32)
    changed = Artifact(parts.with_parameters(vector))
    assert changed.parameters().tobytes() == vector.tobytes()
    differ = np.flatnonzero(np.frombuffer(changed.data, "u1") != np.frombuffer(data, "u1"))
    assert 0 < len(differ) <= 4 * n
    assert changed.with_parameters(artifact.parameters()).data == data
    x = np.random.default_rng(1).uniform(-1, 1, (2, artifact.input.elements)).astype(np.float32)
    after = split(changed)
    assert after is not None and after.frozen == parts.frozen
    assert load(after.front).run(x).tobytes() == load(parts.front).run(x).tobytes()


def test_what_the_learner_knows_from_front_to_end_is_not_split() -> None:
    made = hybrid(foreign("Visual_Alarm_Clock"), Tail(2))
    artifact = Artifact(made.data)
    assert split(artifact) is None and artifact.front == b""
    assert artifact.tail_spec == made.spec and artifact.frozen_layers > 20


def test_every_file_is_copied_without_loss() -> None:
    for path in FILES:
        data = path.read_bytes()
        copy = write(read(data))
        assert write(read(copy)) == copy
        assert [t.shape for t in Artifact(copy).tensors] == [
            t.shape for t in Artifact(data).tensors
        ]
        x = inputs(Artifact(data), 0)
        for old, new in zip(interpreters(data), interpreters(copy), strict=True):
            out = Artifact(data).outputs[0]
            assert tensor_of(old, x, out).tobytes() == tensor_of(new, x, out).tobytes()


def test_a_tensor_can_be_named() -> None:
    data = foreign("Person_Detection")
    made = hybrid(data, Tail(2, pooling="mean"), layer="25")
    assert made.feature.shape == (1, 3, 3, 256) and made.spec.layers[0].n_out == 256
    assert hybrid(data, Tail(2), layer="25").spec.n_in == 3 * 3 * 256
    assert hybrid(data, Tail(2), layer=made.feature.name).feature.tensor == 25
    with pytest.raises(UsageError, match="0 tensors of the file are called 'nothing'"):
        hybrid(data, Tail(2), layer="nothing")
    with pytest.raises(UsageError, match="height and width"):
        hybrid(foreign("Squats_Counter"), Tail(2, pooling="mean"))


def test_a_model_of_one_layer_has_nothing_to_keep() -> None:
    from edge.spec import ModelSpec
    from server.export import tflite

    spec = ModelSpec.mlp([4, 2], hidden="relu", output="softmax")
    one = tflite.write(spec, spec.initial(0), name="one")
    with pytest.raises(UnsupportedOperator, match="is the input"):
        hybrid(one, Tail(2))


def test_what_no_device_can_feed_is_refused() -> None:
    def changed(change: Callable[[Node], None]) -> bytes:
        model = read(foreign("Hello_World"))
        change(model.tables("graphs")[0])
        return write(model)

    def twice(graph: Node) -> None:
        graph.put_numbers("inputs", (*graph.numbers("inputs"), graph.numbers("outputs")[0]))

    def of_longs(graph: Node) -> None:
        graph.tables("tensors")[graph.numbers("inputs")[0]].put("type", 4)

    def without_a_scale(graph: Node) -> None:
        graph.tables("tensors")[graph.numbers("inputs")[0]].put_child("quantisation", None)

    for change, said in (
        (twice, "2 inputs"), (of_longs, "is int64"), (without_a_scale, "0 scales"),
    ):  # fmt: skip
        with pytest.raises(UnsupportedOperator, match=said):
            hybrid(changed(change), Tail(2))


SNORING = hybrid(foreign("Snoring_Guardian"), Tail(2)).data if FILES else b""


def torn(data: bytes, cut: int, flips: list[tuple[int, int]]) -> bytes:
    broken = bytearray(data[: cut if cut else len(data)])
    for place, bit in flips:
        if place < len(broken):
            broken[place] ^= 1 << bit
    return bytes(broken)


FLIPS = st.lists(
    st.tuples(st.integers(0, max(len(SNORING) - 1, 0)) | st.integers(0, 600), st.integers(0, 7)),
    max_size=6,
)


@settings(max_examples=300, deadline=None)
@given(st.just(0) | st.integers(1, max(len(SNORING), 1)), FLIPS)
def test_a_torn_hybrid_raises_artifact_errors_alone(
    cut: int, flips: list[tuple[int, int]]
) -> None:  # fmt: skip
    data = torn(SNORING, cut, flips)
    try:
        parts = split(Artifact(data))
        if parts is not None:
            parts.with_parameters(parts.tail.parameters())
    except ArtifactError:
        return
    except UsageError as error:  # flipped weights may be infinite: those are not written
        assert "NaN" in error.message


@settings(max_examples=200, deadline=None)
@given(st.just(0) | st.integers(1, 4000), FLIPS)
def test_a_torn_foreign_file_raises_artifact_errors_alone(
    cut: int, flips: list[tuple[int, int]]
) -> None:  # fmt: skip
    data = torn(foreign("Hello_World"), cut, flips)
    try:
        hybrid(data, Tail(2, pooling="flatten"))
    except (ArtifactError, UsageError):
        return


def test_a_runtime_that_ends_is_not_the_last_word(monkeypatch) -> None:
    made = hybrid(foreign("ARM_MicroNet_VWW_3"), Tail(2)).data
    ending = "import sys, os; sys.argv[-1] == 'tflite-runtime' and os.abort(); "
    monkeypatch.setattr(trial, "_CHILD", ending + trial._CHILD)
    assert trial.tried(made) == "ai-edge-litert"
