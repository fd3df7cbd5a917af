"""What fails an export: a runtime or a board that answers wrongly, or not at all."""

import json
from dataclasses import replace

import numpy as np
import pytest

from edge import runtime
from edge.errors import DoesNotFit, MissingExtra, TinyfleetError
from edge.learner import OnlineLearner
from edge.spec import ModelSpec
from server.cli import main
from server.export import answers, parity, tflite
from server.export.about import About
from server.export.bounds import ParityFailed, require
from server.export.files import export_all
from server.export.measured import Samples
from server.export.on_board import BoardAnswers, on_board
from server.export.sqnr import sqnr
from server.export.wanted import Wanted
from server.models import FOLDER

SPEC = ModelSpec.mlp([4, 12, 3], output="softmax")
P = SPEC.initial(3)
X = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
ABOUT = About("net")
EXACT = {"m.f32.tflite": tflite.write(SPEC, P, name="m")}


def changed(monkeypatch, name, change) -> None:
    """From now on a runtime answers something else than it does."""
    kind, honest = runtime.RUNTIMES[name]

    class Changed:
        def __init__(self, data: bytes) -> None:
            self.name, self._inside = name, honest(data)

        def run(self, x):
            return change(self._inside.run(x))

    monkeypatch.setitem(runtime.RUNTIMES, name, (kind, Changed))


def with_nan(y):
    y = np.array(y)
    y[3] = np.nan
    return y


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_answer_that_is_no_number_is_the_worst_there_is(value) -> None:
    right = np.ones((2, 3))
    wrong = right.copy()
    wrong[1, 1] = value
    assert sqnr(right, wrong) == sqnr(wrong, right) == sqnr(wrong, wrong) == -200
    assert sqnr(right, right) == 200
    assert sqnr(right, 1e30 * right) == -200


@pytest.mark.parametrize("dtype", ["float32", "int8", "hybrid"])
def test_a_runtime_that_gives_nan_fails_the_export_and_is_named(
    dtype, tmp_path, monkeypatch
) -> None:
    changed(monkeypatch, "tflite-micro", with_nan)
    with pytest.raises(ParityFailed, match=r"tflite-micro fails on .*: NaN or infinity in 1 of 60"):
        export_all(SPEC, P, X, tmp_path, ABOUT, wanted=Wanted(("tflite",), (dtype,)))
    stored = json.loads((tmp_path / "parity.json").read_text(), parse_constant=pytest.fail)
    found = {one["runtime"]: one for one in stored["files"][0]["answers"]}
    assert found["tflite-micro"]["sqnr"] == -200 and found["tflite-micro"]["worst"] is None
    assert found["tinyfleet (c)"]["sqnr"] > 20
    assert "tflite-micro" in stored["failed"][0]


def refusing(data: bytes) -> None:
    raise ValueError("operator | 7\nis unknown.")


def failing(y):
    raise RuntimeError("no memory")


@pytest.mark.parametrize("when", ["loading", "running"])
def test_a_runtime_that_raises_is_in_the_report_with_its_reason(
    when, tmp_path, monkeypatch, capsys
) -> None:
    if when == "loading":
        monkeypatch.setitem(runtime.RUNTIMES, "tflite-micro", ("tflite", refusing))
    else:
        changed(monkeypatch, "tflite-micro", failing)
    reason = "operator | 7 is unknown" if when == "loading" else "RuntimeError: no memory"
    options = ["--to", "tflite", "--dtype", "int8", "--out", str(tmp_path)]
    assert main(["server", "export", str(FOLDER / "sine.tflite"), *options]) == 6
    said = capsys.readouterr().err
    assert "tflite-micro fails on model.int8.tflite" in said and reason in said
    assert reason in (tmp_path / "parity.html").read_text()
    assert reason.replace("|", "\\|") in (tmp_path / "parity.md").read_text()
    (file,) = json.loads((tmp_path / "parity.json").read_text())["files"]
    found = {one["runtime"]: one["failed"] for one in file["answers"]}
    assert reason in found["tflite-micro"] and not found["ai-edge-litert"]


