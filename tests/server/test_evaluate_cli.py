import json
from pathlib import Path

import numpy as np
import pytest

from edge.artifact import Artifact
from edge.spec import ModelSpec
from server.cli.app import main
from server.evaluate import Adaptation, estimate
from server.export import tflite
from server.models import model
from server.pooled import pooled, pooled_model
from server.simulate import new_model, simulate
from server.standing import standing
from server.strategies import get_strategy
from server.tasks import get_task

FAST = ["--clients", "3", "--seeds", "2", "--pooled", "200", "--json"]
HOW = Adaptation(shots=10, epochs=8, rate=0.002)


def run(capsys, *arguments):
    code = main(["server", "evaluate", *map(str, arguments)])
    out, err = capsys.readouterr()
    return (code, json.loads(out)) if code == 0 else (code, err)


@pytest.fixture(scope="module")
def sine(tmp_path_factory) -> Path:
    task = get_task("sine")
    strategy = get_strategy("reptile", samples=10, epochs=16, rate=0.002)
    path = tmp_path_factory.mktemp("models") / "sine.tflite"
    path.write_bytes(simulate(task, strategy, 60).artifact.data)
    return path


def drawings(path, *, seed=0, characters=6, drawings_of_each=12, side=28, **others):
    """Held-out alphabets whose characters are blobs, each at a place of its own."""
    rng = np.random.default_rng(seed)
    klass = np.repeat(np.arange(2 * characters), drawings_of_each)
    images = np.zeros((len(klass), side, side), np.uint8)
    for image, kind in zip(images, klass, strict=True):
        row, column = divmod(int(kind), 4)
        top, left = 2 + 7 * row + rng.integers(2), 2 + 6 * column + rng.integers(2)
        image[top : top + 5, left : left + 5] = 255
    arrays = {"images": images, "char_id": klass, "alphabet": klass // characters, **others}
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    return path


def test_a_hybrid_that_needs_a_runtime_is_measured_too(capsys, tmp_path):
    """An .onnx is one whatever its operators; what it keeps says as much as the whole did."""
    pytest.importorskip("onnxruntime")
    from server.export import onnx

    whole = Artifact(model("sine"))
    foreign = tmp_path / "foreign.onnx"
    foreign.write_bytes(onnx.write(whole.spec, whole.parameters(), name="foreign"))
    made = ["server", "import", str(foreign), "--outputs", "1", "--out", str(tmp_path)]
    assert main(made) == 0
    capsys.readouterr()
    hybrid = tmp_path / "foreign-hybrid.onnx"
    code, found = run(capsys, hybrid, "--task", "sine", *FAST, "--rate", "0.002", "--epochs", "20")
    assert code == 0 and found["after"]["mean"] < 0.5 * found["before"]["mean"]
    code, said = run(capsys, hybrid, "--task", "presence", *FAST)
    assert code == 2 and "1 to 1 wide" in said


def test_a_model_of_others_is_measured_as_it_came(capsys, tmp_path):
    """A runtime alone knows it: there is nothing to adapt, yet its tail can be held against it."""
    pytest.importorskip("onnxruntime")
    from edge.runtime import load
    from server.export import onnx
    from tests.server.foreign import FILES, foreign

    spec = ModelSpec.mlp([6, 5, 3], output="softmax")
    data = onnx.write(spec, spec.initial(0), name="foreign")
    samples = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    cases = [("foreign.onnx", data, samples)]
    if FILES:
        images = np.random.default_rng(0).uniform(0, 1, (9, 96 * 96)).astype(np.float32)
        cases.append(("uint8.tflite", foreign("Person_Detection"), images))
    for name, content, x in cases:
        path, held_out = tmp_path / name, tmp_path / "held-out.npz"
        path.write_bytes(content)
        np.savez(held_out, x=x, y=load(content).run(x).argmax(axis=1))
        code, found = run(capsys, path, "--task", "own", "--data", held_out, "--json")
        assert code == 0 and found["before"]["mean"] == 1.0 and "after" not in found
    code, said = run(capsys, tmp_path / "foreign.onnx", "--task", "sine", *FAST)
    assert code == 6 and "--task own --data" in said


def test_a_sine_model_is_measured_beside_its_baselines(capsys, sine):
    code, found = run(capsys, sine, "--task", "sine", *FAST)
    assert code == 0 and found["metric"] == "mse" and found["clients"] == 3
    how = Adaptation(shots=10, epochs=16, rate=0.002)
    expected = standing(
        get_task("sine"), sine.read_bytes(), how, clients=3, seeds=range(2), pool_steps=200
    )
    assert found["after"]["mean"] == pytest.approx(expected.pairs[:, :, 1].mean())
    assert found["pooled"]["mean"] == pytest.approx(expected.pool.before.mean)
    assert found["pooled steps"] == 200
    rows = ("before", "after", "alone", "pooled", "pooled, adapted")
    assert all(found[row]["low"] <= found[row]["mean"] <= found[row]["high"] for row in rows)
    assert found["before"]["worst decile"] >= found["before"]["mean"]


def test_pooled_training_can_be_left_out(capsys, sine):
    code, found = run(capsys, sine, "--task", "sine", *FAST, "--pooled", "0")
    assert code == 0 and "pooled" not in found and "alone" in found
    assert main(["server", "evaluate", str(sine), "--task", "sine", "--clients", "2"]) == 0
    shown = capsys.readouterr().out
    assert "pooled, adapted" in shown and "worst decile" in shown


def test_a_file_of_others_becomes_the_unseen_clients(capsys, tmp_path):
    path = drawings(tmp_path / "held-out.npz")
    model = tmp_path / "m.tflite"
    model.write_bytes(new_model(get_task("characters", data=path)).data)
    code, found = run(capsys, model, "--data", path, *FAST, "--queries", "5")
    assert code == 0 and found["metric"] == "accuracy" and found["clients"] == 2
    assert found["after"]["mean"] > 0.9 > found["before"]["mean"]


def test_the_shipped_model_learns_new_drawings_at_once(capsys, tmp_path):
    path = drawings(tmp_path / "held-out.npz")
    code, found = run(capsys, "characters", "--data", path, "--mixed", *FAST, "--queries", "5")
    assert code == 0 and found["clients"] == 1 and found["shots"] == 1
    assert found["after"]["mean"] > 0.8


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"char_id": None}, "char_id"),
        ({"images": np.zeros((144, 28, 28), np.float32)}, "float32"),
        ({"images": np.zeros((144, 14, 14), np.uint8)}, "(144, 14, 14)"),
        ({"alphabet": np.zeros(5, np.int64)}, "alphabet"),
        ({"char_id": np.zeros(144, np.int64)}, "characters"),
    ],
)
def test_a_file_of_another_layout_is_refused(capsys, tmp_path, change, said):
    path = drawings(tmp_path / "wrong.npz", **change)
    code, error = run(capsys, "characters", "--data", path, *FAST)
    assert code == 2 and said in error


