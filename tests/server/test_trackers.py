import json
import logging
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from edge.errors import MissingExtra, TinyfleetError, UsageError
from server.cli.app import main
from server.trackers import Trackers, open_tracker, open_trackers
from server.trackers.base import flat

SIMULATE = ["server", "simulate", "--rounds", "3", "--clients", "2", "--json"]


class Notebook:
    """A tracker that remembers, and fails on demand."""

    def __init__(self, fails=""):
        self.said, self.fails = [], fails

    def _note(self, what, *values):
        if what == self.fails:
            raise ConnectionError("the server went away")
        self.said.append((what, *values))

    def params(self, values):
        self._note("params", dict(values))

    def metrics(self, values, step):
        self._note("metrics", dict(values), step)

    def artefact(self, path):
        self._note("artefact", path)

    def close(self):
        self._note("close")


@pytest.fixture
def notebook(monkeypatch):
    found = Notebook()
    monkeypatch.setattr("server.trackers.open_tracker", lambda target, run: found)
    return found


def test_a_tracker_that_fails_is_given_up_and_the_others_go_on(caplog):
    bad, good = Notebook(fails="metrics"), Notebook()
    with caplog.at_level(logging.WARNING), Trackers([bad, good]) as both:
        both.params({"a": {"b": 1}})
        both.metrics({"loss": 0.5}, 1)
        both.metrics({"loss": 0.4}, 2)
    assert bad.said == [("params", {"a.b": 1})]
    assert good.said[1:] == [
        ("metrics", {"loss": 0.5}, 1), ("metrics", {"loss": 0.4}, 2), ("close",),
    ]  # fmt: skip
    assert "given up: the server went away" in caplog.text and len(caplog.records) == 1


@pytest.mark.parametrize("target", ["nonsense", "mlflow:", "tensorboard", "wandb:x", ":x"])
def test_what_is_no_tracker_is_refused_before_anything_runs(target, capsys):
    with pytest.raises(UsageError, match="is no tracker"):
        open_tracker(target, "r")
    assert main([*SIMULATE, "--log", target]) == 2
    assert "simulating" not in capsys.readouterr().err


def test_the_first_is_closed_where_the_second_cannot_be_opened(notebook, monkeypatch):
    def opened(target, run):
        if target == "bad":
            raise UsageError("no")
        return notebook

    monkeypatch.setattr("server.trackers.open_tracker", opened)
    with pytest.raises(UsageError):
        open_trackers(["good", "bad"], "r")
    assert notebook.said == [("close",)]


@pytest.mark.parametrize(
    ("target", "package"), [("mlflow:x", "mlflow"), ("tensorboard:x", "tensorboardX")]
)
def test_a_package_that_is_missing_is_named(target, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=package):
        open_tracker(target, "r")


def test_a_simulation_tells_every_round_and_what_it_reached(notebook, capsys, tmp_path):
    out = tmp_path / "m.tflite"
    assert main([*SIMULATE, "--log", "mlflow:x", "--rate", "0.001", "--out", str(out)]) == 0
    found = json.loads(capsys.readouterr().out)
    (params, *rounds, reached, artefact, closed) = notebook.said
    assert params[1]["strategy"] == "reptile" and params[1]["options.rate"] == 0.001
    assert [entry[2] for entry in rounds] == [1, 2, 3]
    assert all(set(entry[1]) == {"loss_mean"} for entry in rounds)
    assert round(reached[1]["mse_after"], 4) == found["mse_after"] and reached[2] == 3
    assert artefact == ("artefact", out) and closed == ("close",)


def test_tables_in_tables_become_names():
    assert flat({"a": {}, "b": {"c": {"d": 1}}, "e": [1]}) == {"b.c.d": 1, "e": [1]}


def test_tensorboard_reads_what_was_written(tmp_path, capsys):
    pytest.importorskip("tensorboardX")
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    assert main([*SIMULATE, "--log", f"tensorboard:{tmp_path}"]) == 0
    found = json.loads(capsys.readouterr().out)
    (folder,) = tmp_path.iterdir()
    read = events.EventAccumulator(str(folder)).Reload()
    assert [entry.step for entry in read.Scalars("loss_mean")] == [1, 2, 3]
    (after,) = read.Scalars("mse_after")
    assert after.value == pytest.approx(found["mse_after"], abs=1e-3) and after.step == 3
    (text,) = read.Tensors("params/text_summary")
    assert '"strategy": "reptile"' in text.tensor_proto.string_val[0].decode()


def test_mlflow_reads_what_was_written(tmp_path):
    """In a process of its own: importing MLflow starts threads and sets warnings."""
    pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    model = tmp_path / "m.tflite"
    model.write_bytes(b"model")
    uri = f"sqlite:///{tmp_path / 'runs.db'}"
    script = f"""
        from pathlib import Path
        from server.trackers import open_trackers
        with open_trackers(["mlflow:{uri}"], "first") as trackers:
            trackers.params({{"task": "sine", "settings": {{"rounds": 2}}}})
            trackers.metrics({{"loss_mean": 0.5, "mse_after": 2.0}}, 1)
            trackers.metrics({{"loss_mean": 0.25}}, 2)
            assert len(trackers.each) == 1
    """
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], cwd=tmp_path, check=True, timeout=100
    )
    with sqlite3.connect(tmp_path / "runs.db") as database:
        rows = database.execute("SELECT key, value, step FROM metrics ORDER BY key, step")
        assert rows.fetchall() == [
            ("loss_mean", 0.5, 1), ("loss_mean", 0.25, 2), ("mse_after", 2.0, 1),
        ]  # fmt: skip
        params = database.execute("SELECT key, value FROM params").fetchall()
        assert dict(params) == {"task": "sine", "settings.rounds": "2"}
        (run,) = database.execute("SELECT name, status FROM runs").fetchall()
    assert run == ("first", "FINISHED")


def test_an_address_that_leads_nowhere_is_said(tmp_path):
    pytest.importorskip("mlflow")
    with pytest.raises(TinyfleetError, match="MLflow at nonsense"):
        open_tracker("mlflow:nonsense://x", "r")


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    pytest.importorskip("tensorboardX")
    Path(tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write"):
        open_tracker(f"tensorboard:{tmp_path / 'file'}", "r")
