"""Chains of others become a `.tflite` that boards train whole."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from edge.artifact import Artifact
from edge.chain import UnsupportedOperator
from edge.errors import ArtifactError, ExitCode, TinyfleetError
from edge.learner import OnlineLearner
from edge.runtime import load
from edge.spec import ModelSpec
from ontology.catalog import Catalog
from ontology.namespaces import TF
from server.bring import convert as converting
from server.bring.bring import Brought, facts_in
from server.bring.convert import Read, convert, read_chain
from server.cli.app import main
from server.export import onnx as exported
from server.export import tflite
from tests.edge.convnets import convnets, everything, inputs
from tests.edge.zoo import parameters

Node = tuple[str, list[str], dict[str, Any]]


def chain(
    sample: list[int], nodes: list[Node], opset: int = 17, **constants: np.ndarray | float
) -> bytes:
    """An `.onnx` of nodes that follow each other; each names its further inputs."""
    made, current = [], "x"
    for index, (kind, further, options) in enumerate(nodes):
        made.append(helper.make_node(kind, [current, *further], [f"t{index}"], **options))
        current = f"t{index}"
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        made, "chain", [value("x", TensorProto.FLOAT, ["n", *sample])],
        [value(current, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8
    return bytes(onnx.shape_inference.infer_shapes(model).SerializeToString())


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def apart(data: bytes, read: Read) -> float:
    """Largest difference of the conversion to the original, in the learner and onnxruntime."""
    x = drawn(6, read.spec.n_in, seed=5)
    ours = np.empty_like(x)
    ours[:, read.entry] = x
    made = tflite.write(read.spec, read.parameters, name="made")
    answers = OnlineLearner(made).predict_many(ours)[:, read.end]
    return float(np.abs(answers - load(data).run(x)).max())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(convnets())
def test_what_we_export_comes_back(spec: ModelSpec) -> None:
    p = parameters(spec)
    data = exported.write(spec, p, name="m")
    read, _ = read_chain(data)
    # A depthwise convolution of one channel may come back as one over all channels: the same.
    assert np.array_equal(np.sort(read.parameters), np.sort(p))
    assert read.spec.n_in == spec.n_in and read.spec.loss == spec.loss
    assert np.array_equal(read.entry, np.arange(spec.n_in))
    assert apart(data, read) <= 1e-4 * max(1.0, float(np.abs(load(data).run(inputs(spec))).max()))


def test_every_kind_of_layer_comes_back_as_it_was() -> None:
    spec = everything()
    read, _ = read_chain(exported.write(spec, parameters(spec), name="m"))
    assert [type(layer) for layer in read.spec.layers] == [type(layer) for layer in spec.layers]
    assert np.array_equal(read.parameters, parameters(spec))


W, B = drawn(5, 6), drawn(5)
K, D = drawn(4, 3, 3, 3), drawn(6, 1, 3, 2)
FLAT: Node = ("Flatten", [], {})
DENSE: Node = ("Gemm", ["w", "b"], {"transB": 1})
PADS = np.array([0, 0, 1, 0, 0, 0, 2, 1])
NORM = {name: np.abs(drawn(4, seed=at)) + 0.3 for at, name in enumerate("ghmv")}


@pytest.mark.parametrize(
    ("sample", "nodes", "constants"),
    [
        ([6], [("Gemm", ["w", "b"], {})], {"w": W.T, "b": B}),
        ([6], [("Gemm", ["w", "b"], {"transB": 1, "alpha": 0.5, "beta": 2.0})], {"w": W, "b": B}),
        ([6], [("Gemm", ["w"], {"transB": 1})], {"w": W}),
        ([6], [("MatMul", ["w"], {}), ("Add", ["b"], {}), ("Relu", [], {})], {"w": W.T, "b": B}),
        ([6], [("MatMul", ["w"], {}), ("Tanh", [], {}), ("Sigmoid", [], {})], {"w": W.T}),
        ([6], [DENSE, ("Clip", ["lo", "hi"], {}), ("Identity", [], {})],
         {"w": W, "b": B, "lo": np.float32(0), "hi": np.float32(6)}),
        ([6], [("Sub", ["m"], {}), ("Div", ["s"], {}), DENSE, ("Softmax", [], {"axis": -1})],
         {"w": W, "b": B, "m": drawn(6), "s": np.float32(3)}),
        ([3, 7, 5], [("Conv", ["k"], {"pads": [1, 0, 2, 1], "strides": [2, 1]}), ("Relu", [], {}),
                     FLAT], {"k": K}),
        ([3, 8, 5], [("Conv", ["k"], {"auto_pad": "SAME_LOWER", "strides": [2, 2]})], {"k": K}),
        ([3, 8, 5], [("Conv", ["k"], {"auto_pad": "SAME_UPPER", "strides": [2, 2]})], {"k": K}),
        ([3, 7, 7], [("Conv", ["d"], {"group": 3, "dilations": [2, 1]}), FLAT], {"d": D}),
        ([3, 7, 7], [("Conv", ["k"], {}), ("BatchNormalization", list("ghmv"), {}),
                     ("Relu", [], {})], {"k": K, **NORM}),
        ([3, 7, 7], [("Conv", ["k"], {}), ("Relu", [], {}),
                     ("BatchNormalization", list("ghmv"), {}), FLAT], {"k": K, **NORM}),
        ([3, 7, 7], [("Conv", ["k"], {}), ("Relu", [], {}),
                     ("MaxPool", [], {"kernel_shape": [3, 3], "strides": [2, 2],
                                      "pads": [1, 1, 1, 1]})], {"k": K}),
        ([3, 7, 7], [("Conv", ["k"], {}),
                     ("AveragePool", [], {"kernel_shape": [2, 3], "pads": [1, 1, 0, 0],
                                          "count_include_pad": 1})], {"k": K}),
        ([3, 7, 7], [("Conv", ["k"], {}), ("ReduceMean", [], {"axes": [2, 3], "keepdims": 0})],
         {"k": K}),
        ([3, 7, 7], [("Conv", ["k"], {}), ("GlobalMaxPool", [], {}), ("Squeeze", ["axes"], {})],
         {"k": K, "axes": np.array([-1, 2])}),
        ([3, 5, 4], [("Pad", ["p"], {}), ("Conv", ["k"], {})], {"k": K, "p": PADS}),
        ([5, 4, 3], [("Transpose", [], {"perm": [0, 3, 1, 2]}), ("Conv", ["k"], {}),
                     ("Transpose", [], {"perm": [0, 2, 3, 1]})], {"k": K}),
        ([3, 9], [("Conv", ["k"], {"pads": [1, 2]}), ("Relu", [], {}),
                  ("MaxPool", [], {"kernel_shape": [2], "strides": [2]}), FLAT],
         {"k": K[:, :, 0]}),
    ],
)  # fmt: skip
def test_a_chain_answers_as_before(
    sample: list[int], nodes: list[Node], constants: dict[str, Any]
) -> None:
    data = chain(sample, nodes, **constants)
    read, sizes = read_chain(data)
    assert list(sizes) == sample and apart(data, read) < 2e-5


def test_weights_behind_a_flatten_are_put_in_the_new_order() -> None:
    """They count channels first in the file, and last in ours."""
    k, w = drawn(4, 3, 1, 1), drawn(2, 4 * 3 * 2)
    data = chain([3, 3, 2], [("Conv", ["k"], {}), FLAT, ("Gemm", ["w"], {"transB": 1})], k=k, w=w)
    read, _ = read_chain(data)
    (_, _), (dense, _) = read.spec.split(read.parameters)
    assert np.array_equal(dense, w.reshape(2, 4, 3, 2).transpose(0, 2, 3, 1).reshape(2, -1))
    assert read.spec.in_shape == (3, 2, 3) and apart(data, read) < 2e-5


def of(kind: str, further: list[str] | None = None, **options: Any) -> list[Node]:
    return [("Conv", ["k"], {}), (kind, further or [], options)]


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        (of("LeakyRelu"), "LeakyRelu 't1': the learner has no such layer"),
        (of("Softmax", axis=1), "Softmax 't1': it is over axis 1"),
        (of("Clip", ["lo"]), "Clip 't1': it clips to 1.0 and None"),
        (of("MaxPool", kernel_shape=[3, 3], pads=[1, 1, 0, 0]), "MaxPool 't1': pads"),
        (of("MaxPool", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1), "ceil_mode"),
        (of("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 0, 0]), "do not count"),
        (of("ReduceMean", axes=[1]), "over axes"),
        (of("Pad", ["p"], mode="reflect"), "mode reflect"),
        (of("Add", ["each"]), "Add 't1': it has other constants at each place"),
        (of("Conv", ["g"], group=2), "2 groups of 4 channels"),
        (of("Reshape", ["form"]), "the batch comes first"),
        ([("Relu", [], {})], "no layer with weights"),
    ],
)
def test_what_the_learner_does_not_know_is_refused_by_name(nodes: list[Node], said: str) -> None:
    data = chain(
        [3, 7, 7], nodes, k=K, lo=np.float32(1), p=PADS, each=drawn(4, 5, 5), g=drawn(4, 2, 1, 1),
        form=np.array([2, -1]),
    )  # fmt: skip
    with pytest.raises(UnsupportedOperator) as refused:
        read_chain(data)
    assert said in refused.value.message
    assert nodes[0][0] == "Relu" or "--classes N" in refused.value.hint


def test_what_is_no_chain_is_refused() -> None:
    model = onnx.load_from_string(chain([3, 7, 7], of("Relu"), k=K))
    model.graph.node.append(helper.make_node("Add", ["t0", "t1"], ["t2"]))
    model.graph.output[0].name = "t2"
    with pytest.raises(UnsupportedOperator, match=r"read by 2 operators \(Relu, Add\)"):
        read_chain(bytes(model.SerializeToString()))


def brought(data: bytes) -> Brought:
    return Brought(facts_in(data, ".onnx"), data, ".onnx")


def test_a_conversion_that_answers_otherwise_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = chain([6], [DENSE], w=W, b=B)
    read: Callable[..., Any] = converting.read_chain

    def wrong(*given: Any, **options: Any) -> Any:
        found, sizes = read(*given, **options)
        found.parameters[0] += 0.01
        return found, sizes

    monkeypatch.setattr(converting, "read_chain", wrong)
    with pytest.raises(ArtifactError, match="nothing was written"):
        convert(brought(data), name="m", out=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_conversion_learns_and_is_exported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    w = drawn(3, 4 * 25)
    nodes = [("Conv", ["k"], {}), ("Relu", [], {}), FLAT, ("Gemm", ["w"], {"transB": 1})]
    path = tmp_path / "net.onnx"
    path.write_bytes(chain([3, 7, 7], nodes, k=K, w=w))
    line = ["server", "import", str(path), "--to", "tflite", "--out", str(tmp_path / "out")]
    assert main([*line, "--describe-in", str(tmp_path / "catalog")]) == 0
    shown = capsys.readouterr().out
    assert "[7, 7, 3]: height, width, channels (the original: [3, 7, 7])" in shown
    assert "--loss softmax" in shown and "tinyfleet server rollout" in shown
    assert main([*line, "--loss", "softmax", "--name", "mine", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)["converted"]
    data = Path(made["file"]).read_bytes()
    artifact = Artifact(data)
    assert made["sha256"] == artifact.sha256 and artifact.name == "mine"
    assert made["sample"] == [7, 7, 3] and made["loss"] == "cross_entropy"
    assert artifact.tail_spec.n_parameters == made["parameters"] == K.size + 4 + w.size + 3
    x = drawn(40, 7 * 7 * 3, seed=2)
    y = OnlineLearner(data).predict_many(x).argmax(axis=1)
    samples = tmp_path / "samples.npz"
    np.savez(samples, x=x, y=y)
    learner = OnlineLearner(data)
    before = learner.loss_one(x[0], [(y[0] + 1) % 3])
    for _ in range(10):
        learner.learn_one(x[0], [(y[0] + 1) % 3], rate=0.01)
    assert learner.loss_one(x[0], [(y[0] + 1) % 3]) < before
    export = ["server", "export", made["file"], "--to", "tflite", "--dtype", "int8,hybrid"]
    assert main([*export, "--data", str(samples), "--out", str(tmp_path / "e")]) == 0
    assert len(list((tmp_path / "e").glob("*.tflite"))) == 2
    with Catalog.open(tmp_path / "catalog") as catalog:
        plain = Artifact((tmp_path / "out" / "net.tflite").read_bytes())
        facts = catalog.facts(f"urn:sha256:{plain.sha256}")
        origin = [str(term) for term in facts[TF + "convertedFrom"]]
    assert origin == [f"urn:sha256:{Artifact(path.read_bytes()).sha256}"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--to c", "tflite is known"),
        ("--to tflite --classes 2", "keeps the outputs that are there"),
        ("--to tflite --loss mse", "softmax is known"),
        ("--to tflite --keep-tail", "all of a model is converted"),
        ("--to tflite --tail-hidden 3", "all of a model is converted"),
        ("--to tflite --name ..", "without folders"),
    ],
)
def test_options_that_do_not_go_together(
    tmp_path: Path, options: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(chain([6], [DENSE], w=W, b=B))
    line = ["server", "import", str(path), "--out", str(tmp_path / "out"), *options.split()]
    assert main(line) == ExitCode.USAGE
    assert said in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_tflite_and_a_second_softmax_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = ModelSpec.mlp([3, 2], output="softmax")
    flat, graph = tmp_path / "a.tflite", tmp_path / "b.onnx"
    flat.write_bytes(tflite.write(spec, spec.initial(0), name="a"))
    graph.write_bytes(exported.write(spec, spec.initial(0), name="b"))
    assert main(["server", "import", str(flat), "--to", "tflite"]) == ExitCode.USAGE
    assert "is a .tflite already" in capsys.readouterr().err
    line = ["server", "import", str(graph), "--to", "tflite", "--loss", "softmax"]
    assert main(line) == ExitCode.USAGE
    assert "ends in softmax" in capsys.readouterr().err


def test_where_a_tflite_is_needed_the_command_that_makes_one_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(chain([6], [DENSE], w=W, b=B))
    for line in (["server", "export", str(path)], ["sim", "plan", str(path)]):
        assert main(line) == ExitCode.BAD_ARTIFACT
        assert f"tinyfleet server import {path} --to tflite" in capsys.readouterr().err


SOUND = chain(
    [3, 7, 7], [("Conv", ["k"], {"pads": [1, 0, 0, 1]}), ("Relu", [], {}), FLAT,
                ("Gemm", ["w"], {"transB": 1})], k=K, w=drawn(2, 144),
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(SOUND) - 1), st.integers(0, 255)), min_size=1, max_size=4)
)
def test_a_torn_file_raises_our_errors_alone(changes: list[tuple[int, int]]) -> None:
    broken = bytearray(SOUND)
    for place, value in changes:
        broken[place] = value
    with suppress(TinyfleetError):
        read_chain(bytes(broken))
