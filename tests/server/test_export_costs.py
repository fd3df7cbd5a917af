"""What learning costs, and a core without FPU; one word and one sign for what int8 loses."""

import json

import numpy as np
import pytest

from edge.artifact import Artifact
from edge.budget import requirement
from edge.replay import Replay
from edge.spec import ModelSpec
from firmware_sim.measure import learning_cost, predicting_cost
from server.cli import main
from server.export import tflite
from server.export.about import About
from server.export.costs import signed
from server.export.counted import learning, without_fpu
from server.export.files import export_all
from server.export.measured import Metric, Samples
from server.export.wanted import Wanted
from server.models import FOLDER

SPEC = ModelSpec.mlp([4, 12, 3], output="softmax")
P = SPEC.initial(3)
X = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
Y = np.random.default_rng(1).integers(3, size=(60, 1)).astype(np.float32)
FILE = tflite.write(SPEC, P, name="m")


def test_a_step_is_counted_with_the_targets_of_the_samples() -> None:
    found = learning(FILE, Samples(X, Y))
    assert (found.layers, found.weighted, found.what) == (2, 2, "all layers")
    assert found.arena == requirement(Artifact(FILE)).board_train
    counted = learning_cost("nano33ble", FILE, Replay(X, Y), samples=5, rate=1e-3)
    assert found.step.instructions == round(counted.instructions) > 1000 and not found.step.why


def test_only_the_tail_of_a_hybrid_learns_and_nothing_of_int8() -> None:
    hybrid = tflite.write_hybrid(SPEC, P, X, float_layers=1, name="m")
    found = learning(hybrid, Samples(X, Y))
    assert (found.layers, found.weighted, found.what) == (1, 2, "the last layer")
    assert found.step.instructions > 0
    int8 = learning(tflite.write_int8(SPEC, P, X, name="m"), Samples(X, Y))
    assert (int8.what, int8.arena, int8.step.instructions) == ("nothing", 0, 0)


@pytest.mark.parametrize(
    ("y", "why"),
    [
        (None, "no targets"),
        (np.eye(3, dtype=np.float32)[Y[:, 0].astype(int)], "other targets"),
        (Y + 0.5, "other targets"),
        (Y + 3, "other targets"),
    ],
)
def test_why_no_step_is_counted_is_said(y, why) -> None:
    step = learning(FILE, Samples(X, y)).step
    assert step.instructions == 0 and why in step.why


def test_a_prediction_without_fpu_is_counted_where_it_fits_and_is_not_too_long() -> None:
    counted = predicting_cost("pico", FILE, X[:5]).instructions
    assert without_fpu(FILE, X).instructions == round(counted)
    long = ModelSpec.mlp([600, 501, 3])
    found = without_fpu(tflite.write(long, long.initial(0), name="m"), np.zeros((1, 600), "f4"))
    assert found.instructions == 0 and found.why


def test_the_report_has_them_and_says_what_is_missing(tmp_path) -> None:
    wanted = Wanted(("tflite",), ("float32", "int8", "hybrid"))
    export_all(SPEC, P, X, tmp_path, About("net"), wanted=wanted, samples=Samples(X, Y))
    table = (tmp_path / "parity.md").read_text()
    entries = json.loads((tmp_path / "parity.json").read_text())["files"]
    for entry, what in zip(entries, ("all layers", "nothing", "the last layer"), strict=True):
        assert f"| {entry['file']} | {what} | " in table
        assert f"{entry['without_fpu']['instructions']:,}" in table
    assert f"{entries[0]['learning']['step']['instructions']:,} |" in table
    assert "## Not counted" not in table
    export_all(SPEC, P, X, tmp_path, About("net"), wanted=wanted, samples=Samples(X))
    table = (tmp_path / "parity.md").read_text()
    assert "| model.f32.tflite | a step on nano33ble | the samples have no targets |" in table
    assert "model.int8.tflite | a step" not in table


def test_the_console_and_the_report_have_one_sign_and_one_figure(tmp_path, capsys) -> None:
    options = ["--to", "tflite,onnx", "--out", str(tmp_path)]
    assert main(["server", "export", str(FOLDER / "sine.tflite"), *options]) == 0
    shown = {line.split()[0]: line.split() for line in capsys.readouterr().out.splitlines()[1:5]}
    costs = (tmp_path / "parity.md").read_text().split("## What learning costs")[0]
    assert "| mse change |" in costs
    for entry in json.loads((tmp_path / "parity.json").read_text())["files"]:
        (line,) = (one for one in costs.splitlines() if one.startswith(f"| {entry['file']} |"))
        assert shown[entry["file"]][4] == signed(entry["change"]) == line.split(" | ")[5]


@pytest.mark.parametrize("higher", [True, False])
def test_a_gain_is_shown_as_such(higher, tmp_path) -> None:
    metric = Metric("m", lambda y, t: float(np.abs(y - y.mean()).sum()), higher)
    _, int8 = export_all(
        SPEC, P, X, tmp_path, About("net"), wanted=Wanted(("tflite",)),
        samples=Samples(X, Y, metric),
    )  # fmt: skip
    assert int8.change is not None and int8.change != 0
    assert int8.loss == (-int8.change if higher else int8.change)
    assert f"| {signed(int8.change)} |" in (tmp_path / "parity.md").read_text()


@pytest.mark.parametrize(
    ("change", "said"), [(0.012, "+1.2%"), (-0.012, "-1.2%"), (-0.0004, "0.0%"), (None, "-")]
)
def test_a_change_has_its_sign(change, said) -> None:
    assert signed(change) == said
