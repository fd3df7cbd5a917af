import json
from pathlib import Path

import pytest

from edge.errors import UsageError
from server.cli.app import main
from server.experiment import Experiment
from server.sweep import Sweep, points

COMMON = {"rounds": 3, "cohort_size": 2}


def simulated(capsys, *arguments):
    code = main(["server", "simulate", "--rounds", "2", "--json", *arguments])
    out, err = capsys.readouterr()
    return code, json.loads(out) if code == 0 else err


def test_a_file_gives_flags_and_the_command_line_wins(capsys, tmp_path):
    path = tmp_path / "c.toml"
    path.write_text('strategy = "fomaml"\nclients = 3\n[option]\nquery = 4\nrate = 0.0005\n')
    code, found = simulated(capsys, "--config", str(path))
    assert code == 0 and found["client updates"] == 6
    _, plain = simulated(
        capsys, "--strategy", "fomaml", "--clients", "3", "--option", "query=4", "--rate", "0.0005"
    )
    assert plain["model"] == found["model"]
    _, other = simulated(capsys, "--config", str(path), "--clients", "5")
    assert other["client updates"] == 10


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("roundz = 3", "rounds"),
        ("rounds = [3]", "needs one value"),
        ("option = 3", "needs a table"),
        ("rounds =", "not TOML"),
        ('seed = "many"', "seed"),
        ("[option]\nquery = 3", "reptile has no option"),
    ],
)
def test_a_file_that_is_wrong_is_refused_by_name(capsys, tmp_path, text, said):
    path = tmp_path / "c.toml"
    path.write_text(text)
    code, error = simulated(capsys, "--config", str(path))
    assert code == 2 and said in error
    assert simulated(capsys, "--config", str(tmp_path / "none.toml"))[0] == 2


def test_the_shipped_file_runs(capsys):
    path = Path(__file__).parents[2] / "examples" / "sine.toml"
    assert simulated(capsys, "--config", str(path), "--clients", "2")[0] == 0


@pytest.mark.parametrize("given", ["query", "=3", "rate"])
def test_an_option_is_a_name_and_a_value(capsys, given):
    assert simulated(capsys, "--option", given)[0] == 2


def test_settings_find_their_place():
    found = Experiment.of({"task": "characters", "ways": 3, "rate": 0.1, "rounds": 2})
    assert found.task_options == {"ways": 3} and found.options == {"rate": 0.1}
    with pytest.raises(UsageError, match="no setting 'rat'"):
        Experiment.of({"rat": 1})


def test_a_sweep_runs_every_point_once_and_goes_on(tmp_path, monkeypatch):
    chosen = points({"rate": [0.0005, 0.001], "epochs": [2, 3]})
    first = list(Sweep(tmp_path, COMMON).run(chosen[:3]))
    with (tmp_path / "results.jsonl").open("a") as file:
        file.write('{"id": "cut')
    ran = []
    monkeypatch.setattr(
        Sweep, "_measured", lambda self, experiment, key, real=Sweep._measured: (
            ran.append(key), real(self, experiment, key))[1],
    )  # fmt: skip
    every = list(Sweep(tmp_path, COMMON).run(chosen))
    assert every[:3] == first and len(ran) == 1 and len(Sweep(tmp_path, COMMON).results()) == 4
    assert len({result["model"] for result in every}) == 4
    assert all(result["low"] <= result["after"] <= result["high"] for result in every)
    list(Sweep(tmp_path, {**COMMON, "rounds": 2}).run(chosen[:1]))
    assert len(ran) == 2


def test_points_are_drawn_without_repetition():
    axes = {"a": [1, 2, 3], "b": [1, 2]}
    drawn = points(axes, samples=4, seed=1)
    assert len(drawn) == 4 and all(drawn.count(point) == 1 for point in drawn)
    assert drawn == points(axes, samples=4, seed=1) and len(points(axes, samples=9)) == 6


def test_the_command_sorts_by_the_metric(capsys, tmp_path):
    arguments = ["--set", "rate=0.0005,0.001", "--with", "rounds=2", "--out", str(tmp_path)]
    assert main(["server", "sweep", *arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found[0]["after"] <= found[1]["after"]
    assert main(["server", "sweep", *arguments]) == 0
    assert "mse adapted" in capsys.readouterr().out
    assert main(["server", "sweep", "--set", "rat=1", "--out", str(tmp_path)]) == 2
