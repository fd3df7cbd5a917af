"""Hybrids of foreign `.onnx` files: split without the onnx package, run in onnxruntime."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from edge.artifact import Artifact
from edge.chain import UnsupportedOperator
from edge.errors import ArtifactError, ExitCode, UsageError
from edge.fronted import FrontedLearner, learner_of
from edge.host import HostWorker
from edge.messages import Plan
from edge.runtime import load
from edge.sources import Replay
from edge.split import split
from edge.store import ArtefactStore
from ontology.describe.model import ModelFacts
from server.bring import trial
from server.bring.hybrid import hybrid
from server.bring.tail import Tail
from server.bring.trial import tried
from server.cli.app import main
from server.describe_onnx import onnx_facts
from server.export import onnx as exported
from tests.edge.convnets import everything, inputs
from tests.edge.zoo import parameters

RNG = np.random.default_rng(8)


def residual(classifier: str = "MatMul", batch: str | int = "n", opset: int = 17) -> bytes:
    """A small network with a residual connection, as another exporter might write it."""

    def constant(name: str, *shape: int) -> Any:
        return numpy_helper.from_array(RNG.normal(size=shape).astype(np.float32) * 0.4, name)

    nodes = [
        helper.make_node("Conv", ["image", "k1"], ["c1"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "k2"], ["c2"], pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["c2", "r1"], ["sum"]),
        helper.make_node("Relu", ["sum"], ["r2"]),
    ]
    constants = [constant("k1", 4, 1, 3, 3), constant("k2", 4, 4, 3, 3), constant("unused", 9)]
    if classifier == "MatMul":
        constants += [constant("w", 4, 5), constant("b", 5)]
        nodes += [
            helper.make_node("GlobalAveragePool", ["r2"], ["p"]),
            helper.make_node("Flatten", ["p"], ["f"]),
            helper.make_node("MatMul", ["f", "w"], ["m"]),
            helper.make_node("Add", ["b", "m"], ["z"]),
            helper.make_node("Softmax", ["z"], ["y"], axis=1),
        ]
        shape: list[str | int] = [batch, 5]
    else:
        constants += [constant("w", 5, 4, 1, 1)]
        nodes += [helper.make_node("Conv", ["r2", "w"], ["y"])]
        shape = [batch, 5, 8, 8]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "residual", [value("image", TensorProto.FLOAT, [batch, 1, 8, 8])],
        [value("y", TensorProto.FLOAT, shape)], constants,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8
    return bytes(model.SerializeToString())


def images(n: int = 6) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(n, 64)).astype(np.float32)


def ask(data: bytes, x: np.ndarray, *tensors: str) -> list[np.ndarray]:
    """Any tensors of a graph, as onnxruntime computes them."""
    model = onnx.load_from_string(data)
    for name in tensors:
        if name not in [one.name for one in model.graph.output]:
            model.graph.output.append(helper.make_empty_tensor_value_info(name))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    rows = [session.run(list(tensors), {"image": row.reshape(1, 1, 8, 8)}) for row in x]
    return [np.concatenate(found) for found in zip(*rows, strict=True)]


@pytest.mark.parametrize("opset", [11, 13, 17])
@pytest.mark.parametrize("batch", ["n", 1])
@pytest.mark.parametrize(
    ("classifier", "feature", "width"), [("MatMul", "f", 4), ("Conv", "r2", 4)]
)
def test_features_are_those_of_the_original(
    classifier: str, feature: str, width: int, batch: str | int, opset: int
) -> None:
    data, x = residual(classifier, batch, opset), images()
    made = hybrid(data, Tail(3, hidden=(5,), seed=2), name="mine")
    assert made.feature.name == feature and made.feature.replaced == classifier
    assert made.spec.n_in == width
    (old,) = ask(data, x, feature)
    new, y = ask(made.data, x, feature, made.data and "tinyfleet.tail/1/softmax")
    assert old.tobytes() == new.tobytes()
    assert y.shape == (6, 3) and np.allclose(y.sum(axis=1), 1)
    names = {one.name for one in onnx.load_from_string(made.data).graph.initializer}
    assert {"k1", "k2"} <= names and not names & {"w", "b", "unused"}
    parts = split(Artifact(made.data))
    assert parts is not None
    features = load(parts.front).run(x)
    means = old.reshape(6, 4, -1).mean(axis=2) if old.ndim > 2 else old
    np.testing.assert_allclose(features, means, atol=1e-6)
    learner = learner_of(made.data)
    assert isinstance(learner, FrontedLearner)
    np.testing.assert_allclose(learner.predict_many(x), y, atol=2e-6)
    np.testing.assert_allclose(load(made.data).run(x), y, atol=2e-6)


def test_new_parameters_reach_runtime_and_learner_alike() -> None:
    made, x = hybrid(residual(), Tail(3, hidden=(5,))), images()
    artifact = Artifact(made.data)
    vector = np.random.default_rng(3).normal(size=made.spec.n_parameters).astype(np.float32)
    changed = artifact.with_parameters(vector)
    assert changed.parameters().tobytes() == vector.tobytes()
    assert len(changed.data) == len(made.data)
    onnx.checker.check_model(onnx.load_from_string(changed.data))
    np.testing.assert_allclose(
        load(changed.data).run(x), learner_of(changed.data).predict_many(x), atol=2e-6
    )
    before, after = split(artifact), split(changed)
    assert before is not None and after is not None
    assert before.front == after.front and before.frozen == after.frozen
    assert changed.with_parameters(artifact.parameters()).data == made.data


def test_a_host_learns_on_an_onnx_and_keeps_it(tmp_path: Any) -> None:
    data = hybrid(residual(), Tail(2, seed=1)).data
    y = np.arange(24) % 2
    x = np.random.default_rng(4).normal(size=(24, 64)).astype(np.float32) + y[:, None]
    worker = HostWorker(Replay(x, y), store=ArtefactStore(tmp_path))
    worker.deploy(data)
    before = worker.evaluate(24)
    result = worker.train(data, Plan("s", 0.05, 24, epochs=10))
    learnt = Artifact(data).with_parameters(Artifact(data).parameters() + result.delta)
    worker.deploy(learnt.data)
    after = worker.evaluate(24)
    assert float(after["loss"]) < 0.5 * float(before["loss"])
    assert after["correct"] >= 22 and int(after["correct"]) > int(before["correct"])
    again = HostWorker(Replay(x, y), store=ArtefactStore(tmp_path))
    assert again.running == learnt.sha256 and again.evaluate(24) == after


def test_a_device_s_view_of_an_onnx_invents_no_facts() -> None:
    facts = ModelFacts.of(Artifact(HYBRID))
    assert set(facts.operators) == set(onnx_facts(HYBRID).operators)
    assert (facts.layers, facts.macs, facts.parameters, facts.runtimes) == ((), None, None, ())


def test_a_tensor_can_be_named_and_pooled() -> None:
    data = residual()
    assert hybrid(data, Tail(2), layer="r1").spec.n_in == 4 * 64
    assert hybrid(data, Tail(2, pooling="mean"), layer="r1").spec.n_in == 4
    assert hybrid(residual("Conv"), Tail(2, pooling="flatten")).spec.n_in == 4 * 64
    with pytest.raises(UsageError, match="no tensor is called 'nothing'"):
        hybrid(data, Tail(2), layer="nothing")


@pytest.mark.parametrize("int8", [False, True])
def test_our_own_exports_can_be_given_another_tail(int8: bool) -> None:
    spec = everything()
    x = inputs(spec)
    if int8:
        data = exported.write_int8(spec, parameters(spec), x, name="own")
    else:
        data = exported.write(spec, parameters(spec), name="own")
    made = hybrid(data, Tail(4))
    assert onnx_facts(made.data).operators
    learner = learner_of(made.data)
    np.testing.assert_allclose(learner.predict_many(x), load(made.data).run(x), atol=2e-6)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(UnsupportedOperator, match="opset 6"):
        hybrid(residual("Conv", opset=6), Tail(2))
    with pytest.raises(UnsupportedOperator, match="a tail of ours already"):
        hybrid(HYBRID, Tail(2))
    with pytest.raises(ArtifactError, match="no ONNX model"):
        hybrid(b"\x08\x08" + b"junk" * 20, Tail(2))
    foreign = Artifact(residual())
    assert [op.name for op in foreign.operators][:2] == ["Conv", "Relu"]
    assert foreign.input.shape == (1, 1, 8, 8) and foreign.dtype == "float32"
    with pytest.raises(UnsupportedOperator, match="Conv"):
        learner_of(foreign.data)


HYBRID = hybrid(residual(), Tail(2)).data


def changed(data: bytes, change: Callable[[Any], None]) -> bytes:
    """A file that was changed with the onnx package."""
    model = onnx.load_from_string(data)
    change(model.graph)
    return bytes(model.SerializeToString())


def another_input(graph: Any) -> None:
    graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, ["n", 4]))
    graph.node.insert(3, helper.make_node("Mul", ["c2", "mask"], ["masked"]))


def sized(at: int, size: int) -> Callable[[Any], None]:
    """Change one size of the input; 0: not known."""

    def change(graph: Any) -> None:
        dim = graph.input[0].type.tensor_type.shape.dim[at]
        dim.ClearField("dim_value")
        dim.ClearField("dim_param")
        if size:
            dim.dim_value = size

    return change


def of_doubles(graph: Any) -> None:
    graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    graph.node.insert(0, helper.make_node("Cast", ["image"], ["single"], to=TensorProto.FLOAT))
    graph.node[1].input[0] = "single"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (another_input, r"2 inputs \(image, mask\)"),
        (sized(0, 4), "fixed to 4"),
        (sized(3, 0), r"sizes \(1, 8, \?\)"),
        (of_doubles, "'image' is float64"),
    ],
)
def test_what_no_device_can_feed_is_refused(change: Callable[[Any], None], said: str) -> None:
    with pytest.raises(UnsupportedOperator, match=said):
        hybrid(changed(residual(), change), Tail(2))


def test_constants_that_are_listed_as_inputs_are_none() -> None:
    def listed(graph: Any) -> None:
        kernel = helper.make_tensor_value_info("k1", TensorProto.FLOAT, [4, 1, 3, 3])
        graph.input.insert(0, kernel)

    made = hybrid(changed(residual(), listed), Tail(2))
    (batch, _) = onnx.load_from_string(made.data).graph.output[0].type.tensor_type.shape.dim
    assert batch.dim_param == "batch" and tried(made.data) == "onnxruntime"


def stubborn() -> bytes:
    """It says that a sample has 6 values and makes 4 of them, which no runtime can."""
    value, constant = helper.make_tensor_value_info, numpy_helper.from_array
    graph = helper.make_graph(
        [helper.make_node("Reshape", ["x", "shape"], ["r"]),
         helper.make_node("Relu", ["r"], ["f"]), helper.make_node("Gemm", ["f", "w"], ["y"])],
        "stubborn", [value("x", TensorProto.FLOAT, ["n", 6])],
        [value("y", TensorProto.FLOAT, [1, 3])],
        [constant(np.array([1, 4]), "shape"), constant(np.ones((4, 3), np.float32), "w")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return bytes(model.SerializeToString())


def test_a_hybrid_that_does_not_run_is_not_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, out = tmp_path / "stubborn.onnx", tmp_path / "out"
    path.write_bytes(stubborn())
    line = ["server", "import", str(path), "--classes", "2", "--out", str(out)]
    assert main(line) == ExitCode.BAD_ARTIFACT
    assert "no runtime here runs the hybrid: onnxruntime" in capsys.readouterr().err
    assert not out.exists()
    path.write_bytes(residual())
    monkeypatch.setattr(trial, "_CHILD", "import os; os.abort()")
    assert main(line) == ExitCode.BAD_ARTIFACT
    assert "ended with code -6" in capsys.readouterr().err
    monkeypatch.setattr(trial, "_CHILD", "import time; time.sleep(60)")
    monkeypatch.setattr(trial, "PATIENCE", 0.1)
    assert main(line) == ExitCode.BAD_ARTIFACT
    assert "no answer" in capsys.readouterr().err
    assert not out.exists()


def test_without_a_runtime_a_hybrid_is_made_and_not_tried(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "residual.onnx"
    path.write_bytes(residual())
    missing = "import sys; sys.modules['onnxruntime'] = None; "
    monkeypatch.setattr(trial, "_CHILD", missing + trial._CHILD)
    assert main(["server", "import", str(path), "--classes", "2", "--out", str(tmp_path)]) == 0
    assert "no runtime for it is installed here" in capsys.readouterr().out
    assert (tmp_path / "residual-hybrid.onnx").is_file()


@pytest.mark.parametrize("inside", [False, True])
def test_constants_in_another_file_are_said(
    inside: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def outside(graph: Any) -> None:
        tensor = next(one for one in graph.initializer if one.name == "k2")
        if inside:
            tensor = onnx.TensorProto(
                name="k9", data_type=TensorProto.FLOAT, dims=[1], raw_data=b"\0\0\0\0"
            )
        onnx.external_data_helper.set_external_data(tensor, "weights.bin")
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        if inside:
            graph.node.insert(0, helper.make_node("Constant", [], ["k9"], value=tensor))

    path = tmp_path / "outside.onnx"
    path.write_bytes(changed(residual(), outside))
    for line in (["server", "import"], ["catalog", "describe"]):
        assert main([*line, str(path)]) == ExitCode.BAD_ARTIFACT
        said = capsys.readouterr().err
        assert "lies in another file" in said and "one file with all constants" in said


@settings(max_examples=500, deadline=None)
@given(
    st.just(len(HYBRID)) | st.integers(0, len(HYBRID)),
    st.lists(st.tuples(st.integers(0, len(HYBRID) - 1), st.integers(0, 7)), max_size=5),
)
def test_a_torn_hybrid_raises_artifact_errors_alone(cut: int, flips: list[tuple[int, int]]) -> None:
    broken = bytearray(HYBRID[:cut])
    for place, bit in flips:
        if place < cut:
            broken[place] ^= 1 << bit
    try:
        parts = split(Artifact(bytes(broken)))
        if parts is not None:
            parts.with_parameters(parts.tail.parameters())
    except ArtifactError:
        return
    except UsageError as error:
        assert "NaN" in error.message


FOREIGN = residual()


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, len(FOREIGN) - 1), st.integers(0, 255)), min_size=1, max_size=5
    )
)
def test_a_torn_foreign_file_raises_our_errors_alone(changes: list[tuple[int, int]]) -> None:
    broken = bytearray(FOREIGN)
    for place, value in changes:
        broken[place] = value
    try:
        hybrid(bytes(broken), Tail(2))
    except (ArtifactError, UsageError):
        return


def test_a_name_that_is_no_text_is_refused() -> None:
    broken = FOREIGN.replace(b"image", b"im\xf5ge")
    with pytest.raises(ArtifactError, match="no UTF-8 text"):
        hybrid(broken, Tail(2))
