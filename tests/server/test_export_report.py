"""The report beside exported files: one page, a table, plain values; and what else is there."""

import json
import re
import subprocess

import numpy as np
import pytest

from edge import runtime
from edge.errors import UsageError
from edge.spec import ModelSpec
from server.cli import main
from server.export import folder
from server.export.about import About
from server.export.bounds import ParityFailed
from server.export.costs import in_short
from server.export.files import export_all
from server.export.measured import Metric, Ratio, Samples
from server.export.reference import forward
from server.export.wanted import Wanted
from server.models import FOLDER

SPEC = ModelSpec.mlp([4, 12, 3], output="softmax")
P = SPEC.initial(3)
X = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
MSE = Metric("mse", lambda outputs, targets: float(((outputs - targets) ** 2).mean()), False)
ABOUT = About("net", "presence", ("no", "yes", "ü"), "scaled", "", "r1", 7, "CC-BY-4.0")
TFLITE = Wanted(("tflite",))
EXACT = Wanted(("tflite",), ("float32",))


def stored(folder):
    return json.loads((folder / "parity.json").read_text())


def test_the_page_shows_every_runtime_board_and_layer(tmp_path) -> None:
    export_all(SPEC, P, X, tmp_path, ABOUT, wanted=Wanted(("tflite",)))
    page = (tmp_path / "parity.html").read_text()
    for words in (
        "firmware on nano33ble",
        "tinyfleet (c)",
        "softmax1",
        "CC-BY-4.0",
        "instructions",
    ):
        assert words in page
    stored = json.loads((tmp_path / "parity.json").read_text())
    int8 = next(entry for entry in stored["files"] if entry["int8"])
    assert int8["board"] == "nano33ble" and int8["instructions"] > 0
    assert [name for name, _ in int8["layers"]] == ["dense0", "dense1", "softmax1"]


def test_the_table_has_all_that_the_page_has(tmp_path) -> None:
    export_all(SPEC, P, X, tmp_path, ABOUT, wanted=Wanted(("tflite", "onnx", "c")))
    page, table = (tmp_path / "parity.html").read_text(), (tmp_path / "parity.md").read_text()
    titles = re.findall(r"<h2>(.*?)</h2>", page)
    assert titles == re.findall(r"^## (.*)$", table, re.MULTILINE)
    assert titles[:2] == ["What each file costs", "What learning costs"]
    assert {"Layers of model.int8.tflite", "Bounds", "Digests", "Options"} <= set(titles)
    for file in stored(tmp_path)["files"]:
        assert file["sha256"] in table and f"{file['bytes']:,}" in table
    assert "| model.int8.h | holds model.int8.tflite |" in table
    assert all(f" {cell} " in table for cell in re.findall(r"<td>(.*?)</td>", page))


def test_two_exports_have_the_same_report(tmp_path) -> None:
    for name in ("a", "b"):
        export_all(SPEC, P, X, tmp_path / name, ABOUT)
    for name in ("parity.json", "parity.md", "parity.html"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_instructions_are_those_of_the_prediction_alone(tmp_path) -> None:
    from firmware_sim.measure import predicting_cost

    (exact,) = export_all(SPEC, P, X, tmp_path, ABOUT, wanted=EXACT)
    counted = predicting_cost("nano33ble", exact.data, X[:20]).instructions
    assert exact.parity and exact.parity.instructions == round(counted)


def test_a_quantised_file_is_set_beside_the_float32_one(tmp_path) -> None:
    export_all(SPEC, P, X, tmp_path, ABOUT)
    found = {file["file"]: file for file in stored(tmp_path)["files"]}
    exact, int8 = found["model.f32.tflite"], found["model.int8.tflite"]
    assert exact["ratio"] is None
    assert int8["ratio"] == {
        "of": "model.f32.tflite",
        "bytes": int8["bytes"] / exact["bytes"],
        "instructions": int8["instructions"] / exact["instructions"],
        "arena": int8["arena"] / exact["arena"],
        "without_fpu": int8["without_fpu"]["instructions"] / exact["without_fpu"]["instructions"],
    }
    onnx = found["model.int8.onnx"]["ratio"]
    assert onnx["of"] == "model.f32.onnx" and onnx["instructions"] is None
    table = (tmp_path / "parity.md").read_text()
    assert f"{int8['instructions']:,} ({int8['ratio']['instructions']:.2f}x)" in table
    export_all(SPEC, P, X, tmp_path, ABOUT, wanted=Wanted(("tflite",), ("int8",)))
    assert stored(tmp_path)["files"][0]["ratio"] is None


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ((0.7, 1.4, 2.0), "saves flash, costs time and RAM"),
        ((0.3, 0.4, 0.3), "saves flash, time and RAM"),
        ((1.2, 1.01, 0.5), "saves RAM, costs flash"),
        ((1.0, 1.0, 1.0), "takes as much"),
        ((0.8, None, None), "saves flash"),
    ],
)
def test_what_it_saves_and_costs_is_said_in_short(shares, said) -> None:
    assert in_short(Ratio("model.f32.tflite", *shares)) == said