def test_what_is_no_archive_is_refused(capsys, tmp_path):
    path = tmp_path / "text.npz"
    path.write_text("no archive")
    for wrong in (path, tmp_path / "none.npz"):
        code, error = run(capsys, "characters", "--data", wrong, *FAST)
        assert code == 2 and wrong.name in error


def test_a_model_of_another_width_is_refused(capsys, sine, tmp_path):
    narrow = ModelSpec.mlp([196, 8, 3], output="softmax")
    path = tmp_path / "narrow.tflite"
    path.write_bytes(tflite.write(narrow, narrow.initial(0), name="narrow"))
    for arguments, said in (
        ((sine, "--task", "characters"), "1 to 1 wide"),
        (("characters", "--task", "sine"), "784 to 20 wide"),
        ((path, "--ways", "5"), "196 to 3 wide"),
    ):
        code, error = run(capsys, *arguments)
        assert code == 2 and said in error


def test_a_task_without_clients_here_is_refused(capsys, sine):
    code, error = run(capsys, sine, "--task", "own")
    assert code == 2 and "task own has no clients here" in error and "Try:" in error


def test_what_is_no_model_is_refused(capsys, sine, tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(sine.read_bytes()[:100])
    assert run(capsys, path, "--task", "sine")[0] == 6
    assert run(capsys, tmp_path / "none.tflite")[0] == 2
    code, error = run(capsys, sine, "--task", "nonsense")
    assert code == 2 and "nonsense" in error


def test_pooled_training_is_sgd_over_the_pool():
    """One pass at a budget below the pool: the NumPy order and the learner give the same."""
    from edge.learner import OnlineLearner

    task = get_task("sine")
    rng = np.random.default_rng(3)
    x = rng.normal(size=(20, 1)).astype(np.float32)
    y = np.sin(x)
    found = pooled_model(task, x, y, rate=0.01, steps=50)
    learner, orders = OnlineLearner(new_model(task).data), np.random.default_rng([0x9001, 0])
    for count in (20, 20, 10):
        for row in orders.permutation(20)[:count]:
            learner.learn_one(x[row], y[row], rate=0.01)
    np.testing.assert_array_equal(found.parameters(), learner.parameters)


def test_pooled_weights_that_run_away_leave_the_fresh_model():
    task = get_task("sine")
    x = np.full((4, 1), 1e6, np.float32)
    found = pooled_model(task, x, x, rate=1e6, steps=40)
    assert found.sha256 == new_model(task).sha256


def test_more_pooled_steps_fit_the_pool_better():
    task = get_task("sine")
    short, longer = (pooled(task, HOW, clients=10, steps=steps) for steps in (20, 4000))
    assert longer.before.mean < short.before.mean
    assert short.samples == 5000


def test_the_rows_of_a_standing_are_those_of_its_pairs(sine):
    found = standing(get_task("sine"), sine.read_bytes(), HOW, clients=12, pool_steps=0)
    assert found.before == estimate(found.pairs[:, :, 0]) and found.pool is None
    worst = np.sort(found.pairs[:, :, 1].mean(axis=1))[-1]
    assert found.worst(1) == pytest.approx(worst)
    assert Artifact(sine.read_bytes()).spec.n_in == 1


def test_an_option_of_the_task_chooses_who_is_unseen(capsys, sine) -> None:
    code, error = run(capsys, sine, "--task", "sine", "--task-option", "colour=red", *FAST)
    assert code == 2 and "sine has no option 'colour'" in error
    code, found = run(capsys, sine, "--task", "sine", "--task-option", "seed=5", *FAST)
    assert code == 0
    assert found["before"] != run(capsys, sine, "--task", "sine", *FAST)[1]["before"]


def test_figures_are_noted_with_data_and_interval(sine, tmp_path, capsys):
    from ontology.catalog import Catalog

    where = tmp_path / "c"
    code, found = run(capsys, sine, "--task", "sine", "--catalog", where, *FAST)
    assert code == 0
    with Catalog.open(where) as catalog:
        asked = """SELECT ?name ?mean ?low ?high ?data ?split ?count WHERE {
          ?model tf:metric ?m . ?m tf:metricName ?name ; tf:metricValue ?mean ;
            tf:confidenceLow ?low ; tf:confidenceHigh ?high ; tf:confidenceLevel 0.95e0 ;
            tf:dataset ?data ; tf:split ?split ; tf:evaluatedCount ?count } ORDER BY DESC(?name)"""
        rows = list(catalog.query(asked))
    assert [row["name"] for row in rows] == ["mse, before", "mse, after"]
    for row, name in zip(rows, ("before", "after"), strict=True):
        assert {key: row[key] for key in ("mean", "low", "high")} == {
            key: found[name][key] for key in ("mean", "low", "high")
        }
        assert (row["data"], row["split"], row["count"]) == ("sine", "test", 3)


def clusters(path, *, samples=60, **arrays):
    """Three classes that lie apart in six inputs, by `x` and `y` as a device takes them."""
    rng = np.random.default_rng(2)
    y = rng.integers(0, 3, samples)
    x = (rng.normal(size=(3, 6))[y] * 3 + 0.1 * rng.normal(size=(samples, 6))).astype(np.float32)
    np.savez(path, **{"x": x, "y": y} | arrays)
    return path


@pytest.fixture
def mine(tmp_path) -> Path:
    spec = ModelSpec.mlp([6, 12, 3], output="softmax")
    path = tmp_path / "mine.tflite"
    path.write_bytes(tflite.write(spec, spec.initial(0), name="mine"))
    return path


def test_a_model_of_ones_own_is_measured_on_ones_own_samples(capsys, tmp_path, mine) -> None:
    from edge.learner import OnlineLearner

    path = clusters(tmp_path / "own.npz")
    line = (mine, "--task", "own", "--data", path, "--seeds", "2", "--rate", "0.1", "--json")
    code, found = run(capsys, *line)
    assert code == 0 and found["metric"] == "accuracy" and "alone" not in found
    assert (found["shots"], found["episodes of each"], found["clients"]) == (20, 2, 1)
    assert found["after"]["mean"] > 0.9 > found["before"]["mean"]
    client = get_task("own", data=path, outputs=3).client(0, "test")
    held = client.episode(np.random.default_rng(0), shots=20, queries=1)
    assert len(held.support_x) == 20 and len(held.query_x) == 40
    with np.load(path) as stored:
        answers = OnlineLearner(mine.read_bytes()).predict_many(stored["x"]).argmax(axis=1)
        right = float(np.mean(answers == stored["y"]))
    assert found["before"]["mean"] == pytest.approx(right, abs=0.2)


def test_one_hot_targets_of_a_classifier_are_classes(capsys, tmp_path, mine) -> None:
    path = clusters(tmp_path / "own.npz")
    with np.load(path) as stored:
        hot = clusters(tmp_path / "hot.npz", y=np.eye(3)[stored["y"].astype(int)])
    _, theirs = run(capsys, mine, "--task", "own", "--data", path, "--json")
    code, found = run(capsys, mine, "--task", "own", "--data", hot, "--json")
    assert code == 0 and found["metric"] == "accuracy"
    assert (found["before"], found["after"]) == (theirs["before"], theirs["after"])


def test_values_that_look_one_hot_are_values_where_the_model_is_no_classifier(tmp_path) -> None:
    path = clusters(tmp_path / "hot.npz", y=np.eye(3)[np.arange(60) % 3])
    assert get_task("own", data=path, outputs=3).metric == "mse"
    assert get_task("own", data=path, outputs=3, classifier=True).metric == "accuracy"


def test_a_table_of_values_gives_the_squared_error(capsys, tmp_path) -> None:
    spec = ModelSpec.mlp([1, 8, 1])
    model, table = tmp_path / "line.tflite", tmp_path / "own.csv"
    model.write_bytes(tflite.write(spec, spec.initial(0), name="line"))
    x = np.linspace(-1, 1, 9)
    np.savetxt(table, np.column_stack([x, 2 * x]), delimiter=",")
    code, found = run(capsys, model, "--task", "own", "--data", table, "--rate", "0.05", "--json")
    assert code == 0 and found["metric"] == "mse" and found["shots"] == 4
    assert found["after"]["mean"] < found["before"]["mean"]


def test_what_cannot_be_trained_is_measured_as_it_is(capsys, tmp_path) -> None:
    spec = ModelSpec.mlp([6, 12, 3], output="softmax")
    path, model = clusters(tmp_path / "own.npz"), tmp_path / "int8.tflite"
    with np.load(path) as stored:
        model.write_bytes(tflite.write_int8(spec, spec.initial(0), stored["x"], name="int8"))
    code, found = run(capsys, model, "--task", "own", "--data", path, "--json")
    assert code == 0 and "after" not in found
    assert (found["shots"], found["episodes of each"]) == (0, 1)
    assert main(["server", "evaluate", str(model), "--task", "own", "--data", str(path)]) == 0
    shown = capsys.readouterr().out
    first, header, row = shown.splitlines()
    assert first == "accuracy on own.npz, 60 samples with a label"
    assert header.split() == ["model", "mean"]
    assert row.split() == ["as", "it", "is", f"{found['before']['mean']:.3f}"]


def test_samples_of_ones_own_are_told_in_plain_words(capsys, tmp_path, mine) -> None:
    line = ["server", "evaluate", str(mine), "--task", "own", "--rate", "0.1"]
    line += ["--data", str(clusters(tmp_path / "own.npz"))]
    assert main(line) == 0
    first, draws, header, *rows = capsys.readouterr().out.splitlines()
    assert first == "accuracy on own.npz, 60 samples with a label"
    assert draws == "3 draws: 20 samples to learn from, measured on the other 40"
    assert header.split() == ["model", "mean", "lowest", "highest"]
    assert [row.split("  ")[0] for row in rows] == ["as it is", "adapted to 20 samples"]
    for row in rows:
        mean, low, high = map(float, row.split()[-3:])
        assert low <= mean <= high


@pytest.mark.parametrize(
    ("arrays", "more", "said"),
    [
        ({"y": np.full(60, 3)}, (), "the model has 3 outputs"),
        ({"y": np.full(60, np.nan)}, (), "has a label"),
        ({"y": np.zeros((60, 2))}, (), "2 wide"),
        ({"y": np.zeros((60, 2))}, (), "Try: class indices; np.argmax(y, 1)"),
        ({"y": np.zeros((60, 3))}, (), "not one-hot"),
        ({"y": np.full((60, 3), 1 / 3)}, (), "Try: class indices; np.argmax(y, 1)"),
        ({"x": np.zeros((60, 5))}, (), "takes 6 values, a sample has 5"),
        ({}, ("--shots", "60"), "leave none to measure on"),
    ],
)
def test_samples_that_are_not_the_models_are_refused(
    capsys, tmp_path, mine, arrays, more, said
) -> None:
    path = clusters(tmp_path / "own.npz", **arrays)
    code, error = run(capsys, mine, "--task", "own", "--data", path, *more)
    assert code == 2 and said in error


def test_samples_without_a_label_are_left_out(capsys, tmp_path, mine) -> None:
    y = np.where(np.arange(60) % 2, np.nan, 1.0)
    path = clusters(tmp_path / "own.npz", y=y)
    assert get_task("own", data=path, outputs=3).samples == 30
    code, found = run(capsys, mine, "--task", "own", "--data", path, "--json")
    assert code == 0 and found["shots"] == 15


def test_task_own_without_samples_says_where_they_go(capsys, tmp_path, mine) -> None:
    code, error = run(capsys, mine, "--task", "own")
    assert code == 2 and "--data samples.npz" in error
    code, error = run(capsys, "characters", "--data", clusters(tmp_path / "own.npz"))
    assert code == 2 and "--task own" in error
