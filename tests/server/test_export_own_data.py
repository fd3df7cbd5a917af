"""Models of no known task, exported with samples of their owner's."""

import json

import numpy as np
import pytest

from edge.errors import UsageError
from edge.spec import ModelSpec
from server.cli import main
from server.export import tflite
from server.export.quantise import Affine
from server.export.reference import forward
from server.export_samples import trial_of_file

SPEC = ModelSpec.mlp([3, 16, 4], output="softmax")
P = SPEC.initial(2)
X = np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32)
Y = forward(SPEC, P, X).argmax(axis=1)


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.tflite"
    path.write_bytes(tflite.write(SPEC, P, name="mine"))
    return path


def export(mine, *options: str) -> int:
    out = str(mine.parent / "out")
    return main(["server", "export", str(mine), "--to", "tflite", "--out", out, *options])


def stored(tmp_path, **arrays):
    path = tmp_path / "samples.npz"
    np.savez(path, **arrays)
    return path


def test_a_model_of_no_task_needs_samples(mine, capsys) -> None:
    assert export(mine) == 2
    said = capsys.readouterr().err
    assert "mine is named after no task" in said and "--data FILE.npz, or --task NAME" in said


def test_own_samples_set_the_ranges_and_measure(mine, capsys) -> None:
    data = stored(mine.parent, x=X, y=Y)
    assert export(mine, "--data", str(data), "--json") == 0
    exact, int8 = json.loads(capsys.readouterr().out)
    assert exact["metric_name"] == "accuracy" and exact["metric"] == 1
    assert int8["metric"] > 0.95
    found = json.loads((mine.parent / "out" / "parity.json").read_text())
    assert found["samples"] == 200 and "samples.npz" in found["of"]


def test_each_half_has_all_kinds_of_sorted_samples(tmp_path) -> None:
    order = np.argsort(X[:, 0])
    trial = trial_of_file(stored(tmp_path, x=X[order], y=Y[order]), SPEC)
    assert not set(map(tuple, trial.ranges)) & set(map(tuple, trial.samples.x))
    whole, ranges = (Affine.covering(x[:, 0]).scale for x in (X, trial.ranges))
    assert ranges > 0.8 * whole
    assert set(trial.samples.y[:, 0]) == set(Y)


@pytest.mark.parametrize(
    ("y", "metric"),
    [(None, None), (Y, "accuracy"), (Y[:, None], "accuracy"), (np.eye(4)[Y], "accuracy")],
)
def test_what_is_measured_follows_from_the_targets(y, metric, tmp_path) -> None:
    arrays = {"x": X} if y is None else {"x": X, "y": y}
    found = trial_of_file(stored(tmp_path, **arrays), SPEC).samples
    assert (found.metric and found.metric.name) == metric
    if found.metric:
        answers = forward(SPEC, P, found.x).astype(np.float32)
        assert found.metric.measure(answers, found.y) == pytest.approx(
            1 if metric == "accuracy" else ((answers - np.eye(4)[answers.argmax(1)]) ** 2).mean(),
            rel=1e-5,
        )


def test_images_are_taken_as_they_are(tmp_path) -> None:
    spec = ModelSpec.mlp([12, 2])
    x = np.arange(48, dtype=np.float32).reshape(4, 2, 2, 3)
    found = trial_of_file(stored(tmp_path, x=x), spec)
    np.testing.assert_array_equal(found.ranges, x.reshape(4, 12)[::2])


@pytest.mark.parametrize(
    ("n", "told"),
    [
        (3, ["only 2 of the samples set", "only 1 of the samples"]),
        (90, ["45 of the samples set"]),
        (100, []),
    ],
)
def test_too_few_samples_are_told(n, told, mine, capsys) -> None:
    data = stored(mine.parent, x=X[:n], y=Y[:n])
    assert export(mine, "--data", str(data)) == 0
    out, said = capsys.readouterr()
    assert f"measured on {n // 2} sample" in out and said.count("warning: only") == len(told)
    assert all(words in said for words in told)
    assert export(mine, "--data", str(data), "--dtype", "float32") == 0
    assert "set int8 ranges" not in capsys.readouterr().err


def test_a_table_has_inputs_alone_or_targets_behind_them(tmp_path) -> None:
    path = tmp_path / "s.csv"
    np.savetxt(path, X, delimiter=",", header="x,y,z", comments="")
    found = trial_of_file(path, SPEC)  # y is an axis here, not a target
    assert found.samples.metric is None
    assert set(map(tuple, found.ranges)) < set(map(tuple, X))
    np.savetxt(path, np.c_[X, Y], delimiter=",")
    found = trial_of_file(path, SPEC)
    assert found.samples.metric.name == "accuracy" and found.samples.y.shape == (200, 1)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"y": Y}, "no array x"),
        ({"x": X[:, :2]}, "takes 3 values"),
        ({"x": X, "y": Y + 1}, "from 0 to 3, the classes"),
        ({"x": X, "y": Y + 0.5}, "from 0 to 3, the classes"),
        ({"x": X, "y": Y[:9]}, "samples need x"),
        ({"x": X[:1]}, "1 samples"),
        ({"x": X * np.nan}, "no numbers"),
        ({"x": np.array(["a"])}, "not arrays of numbers"),
    ],
)
def test_samples_that_do_not_fit_are_refused(arrays, said, tmp_path) -> None:
    with pytest.raises(UsageError, match=said):
        trial_of_file(stored(tmp_path, **arrays), SPEC)


def test_samples_without_a_label_set_ranges_and_are_not_tried(tmp_path) -> None:
    y = Y.astype(np.float32).copy()
    y[::3] = np.nan
    found = trial_of_file(stored(tmp_path, x=X, y=y), SPEC)
    assert found.samples.metric.name == "accuracy" and np.isfinite(found.samples.y).all()
    tried, ranges = set(map(tuple, found.samples.x)), set(map(tuple, found.ranges))
    assert not tried & set(map(tuple, X[::3])) and not tried & ranges
    y[:] = np.nan
    y[1] = 0
    with pytest.raises(UsageError, match="samples with a label"):
        trial_of_file(stored(tmp_path, x=X, y=y), SPEC)


def test_a_task_may_describe_what_own_samples_measure(mine, capsys) -> None:
    data = stored(mine.parent, x=X)
    assert export(mine, "--data", str(data), "--task", "presence", "--dtype", "float32") == 0
    written = (mine.parent / "out" / "model.f32.tflite").read_bytes()
    assert b'"task": "presence"' in written
    assert export(mine, "--data", str(mine.parent / "none.npz")) == 2
    assert "there are no samples at" in capsys.readouterr().err
