"""The figures of the firmware: names, targets, and that they are measured."""

import json
from pathlib import Path
from typing import Any

import pytest

from edge.errors import ExitCode, UsageError
from server.bench import BENCH_BOARDS, figures
from server.bench_models import ArraySensor, net1, net2
from server.bench_targets import TARGETS
from server.cli.app import main
from server.figures import figure, show

ASKED = {
    *("step.net1.m4f", "step.net1.m4f.fma", "step.net2.m4f", "step.net2.m4f.fma"),
    *("infer.net1.m4f", "infer.net2.m4f", "infer.net1.m4f.fma", "infer.net2.m4f.fma"),
    *("last.net1.m4f", "last.net2.m4f", "last.net1.m4f.fma", "last.net2.m4f.fma"),
    *("conv_step.m4f", "conv_step.m4f.fma", "int8_dense.m4f", "int8_conv.m4f"),
    *("ram.net1.m4f", "flash.all.m4f", "flash.net1.m4f"),
}


def test_a_figure_holds_or_not() -> None:
    assert figure("a", 2, "x", "<= 2").holds is True
    assert figure("a", 3, "x", "<= 2").holds is False
    assert figure("a", 3, "x").holds is None
    lines: list[str] = []
    assert not show([figure("a", 3, "x", "<= 2"), figure("b", 1, "x")], lines.append, as_json=False)
    assert ["MISSED" in line for line in lines] == [True, False]
    lines.clear()
    assert show([figure("b", 1, "x", note="n")], lines.append, as_json=True)
    assert json.loads(lines[0]) == {
        "figures": [
            {"name": "b", "value": 1, "unit": "x", "target": "", "holds": None, "note": "n"}
        ]
    }


def test_streams_are_real_and_repeat() -> None:
    for job in (net1(), net2()):
        again = type(job)(**vars(job))
        one, two = job.sensor(), again.sensor()
        for _ in range(3):
            x, target = one.next_sample()
            other, _ = two.next_sample()
            assert (x == other).all()
            assert target.shape == (1,)
    assert net2().x.max() == 1.0
    sensor = ArraySensor(net1().x, net1().targets, 1)
    sensor.next_sample()
    with pytest.raises(StopIteration):
        sensor.next_sample()
    sensor.rewind()
    sensor.next_sample()


def test_an_unknown_core_is_refused_at_once() -> None:
    with pytest.raises(UsageError, match="m23"):
        next(figures(["m4f", "m23"]))


def test_a_core_that_only_qemu_has_gives_its_flash() -> None:
    assert [entry.name for entry in figures(["m55"])] == ["flash.all.m55"]
    assert "m55" in BENCH_BOARDS


@pytest.mark.slow
def test_every_figure_that_was_asked_for() -> None:
    found = {entry.name: entry for entry in figures(["m4f", "m3", "m0"])}
    assert set(found) >= ASKED | {"step.net1.m3", "step.net1.m0", "cycles.step.net1.m4f"}
    assert set(TARGETS) <= set(found)
    for entry in found.values():
        assert entry.value > 0, entry
        assert (entry.holds is None) == (entry.target == "")
        if entry.name.startswith(("cycles.", "time.", "energy.")):
            assert "estimate" in entry.note


def test_a_trace_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], digits: Any
) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(digits.artefact)
    command = ["sim", "trace", str(path), "--samples", "3"]
    assert main([*command, "--json"]) == ExitCode.OK
    report = json.loads(capsys.readouterr().out)
    assert report["calls"] == 3
    assert report["inside"] == "tl_learner_learn"
    parts = [part["instructions"] for part in report["functions"]]
    assert sum(parts) == pytest.approx(3 * report["instructions per call"], abs=1)
    assert sum(part["share"] for part in report["functions"]) == pytest.approx(1, abs=1e-4)
    assert report["estimates per call"]["cycles from"]
    assert main([*command, "--predict"]) == ExitCode.OK
    text = capsys.readouterr().out
    assert "tl_learner_predict on" in text
    assert "not silicon" in text


def test_what_the_command_line_refuses(tmp_path: Path, digits: Any) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(digits.artefact)
    assert main(["sim", "trace", str(path), "--board", "corstone-300"]) == ExitCode.USAGE
    assert main(["sim", "trace", str(tmp_path / "absent.tflite")]) == ExitCode.USAGE
    assert main(["sim", "bench", "--core", "m23"]) == ExitCode.USAGE


def test_boards_say_which_emulator_has_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "boards"]) == ExitCode.OK
    rows = capsys.readouterr().out.splitlines()
    assert any("corstone-300" in row and "QEMU only" in row for row in rows)
    assert any("nrf5340-dk" in row and "both" in row for row in rows)


def test_the_benchmark_outside_the_package_is_the_same() -> None:
    source = (Path(__file__).resolve().parents[2] / "benchmarks/firmware.py").read_text()
    assert "from server.bench import figures" in source
