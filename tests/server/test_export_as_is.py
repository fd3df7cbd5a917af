"""Files with int8 layers, exported as they are."""

import json
from pathlib import Path

import numpy as np
import pytest

from edge import runtime
from edge.artifact import Artifact
from edge.errors import ArtifactError, UsageError
from edge.spec import ModelSpec
from server.bring.hybrid import hybrid
from server.bring.tail import Tail
from server.cli import main
from server.export import onnx, tflite
from server.export.as_is import agreement, kind_of
from server.export.bounds import ParityFailed
from server.export.measured import Samples
from server.models import FOLDER

SPEC = ModelSpec.mlp([3, 16, 4], output="softmax")
P = SPEC.initial(2)
X = np.random.default_rng(0).normal(size=(100, 3)).astype(np.float32)


def export(model: Path, out: Path, *options: str) -> int:
    return main(["server", "export", str(model), "--out", str(out), *options])


def test_a_learnt_hybrid_becomes_a_header_and_stays_what_it_is(tmp_path, capsys) -> None:
    model = FOLDER / "keywords.tflite"
    assert export(model, tmp_path, "--to", "tflite,c", "--json") == 0
    said = capsys.readouterr()
    copy, header = json.loads(said.out)
    assert Path(copy["path"]).read_bytes() == model.read_bytes()
    assert copy["file"] == "model.hybrid.tflite" and copy["sqnr"] is None
    assert copy["metric"] > 0.9 and copy["metric_name"] == "accuracy"
    assert "tinyfleet (c)" in copy["runtimes"] and copy["instructions"] > 1_000_000
    written = Path(header["path"]).read_text()
    assert header["file"] == "model.hybrid.h" and copy["sha256"] in written
    assert "KEYWORDS_HYBRID_ARENA_TRAIN" in written
    assert "as it is, hybrid, and as no .onnx" in said.err


def test_an_int8_file_is_named_as_what_it_is(tmp_path, capsys) -> None:
    model, data = tmp_path / "m.tflite", tmp_path / "x.npz"
    model.write_bytes(tflite.write_int8(SPEC, P, X, name="mine"))
    np.savez(data, x=X)
    out = tmp_path / "o"
    assert export(model, out, "--to", "tflite,c", "--data", str(data)) == 0
    assert {path.name for path in out.iterdir()} == {
        "SHA256SUMS", "model.int8.tflite", "model.int8.h",
    }  # fmt: skip
    assert "MINE_INT8_ARENA_TRAIN 0\n" in (out / "model.int8.h").read_text()
    assert "parity.md" not in capsys.readouterr().out


@pytest.mark.parametrize("options", ["--to onnx", "--calibration mse", "--float-layers 2"])
def test_what_cannot_be_done_to_it_is_refused(options, tmp_path, capsys) -> None:
    more = ["--dtype", "int8,hybrid"]
    assert export(FOLDER / "keywords.tflite", tmp_path, *options.split(), *more) == 2
    said = capsys.readouterr().err
    assert "int8 layers already" in said and "float32 model" in said
    assert not list(tmp_path.iterdir())


def test_a_front_that_firmware_does_not_know_is_said() -> None:
    pytest.importorskip("onnxruntime")
    foreign = onnx.write(SPEC, P, name="foreign")
    with pytest.raises(UsageError, match="only a runtime of a host"):
        kind_of(Artifact(hybrid(foreign, Tail(2), name="hybrid").data), "hybrid")


def test_runtimes_that_disagree_fail_it(monkeypatch, tmp_path) -> None:
    data = tflite.write_int8(SPEC, P, X, name="m")
    name = runtime.available(data)[0].name
    kind, honest = runtime.RUNTIMES[name]

    class Astray:
        def __init__(self, file):
            self.name, self._honest = name, honest(file)

        def run(self, x):
            return self._honest.run(x) + np.float32(0.1)

    monkeypatch.setitem(runtime.RUNTIMES, name, (kind, Astray))
    with pytest.raises(ParityFailed, match="agree to"):
        agreement(data, Samples(X))


def test_an_onnx_file_is_no_input(tmp_path) -> None:
    (tmp_path / "m.onnx").write_bytes(onnx.write(SPEC, P, name="m"))
    from server.export.wanted import Wanted
    from server.exporting import export_file

    with pytest.raises(ArtifactError, match=r"a \.tflite is needed"):
        export_file(tmp_path / "m.onnx", tmp_path / "o", Wanted())