def test_answers_of_another_shape_fail(monkeypatch) -> None:
    changed(monkeypatch, "tflite-micro", lambda y: y[:, :1])
    with pytest.raises(ParityFailed, match=r"it gives \(60, 1\), the model \(60, 3\)"):
        parity.report(SPEC, P, EXACT, Samples(X))


def test_a_model_that_gives_nan_itself_fails() -> None:
    found = parity.report(SPEC, P, EXACT, Samples(X), check=False)
    with pytest.raises(ParityFailed, match="the model itself"):
        require(replace(found, largest=float("nan")))


@pytest.mark.parametrize("error", [TinyfleetError("COMMIT refused (OPERATOR)"), OSError("crash")])
def test_a_board_that_refuses_a_file_fails_the_export(error, tmp_path, monkeypatch) -> None:
    def refuses(*given):
        raise error

    monkeypatch.setattr(answers, "on_board", refuses)
    with pytest.raises(ParityFailed, match=r"firmware on nano33ble fails on .*(OPERATOR|crash)"):
        export_all(SPEC, P, X, tmp_path, ABOUT, wanted=Wanted(("tflite",), ("float32",)))
    (file,) = json.loads((tmp_path / "parity.json").read_text())["files"]
    assert file["answers"][-1]["board"] and file["instructions"] == 0
    assert "fails on" in (tmp_path / "parity.html").read_text()


def test_what_the_firmware_says_of_a_file_it_cannot_run_is_raised(monkeypatch) -> None:
    from edge.board_protocol import BoardClient, BoardError
    from edge.board_words import Op, Status

    def refuses(*given, **options):
        raise BoardError(Op.COMMIT, Status.OPERATOR)

    monkeypatch.setattr(BoardClient, "upload_artifact", refuses)
    with pytest.raises(BoardError):
        on_board(EXACT["m.f32.tflite"], X)


@pytest.mark.parametrize(
    "error", [MissingExtra("no emulator"), DoesNotFit("no room", needed=9, available=1)]
)
def test_no_emulator_and_no_room_are_excuses(error, tmp_path, monkeypatch) -> None:
    def refuses(*given, **options):
        raise error

    monkeypatch.setattr("firmware_sim.measure.predicting_cost", refuses)
    export_all(SPEC, P, X, tmp_path, ABOUT, wanted=Wanted(("tflite",), ("float32",)))
    assert error.message in (tmp_path / "parity.md").read_text()


def test_a_model_without_room_on_the_board_says_what_is_needed() -> None:
    wide = ModelSpec.mlp([400, 400, 3])
    said = on_board(tflite.write(wide, wide.initial(0), name="m"), X, "microbit")
    assert isinstance(said, str) and "needed" in said


def test_the_firmware_on_a_board_answers_as_the_runtimes_do() -> None:
    exact = tflite.write(SPEC, P, name="m")
    found = on_board(exact, X)
    assert isinstance(found, BoardAnswers), found
    expected = OnlineLearner(exact, infer_only=True).predict_many(X[:20])
    assert np.array_equal(found.outputs, expected)
    assert 1_000 < found.instructions < 100_000 and found.arena > 0


def test_a_board_that_answers_otherwise_fails(monkeypatch) -> None:
    honest = answers.on_board

    def astray(data, x):
        found = honest(data, x)
        return replace(found, outputs=found.outputs + np.float32(1e-5))

    monkeypatch.setattr(answers, "on_board", astray)
    with pytest.raises(ParityFailed, match=r"nano33ble and this machine differ by 1\.?\d*e-05"):
        parity.report(SPEC, P, EXACT, Samples(X))


