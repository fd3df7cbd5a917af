import json

import pytest

from server.cli.app import main
from server.compare import compared
from server.report.side_by_side import draw_comparison
from server.sweep import Sweep
from tests.server.recorded import record

FAST = {"clients": 2, "seeds": (0,)}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    record(folder / "one")
    record(folder / "two", strategy="tinyreptile", rounds=2)
    return folder


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    points = [{"rate": 0.001}, {"rate": 0.002}]
    list(Sweep(folder, {"rounds": 2, "cohort_size": 2}).run(points))
    with (folder / "results.jsonl").open("a") as file:
        file.write('{"id": "cut')
    return folder


def test_a_folder_stands_for_its_runs_each_once(runs):
    found = compared([runs], **FAST)
    assert sorted(entry.figures["run"] for entry in found) == ["one", "two"]
    assert [entry.figures["rounds"] for entry in found if entry.figures["run"] == "two"] == [2]
    (alone,) = compared([runs / "two"], **FAST)
    assert alone in found
    assert (runs / "latest").is_symlink()


def test_the_best_comes_first(runs, sweep):
    found = compared([runs, sweep], **FAST)
    values = [entry.figures["after"] for entry in found]
    assert len(found) == 4 and values == sorted(values)
    assert sum(not entry.curve for entry in found) == 2


def test_a_run_that_was_not_measured_comes_last(runs, tmp_path, capsys):
    own = record(tmp_path / "own", named="own")
    line = ["server", "compare", str(own), str(runs), "--clients", "2", "--seeds", "1"]
    assert main(line) == 0
    last = capsys.readouterr().out.splitlines()[-1].split()
    assert last[:2] == ["own", "own"] and "-" in last


def test_a_run_of_many_updates_takes_more_bytes_than_one_of_few(runs):
    found = {entry.figures["run"]: entry.figures for entry in compared([runs], **FAST)}
    assert found["one"]["updates"] == 12 and found["two"]["updates"] == 2
    assert found["one"]["bytes up"] > 5 * found["two"]["bytes up"]


def test_the_command_shows_and_draws(runs, sweep, capsys, tmp_path):
    line = ["server", "compare", str(runs), str(sweep), "--clients", "2", "--seeds", "1"]
    plot = tmp_path / "curves.svg"
    assert main([*line, "--plot", str(plot)]) == 0
    shown = capsys.readouterr().out
    assert "tinyreptile" in shown and "rate=0.002" in shown and "training J" in shown
    assert b"<svg" in plot.read_bytes()
    assert main([*line, "--json"]) == 0
    entries = json.loads(capsys.readouterr().out)
    by_name = {entry["run"]: entry for entry in entries}
    assert by_name["one"]["curve"][0] == [1, 4.0]
    assert all(entry["low"] <= entry["after"] <= entry["high"] for entry in entries)


def test_every_metric_has_its_panel(runs, monkeypatch, tmp_path):
    from dataclasses import replace

    from matplotlib.figure import Figure

    one, two = compared([runs], **FAST)
    other = replace(two, figures={**two.figures, "metric": "accuracy"})
    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda self, path, **how: drawn.append(self))
    draw_comparison(tmp_path / "x.png", [one, two])
    draw_comparison(tmp_path / "x.png", [one, other])
    assert [[len(axes.lines) for axes in figure.axes] for figure in drawn] == [[2], [1, 1]]


@pytest.mark.parametrize(
    ("what", "plot", "said"),
    [
        ("none", None, "no run or sweep"),
        (".", None, "no run or sweep"),
        ("sweep", "c.png", "no run has a learning curve"),
        ("runs", "c.xyz", "c.xyz"),
        ("runs", "none/c.png", "c.png"),
    ],
)
def test_what_cannot_be_compared_is_said(what, plot, said, runs, sweep, capsys, tmp_path):
    path = {"runs": runs, "sweep": sweep}.get(what, tmp_path / what)
    line = ["server", "compare", str(path), "--clients", "1", "--seeds", "1"]
    assert main([*line, *(["--plot", str(tmp_path / plot)] if plot else [])]) == 2
    assert said in capsys.readouterr().err