def test_the_options_are_in_every_report(tmp_path) -> None:
    wanted = Wanted(("tflite",), calibration="mse", per_channel=False, float_ends=True)
    export_all(SPEC, P, X, tmp_path, ABOUT, wanted=wanted)
    found = stored(tmp_path)["options"]
    assert found["calibration"] == "mse" and found["float_ends"] is True
    assert found["per_channel"] is False and found["formats"] == ["tflite"]
    for name in ("parity.md", "parity.html"):
        said = (tmp_path / name).read_text()
        assert "calibration: mse" in said and "float_ends: yes" in said


def test_no_metric_and_no_worst_ratio_is_taken_of_the_few_samples_of_a_board(tmp_path) -> None:
    x = X.copy()
    x[:20] = x[0]  # what a board is given says little of the others
    samples = Samples(x, forward(SPEC, P, x).astype(np.float32), MSE)
    _, int8 = export_all(SPEC, P, X, tmp_path, ABOUT, wanted=TFLITE, samples=samples)
    assert int8.parity is not None
    *others, board = int8.parity.answers
    assert board.board and board.metric is None and not any(one.board for one in others)
    assert all(one.metric is not None for one in others)
    assert board.sqnr < int8.parity.sqnr == min(one.sqnr for one in others)


def test_one_runtime_alone_agrees_with_nobody(tmp_path) -> None:
    pytest.importorskip("onnxruntime")
    export_all(SPEC, P, X, tmp_path, ABOUT, wanted=Wanted(("onnx",), ("int8",)))
    assert stored(tmp_path)["files"][0]["agreement"] is None
    table = (tmp_path / "parity.md").read_text()
    assert "runtimes agree, dB: **-** (only one ran model.int8.onnx)" in table


def test_no_runtime_at_all_is_said_and_no_crash(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(runtime, "fitting", lambda data: [])
    with pytest.raises(ParityFailed, match=r"nothing here runs model\.int8\.onnx"):
        export_all(SPEC, P, X, tmp_path, ABOUT, wanted=Wanted(("onnx",), ("int8",)))
    assert "nothing here runs" in (tmp_path / "parity.md").read_text()


def test_the_worst_of_float32_is_a_share_of_the_largest_output(tmp_path) -> None:
    spec = ModelSpec.mlp([4, 3])
    large = spec.initial(0) * np.float32(1000)
    export_all(spec, large, X, tmp_path, ABOUT, wanted=EXACT)
    found = stored(tmp_path)
    worst = max(one["worst"] for one in found["files"][0]["answers"] if not one["board"])
    assert found["largest"] > 100
    tile = f"worst of float32: **{worst / found['largest']:.1g}** (of the largest output; at most"
    assert tile in (tmp_path / "parity.md").read_text()


def test_what_an_earlier_export_left_is_removed_and_nothing_else(tmp_path) -> None:
    export_all(SPEC, P, X, tmp_path, ABOUT, wanted=Wanted(("tflite", "onnx", "c")))
    others = ["model.int8.tflite.bak", "model.txt", "model.f16.tflite", "my.int8.tflite", "x.h"]
    for name in others:
        (tmp_path / name).write_text("mine")
    wanted = Wanted(("onnx",), ("int8",))
    export_all(SPEC, SPEC.initial(4), X, tmp_path, ABOUT, wanted=wanted)
    left = {path.name for path in tmp_path.iterdir()} - set(others)
    assert left == {"SHA256SUMS", "model.int8.onnx", "parity.json", "parity.md", "parity.html"}
    assert all((tmp_path / name).read_text() == "mine" for name in others)


def test_the_file_that_is_exported_stays_where_it_lies_in_the_folder(tmp_path) -> None:
    source = tmp_path / "model.f32.tflite"
    source.write_bytes((FOLDER / "sine.tflite").read_bytes())
    options = ["--to", "tflite", "--dtype", "int8", "--out", str(tmp_path)]
    assert main(["server", "export", str(source), "--task", "sine", *options]) == 0
    assert source.read_bytes() == (FOLDER / "sine.tflite").read_bytes()


def test_a_file_that_no_export_has_written_stays_as_it_is(tmp_path, capsys) -> None:
    mine = {"model.hybrid.tflite": b"mine", "model.int8.h": b"mine", "parity.txt": b"mine"}
    for name, data in mine.items():
        (tmp_path / name).write_bytes(data)
    export_all(SPEC, P, X, tmp_path, ABOUT, wanted=TFLITE)
    for name in ("model.f32.tflite", "model.int8.tflite"):  # changed since by its user
        (tmp_path / name).write_bytes((FOLDER / "sine.tflite").read_bytes())
        with pytest.raises(UsageError, match=f"{name} was changed since an export wrote it"):
            export_all(SPEC, SPEC.initial(4), X, tmp_path, ABOUT, wanted=TFLITE)
        (tmp_path / name).unlink()
    source = tmp_path / "model.f32.tflite"
    source.write_bytes((FOLDER / "sine.tflite").read_bytes())
    line = ["server", "export", str(source), "--task", "sine", "--to", "tflite"]
    assert main([*line, "--dtype", "float32", "--out", str(tmp_path)]) == 2
    assert "another --out" in capsys.readouterr().err
    assert source.read_bytes() == (FOLDER / "sine.tflite").read_bytes()
    assert {name: (tmp_path / name).read_bytes() for name in mine} == mine


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("SHA256SUMS", f"{'0' * 64}  data.csv\n"),
        ("SHA256SUMS", "words"),
        ("SHA256SUMS", None),
        ("parity.md", "notes"),
        ("model.int8.tflite", None),
    ],
)
def test_what_is_in_the_way_is_named_and_nothing_is_changed(name, content, tmp_path) -> None:
    export_all(SPEC, P, X, tmp_path, ABOUT, wanted=TFLITE)
    (tmp_path / name).unlink()
    if content is None:
        (tmp_path / name).mkdir()
    else:
        (tmp_path / name).write_text(content)
    (tmp_path / "data.csv").write_text("mine")

    def there():
        return {p.name: p.read_bytes() if p.is_file() else None for p in tmp_path.iterdir()}

    before = there()
    with pytest.raises(UsageError, match=f"{name} .*export") as refused:
        export_all(SPEC, SPEC.initial(4), X, tmp_path, ABOUT, wanted=TFLITE)
    assert there() == before and "move it away" in refused.value.hint


