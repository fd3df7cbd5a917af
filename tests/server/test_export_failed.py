"""An export that fails shows what it has made, where that is, and what helps."""

import json

import numpy as np
import pytest

from edge.spec import ModelSpec
from server.cli import main
from server.export import tflite
from server.export.cause import why_coarse
from server.export.measured import FileParity, Parity
from server.export.ranges import Ranges, ranges

SPEC = ModelSpec.mlp([3, 16, 4], output="softmax")
P = SPEC.initial(2)
X = np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32)
FAULTY = X.copy()
FAULTY[4] *= 3000  # of those that set the ranges


@pytest.fixture
def failing(tmp_path):
    (tmp_path / "mine.tflite").write_bytes(tflite.write(SPEC, P, name="mine"))
    np.savez(tmp_path / "bad.npz", x=FAULTY)
    return [
        "server", "export", str(tmp_path / "mine.tflite"), "--data", str(tmp_path / "bad.npz"),
        "--to", "tflite", "--out", str(tmp_path / "out"),
    ]  # fmt: skip


def test_the_table_and_the_place_come_before_the_error(failing, tmp_path, capsys) -> None:
    assert main(failing) == 6
    out, said = capsys.readouterr()
    assert [line.split()[0] for line in out.splitlines()[:3]] == [
        "file", "model.f32.tflite", "model.int8.tflite",
    ]  # fmt: skip
    assert "agreed" not in out
    page = str(tmp_path / "out" / "parity.md")
    assert said.index(f"see {page}; the files are left there") < said.index("tinyfleet: ")
    assert "single values make a range" in said and "samples without faults" in said
    assert "--refine" not in said


def test_json_has_what_failed_and_the_files(failing, capsys) -> None:
    assert main([*failing, "--json"]) == 6
    found = json.loads(capsys.readouterr().out)
    assert [entry["file"] for entry in found["files"]] == ["model.f32.tflite", "model.int8.tflite"]
    assert any("dB on model.int8.tflite" in message for message in found["failed"])


def hint(file: str, lie: Ranges | None, **options) -> tuple[str, str]:
    part = FileParity(file, True, 1, "", ())
    return why_coarse(Parity(1, "", "", True, None, 1.0, (part,), options, lie), part)


def test_refining_is_advised_only_where_it_was_not_tried_and_may_help() -> None:
    assert "--refine" in hint("model.int8.tflite", None)[1]
    assert "--refine" not in hint("model.int8.tflite", None, refined=True)[1]
    assert "--refine" not in hint("model.hybrid.tflite", None)[1]


def test_values_outside_the_ranges_are_named() -> None:
    tried = X.copy()
    tried[7] *= 3000
    found = ranges(SPEC, P, X, tried, "minmax")
    assert found.clips and not found.coarse and 0 < found.clipped < 0.01
    cause, remedy = hint("model.int8.tflite", found)
    assert "lie outside the ranges" in cause and "--calibration" not in remedy
    assert "--calibration minmax" in hint("model.int8.tflite", found, calibration="mse")[1]
    clean = ranges(SPEC, P, X, X, "minmax")
    assert clean.clipped == 0 and not clean.clips and not clean.coarse


def test_percentiles_are_advised_where_they_clip_what_stretches_a_range() -> None:
    rare = np.random.default_rng(1).normal(size=(20_000, 3)).astype(np.float32)
    rare[4, 0] *= 3000
    rare_found = ranges(SPEC, P, rare, X, "minmax")
    assert "--calibration percentile" in hint("model.int8.tflite", rare_found)[1]
    often = ranges(SPEC, P, FAULTY, X, "minmax")
    assert often.coarse and "--calibration" not in hint("model.int8.tflite", often)[1]