def test_the_bounds_of_float32_and_of_a_board_are_shares_also_of_small_outputs(
    monkeypatch,
) -> None:
    spec = ModelSpec.mlp([4, 3])
    small = spec.initial(0) * np.float32(1e-3)
    file = {"m.f32.tflite": tflite.write(spec, small, name="m")}
    found = parity.report(spec, small, file, Samples(X))
    assert found.largest < 0.01
    (part,) = found.files
    with pytest.raises(ParityFailed, match="this machine differ"):
        require(replace(found, files=(replace(part, apart=1e-5 * found.largest),)))
    changed(monkeypatch, "tflite-micro", lambda y: y + np.float32(1e-3 * found.largest))
    with pytest.raises(ParityFailed, match="tflite-micro is off by"):
        parity.report(spec, small, file, Samples(X))


def test_zeros_that_come_back_as_zeros_are_within_every_bound() -> None:
    spec = ModelSpec.mlp([4, 3])
    nothing = np.zeros(spec.n_parameters, np.float32)
    file = {"m.f32.tflite": tflite.write(spec, nothing, name="m")}
    parity.report(spec, nothing, file, Samples(X))


def test_a_file_beyond_its_bound_fails_the_command_and_leaves_the_report(tmp_path) -> None:
    from server.exporting import export_file

    spec = ModelSpec.mlp([1, 2, 1])
    cancelling = [([[1], [1]], [6, 6]), ([[1000, -999.2]], [0])]
    parts = [(np.array(w, np.float32), np.array(b, np.float32)) for w, b in cancelling]
    model = tmp_path / "sine.tflite"
    model.write_bytes(tflite.write(spec, spec.join(parts), name="sine"))
    with pytest.raises(ParityFailed, match=r"int8.*at least 20"):
        export_file(model, tmp_path / "out", Wanted(dtypes=("int8",)), "sine")
    assert "int8" in (tmp_path / "out" / "parity.md").read_text()


def test_runtimes_that_disagree_fail_the_command_and_leave_the_report(
    tmp_path, monkeypatch, capsys
) -> None:
    """One runtime is a few codes off: near enough to the model, too far from the others."""
    changed(monkeypatch, "tflite-micro", lambda y: y + np.float32(0.06 * np.abs(y).mean()))
    out = tmp_path / "out"
    options = ["--to", "tflite", "--dtype", "int8", "--out", str(out)]
    assert main(["server", "export", str(FOLDER / "sine.tflite"), *options]) != 0
    assert "agree on model.int8.tflite to" in capsys.readouterr().err
    assert json.loads((out / "parity.json").read_text())["files"][0]["agreement"] < 30


def test_a_header_is_proven_by_the_model_inside(tmp_path) -> None:
    wanted = Wanted(("c",), ("float32", "int8"))
    exact, int8 = export_all(SPEC, P, X, tmp_path, ABOUT, wanted=wanted)
    assert {path.name for path in tmp_path.glob("model.*")} == {"model.f32.h", "model.int8.h"}
    stored = json.loads((tmp_path / "parity.json").read_text())["files"]
    assert [file["file"] for file in stored] == ["model.f32.h", "model.int8.h"]
    for file, one in zip(stored, (exact, int8), strict=True):
        names = [answer["runtime"] for answer in file["answers"]]
        assert "tflite-micro" in names and "tinyfleet (c)" in names
        assert file["instructions"] > 0 and one.parity is not None
        assert file["sha256"].encode() in one.data
        assert f"_BYTES {file['bytes']}\n".encode() in one.data
    assert stored[1]["layers"] and stored[1]["ratio"]["of"] == "model.f32.h"


def test_a_header_with_a_bad_model_fails(tmp_path, monkeypatch) -> None:
    changed(monkeypatch, "tflite-micro", with_nan)
    with pytest.raises(ParityFailed, match=r"tflite-micro fails on model\.int8\.h"):
        export_all(SPEC, P, X, tmp_path, ABOUT, wanted=Wanted(("c",), ("int8",)))