@pytest.mark.parametrize("written", range(8))
def test_an_export_that_died_is_no_obstacle_to_the_next(written, tmp_path, monkeypatch) -> None:
    export_all(SPEC, P, X, tmp_path, ABOUT, wanted=Wanted(("tflite", "c")))
    left, write = written, folder.replace_file

    def dies(path, data):
        nonlocal left
        if not left:
            raise KeyboardInterrupt
        left -= 1
        write(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(folder, "replace_file", dies)
        with pytest.raises(KeyboardInterrupt):
            export_all(SPEC, SPEC.initial(4), X, tmp_path, ABOUT, wanted=TFLITE)
    export_all(SPEC, SPEC.initial(5), X, tmp_path, ABOUT, wanted=EXACT)
    assert {p.name for p in tmp_path.iterdir()} == {
        "SHA256SUMS", "model.f32.tflite", "parity.json", "parity.md", "parity.html",
    }  # fmt: skip
    checked = subprocess.run(["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=tmp_path)
    assert checked.returncode == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e38])
def test_a_model_that_is_not_finite_is_not_exported(value, tmp_path) -> None:
    broken = P.copy()
    broken[3] = value
    with pytest.raises(ParityFailed, match="itself gives NaN or infinity"):
        export_all(SPEC, broken, X * (1e6 if value == 1e38 else 1), tmp_path, ABOUT)
    assert not list(tmp_path.iterdir())


def test_no_old_report_lies_beside_new_files(tmp_path, monkeypatch) -> None:
    export_all(SPEC, P, X, tmp_path, ABOUT, wanted=TFLITE)

    def dies(*given, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("server.export.files.report", dies)
    with pytest.raises(KeyboardInterrupt):
        export_all(SPEC, SPEC.initial(4), X, tmp_path, ABOUT, wanted=TFLITE)
    assert not list(tmp_path.glob("parity.*")) and not list(tmp_path.glob("*.new"))


def test_a_full_disk_is_said(tmp_path, monkeypatch) -> None:
    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder, "replace_file", full)
    with pytest.raises(UsageError, match="No space left"):
        export_all(SPEC, P, X, tmp_path, ABOUT, wanted=TFLITE)
    assert not list(tmp_path.iterdir())


def test_the_share_of_the_metric_that_int8_loses_is_known(tmp_path) -> None:
    from server.tasks import get_task

    spec = get_task("sine").spec()
    rng = np.random.default_rng(0)
    parts = [(w * 3, b + rng.normal(size=b.shape)) for w, b in spec.split(spec.initial(0))]
    samples = Samples(
        x := rng.uniform(-5, 5, (100, 1)).astype(np.float32),
        forward(spec, spec.join(parts), x).astype(np.float32) + np.float32(0.01),
        MSE,
    )
    about, wanted = About("sine"), Wanted(("tflite",))
    exact, int8 = export_all(
        spec, spec.join(parts), x, tmp_path, about, wanted=wanted, samples=samples
    )
    assert abs(exact.loss) < 1e-3 < 0.01 < int8.loss
