"""Tasks of sensors: rooms, machines and strokes, their files and their measures."""

import json
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from edge.errors import UsageError
from server.presets import ADAPTATION, SHOTS, strategy_options
from server.simulate import simulate
from server.strategies import get_strategy
from server.tasks import get_task, rooms, strokes, vibration, wand
from server.tasks.anomaly import roc_auc
from server.tasks.data import DownloadFailed, find
from server.tasks.presence import balanced_accuracy

RNG = np.random.default_rng
FILES = {"presence": rooms.FILES, "anomaly": vibration.FILES, "gesture": strokes.FILES}
READ = {"presence": rooms.read, "anomaly": vibration.read, "gesture": strokes.read}
LOCAL = {file: find(file) for files in FILES.values() for file in files}
HERE = [name for name, files in FILES.items() if any(find(file) for file in files)]
here = pytest.mark.parametrize("name", HERE)


def room_arrays(n=120):
    rng = RNG(3)
    return {
        "features": rng.normal(20, 3, (n, 4)).astype(np.float32),
        "occupied": rng.integers(2, size=n),
        "room": np.repeat([0, 1], n // 2),
        "time": np.tile(np.arange(n // 2) * 3600.0, 2),
    }


def vibration_arrays(n=40):
    rng = RNG(4)
    return {
        "accel": rng.integers(-500, 500, (n, 200, 3)).astype(np.int16),
        "condition": np.arange(n) % 2,
        "machine": np.arange(n) // 20,
        "anomaly": np.arange(n) % 2,
        "counts_per_g": np.int32(2048),
    }


def stroke_arrays(n=60):
    rng = RNG(5)
    return {
        "points": rng.integers(-128, 128, (n * 12, 2)).astype(np.int8),
        "offset": np.arange(n + 1) * 12,
        "label": np.arange(n) % 6,
    }


ARRAYS = {"presence": room_arrays, "anomaly": vibration_arrays, "gesture": stroke_arrays}


def stored(path, arrays):
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("name", list(READ))
def test_a_file_of_the_layout_is_read(name, tmp_path) -> None:
    assert READ[name](stored(tmp_path / "a.npz", ARRAYS[name]()))


BAD = [
    ("presence", "features", np.zeros((120, 3), np.float32)),
    ("presence", "features", np.zeros((120, 4), np.int32)),
    ("presence", "room", np.zeros(7)),
    ("presence", "occupied", np.zeros(120)),
    ("presence", "time", np.array(["noon"] * 120)),
    ("anomaly", "accel", np.zeros((40, 200, 3), np.float32)),
    ("anomaly", "accel", np.zeros((40, 8, 3), np.int16)),
    ("anomaly", "counts_per_g", np.int32(0)),
    ("anomaly", "machine", np.zeros(3, np.int64)),
    ("anomaly", "anomaly", np.zeros(40)),
    ("anomaly", "condition_names", np.array(["only one"])),
    ("anomaly", "condition_names", np.array(["a_0_weight", "broken"])),
    ("anomaly", "condition_names", np.arange(2)),
    ("anomaly", "accel", np.zeros((0, 200, 3), np.int16)),
    ("gesture", "points", np.zeros((720, 3), np.int8)),
    ("gesture", "points", np.full((720, 2), np.nan, np.float32)),
    ("gesture", "offset", np.arange(61) * 13),
    ("gesture", "offset", np.zeros(61, np.int64)),
    ("gesture", "offset", np.arange(4)),
    ("gesture", "label", np.zeros(60)),
    ("gesture", "user", np.zeros(59, np.int64)),
    ("gesture", "user", np.zeros(60)),
]


@pytest.mark.parametrize(("name", "array", "value"), BAD)
def test_another_layout_is_refused_and_the_array_named(name, array, value, tmp_path) -> None:
    arrays = {**ARRAYS[name](), array: value}
    with pytest.raises(UsageError) as caught:
        READ[name](stored(tmp_path / "a.npz", arrays))
    assert "a.npz" in caught.value.message and caught.value.hint


@pytest.mark.parametrize("name", list(READ))
def test_a_missing_array_and_a_damaged_file_are_named(name, tmp_path) -> None:
    arrays = ARRAYS[name]()
    gone = next(iter(arrays))
    del arrays[gone]
    with pytest.raises(UsageError, match=f"has no {gone}"):
        READ[name](stored(tmp_path / "a.npz", arrays))
    data = stored(tmp_path / "b.npz", ARRAYS[name]()).read_bytes()
    for cut in (0, 10, len(data) // 2):
        (tmp_path / "c.npz").write_bytes(data[:cut])
        with pytest.raises(UsageError, match=r"c\.npz cannot be read"):
            READ[name](tmp_path / "c.npz")


@given(st.binary(max_size=300))
def test_bytes_from_outside_are_read_or_refused(tmp_path_factory, data) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "a.npz"
    path.write_bytes(data)
    for read in READ.values():
        with pytest.raises(UsageError):
            read(path)


@pytest.fixture
def nothing_here(monkeypatch, tmp_path):
    monkeypatch.setenv("TINYFLEET_DATA", str(tmp_path / "nothing"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("TINYFLEET_OFFLINE", raising=False)
    return tmp_path / "tinyfleet"


@pytest.mark.parametrize("name", ["presence", "anomaly"])
def test_without_the_data_the_remedy_is_named(name, nothing_here) -> None:
    with pytest.raises(DownloadFailed) as caught:
        get_task(name)
    assert FILES[name][0] in caught.value.message and "TINYFLEET_DATA" in caught.value.hint


def wand_archive(cache, strokes_of, monkeypatch):
    """What the publisher would send: ten files of strokes in a zip."""
    cache.mkdir(exist_ok=True)
    monkeypatch.setattr(wand, "download", lambda *_, **__: cache / "wand_digits.zip")
    with zipfile.ZipFile(cache / "wand_digits.zip", "w") as opened:
        for digit, drawn in strokes_of.items():
            kept = [
                {"index": i, "strokePoints": [{"x": x, "y": y} for x, y in points], "label": digit}
                for i, points in enumerate(drawn)
            ]
            opened.writestr(f"set-1/petewarden_{digit}.json", json.dumps({"strokes": kept}))
    return cache / "wand_digits.zip"


def test_published_strokes_are_packed_as_the_local_copy_is(nothing_here, monkeypatch) -> None:
    local = np.load(next(find_before(strokes.FILES), None) or pytest.skip("no strokes here"))
    ends, scale = local["offset"], float(local["scale"])
    drawn: dict[str, list] = {str(digit): [] for digit in range(10)}
    for i, label in enumerate(local["label"].tolist()):
        drawn[str(label)].append((local["points"][ends[i] : ends[i + 1]] * scale).tolist())
    extra = {digit: [*each, [[0.5, 0.5], [0.25, 0.0]]] for digit, each in drawn.items()}
    wand_archive(nothing_here, extra, monkeypatch)
    with np.load(wand.wand_digits("packed.npz")) as packed:
        for name in ("points", "offset", "label"):
            assert np.array_equal(packed[name], local[name])
    monkeypatch.setattr(strokes, "find", lambda name: None)
    assert get_task("gesture").clients("test") == 1


def find_before(names):
    """Local copies, whatever a fixture has set."""
    return (path for name in names if (path := LOCAL.get(name)))


@pytest.mark.parametrize("change", ["other", "missing", "no json"])
def test_other_strokes_than_those_published_are_not_kept(change, nothing_here, monkeypatch) -> None:
    drawn = {str(digit): [[[0.0, 0.5], [0.5, 0.25]]] for digit in range(10)}
    if change == "missing":
        del drawn["4"]
    archive = wand_archive(nothing_here, drawn, monkeypatch)
    if change == "no json":
        archive.write_bytes(b"no archive")
    with pytest.raises(DownloadFailed):
        get_task("gesture")
    assert not archive.exists() and not list(nothing_here.iterdir())


def test_without_a_network_the_strokes_are_refused_with_a_remedy(nothing_here, monkeypatch) -> None:
    monkeypatch.setenv("TINYFLEET_OFFLINE", "1")
    with pytest.raises(DownloadFailed, match="TINYFLEET_OFFLINE"):
        get_task("gesture")


@here
def test_data_of_others_becomes_the_test_clients(name, tmp_path) -> None:
    arrays = ARRAYS[name]()
    task = get_task(name, data=stored(tmp_path / "mine.npz", arrays))
    usual = get_task(name)
    assert task.spec() == usual.spec()
    assert task.clients("train") >= usual.clients("train")
    episode = task.client(0, "test").episode(RNG(0), shots=5, queries=3)
    assert episode.support_x.shape[1] == task.spec().n_in


@here
def test_support_and_query_share_no_sample_and_repeat(name) -> None:
    task = get_task(name)
    one, two = (task.client(0, "test").episode(RNG(1), shots=9, queries=9) for _ in range(2))
    assert np.array_equal(one.query_x, two.query_x)
    rows = {row.tobytes() for row in one.support_x}
    assert not rows & {row.tobytes() for row in one.query_x}


def test_of_other_days_means_other_days() -> None:
    if "presence" not in HERE:
        pytest.skip("no rooms here")
    task = get_task("presence", apart=True)
    client = task.client(0, "test")
    episode = client.episode(RNG(2), shots=20, queries=20)
    room = client.room
    days = {room.x[i].tobytes(): int(room.day[i]) for i in range(len(room.y))}
    learnt = {days[row.tobytes()] for row in episode.support_x}
    asked = {days[row.tobytes()] for row in episode.query_x}
    assert not learnt & asked


def test_machines_are_named_by_their_conditions(tmp_path) -> None:
    arrays = vibration_arrays()
    del arrays["machine"], arrays["anomaly"]
    arrays["condition"] = np.arange(40) % 5
    names = ["fan_0_high_0_weight", "fan_0_high_2_weight", "fan_0_high_0_weight-moving",
             "pump_0_weight", "pump_1_weight"]  # fmt: skip
    path = stored(tmp_path / "a.npz", arrays | {"condition_names": np.array(names)})
    high, pump = vibration.read(path)
    assert (high.name, pump.name) == ("fan_0_high", "pump")
    assert high.anomaly.sum() == pump.anomaly.sum() == 8
    assert len(high.x) == 24 and set(high.session) == {0, 1, 2}
    with pytest.raises(UsageError, match="condition 0 to 4"):
        vibration.read(stored(path, arrays | {"condition_names": np.array(names[:4])}))


@pytest.mark.parametrize("anomaly", [np.zeros(40, int), np.ones(40, int)])
def test_a_machine_that_is_always_the_same_cannot_be_tested(anomaly, tmp_path) -> None:
    if "anomaly" not in HERE:
        pytest.skip("no vibration here")
    path = stored(tmp_path / "a.npz", vibration_arrays() | {"anomaly": anomaly})
    with pytest.raises(UsageError, match="both normal windows and anomalies"):
        get_task("anomaly", data=path)


def test_only_normal_windows_are_learnt_and_the_later_half_is_asked() -> None:
    if "anomaly" not in HERE:
        pytest.skip("no vibration here")
    task = get_task("anomaly")
    machine = task.client(0, "test").machine
    other = {task.client(i, "train").machine.name for i in range(task.clients("train"))}
    assert machine.name == "fan_0_med" and machine.name not in other
    episode = task.client(0, "test").episode(RNG(3), shots=150, queries=80)
    assert episode.query_y[:, -1].sum() == 80 == len(episode.query_y) / 2
    np.testing.assert_allclose(episode.support_x.mean(0), 0, atol=1e-4)  # by its own statistics
    halves = {}
    for session in np.unique(machine.session):
        rows = np.flatnonzero(machine.session == session)
        halves |= {row: i < len(rows) // 2 for i, row in enumerate(rows)}
    usual = machine.x[~machine.anomaly & np.array([halves[i] for i in range(len(machine.x))])]
    rng_rows = RNG(3).permutation(len(usual))[:150]
    expected = usual[rng_rows]
    expected = (expected - expected.mean(0)) / (expected.std(0) + 0.05)
    np.testing.assert_allclose(episode.support_x, expected, atol=1e-4)


def test_people_who_draw_are_clients(tmp_path) -> None:
    if "gesture" not in HERE:
        pytest.skip("no strokes here")
    arrays = stroke_arrays()
    arrays["user"] = np.arange(60) // 30 * 7
    arrays["label"][-28:] = 0  # the second one draws too few
    task = get_task("gesture", data=stored(tmp_path / "a.npz", arrays))
    assert (task.clients("train"), task.clients("test")) == (1, 1)
    assert len(task.client(0, "test").groups) == 6
    arrays["label"][:] = 0
    with pytest.raises(UsageError, match="2 to 1 are possible"):
        get_task("gesture", data=stored(tmp_path / "a.npz", arrays))


def test_gestures_to_test_on_are_not_trained_on() -> None:
    if "gesture" not in HERE:
        pytest.skip("no strokes here")
    task, all_of = get_task("gesture"), strokes.strokes()
    kinds = []
    for split in ("train", "test"):
        rows = {row.tobytes() for group in task.client(0, split).groups for row in group}
        kinds.append({int(k) for x, k in zip(all_of.x, all_of.gesture, strict=True)
                      if x.tobytes() in rows})  # fmt: skip
    assert kinds == [{1, 2, 3, 4, 5}, {0, 6, 7, 8, 9}]


@here
def test_too_many_shots_are_refused(name) -> None:
    with pytest.raises(UsageError, match="shots"):
        get_task(name).client(0, "test").episode(RNG(0), shots=10**6, queries=1)


@pytest.mark.parametrize(
    ("name", "options"),
    [("presence", {"unseen": 9}), ("anomaly", {"unseen": "off"}), ("gesture", {"ways": 9})],
)
def test_options_out_of_range_are_refused(name, options) -> None:
    if name not in HERE:
        pytest.skip("no data here")
    with pytest.raises(UsageError):
        get_task(name, **options)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=40))
def test_the_area_under_the_curve_is_that_of_sklearn(pairs) -> None:
    positive = np.array([pair[0] for pair in pairs])
    scores = np.float32([pair[1] for pair in pairs])
    if positive.any() and not positive.all():
        assert roc_auc(scores, positive) == pytest.approx(roc_auc_score(positive, scores))
    else:
        assert roc_auc(scores, positive) == 0.5


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=40))
def test_balanced_accuracy_is_that_of_sklearn(pairs) -> None:
    found, wanted = np.array(pairs).T
    outputs = np.float32(np.eye(2)[found])
    expected = np.mean([np.mean(found[wanted == k] == k) for k in np.unique(wanted)])
    ours = balanced_accuracy(outputs, np.float32(wanted)[:, None])
    assert ours == pytest.approx(expected)
    if len(np.unique(wanted)) == 2:
        assert ours == pytest.approx(balanced_accuracy_score(wanted, found))


def test_a_stroke_does_not_depend_on_its_speed_place_or_size(tmp_path) -> None:
    angle = np.linspace(0, 5, 400)
    shape = np.stack([np.cos(angle), np.sin(2 * angle)], axis=1)
    slow = shape[np.round(399 * np.linspace(0, 1, 350) ** 2).astype(int)]
    points = np.concatenate([shape, 40 * slow + 7]).astype(np.float32)
    arrays = {"points": points, "offset": np.array([0, 400, 750]), "label": np.array([0, 0])}
    found = strokes.read(stored(tmp_path / "s.npz", arrays))
    np.testing.assert_allclose(found.x[0], found.x[1], atol=0.02)
    assert np.abs(found.x).max() == pytest.approx(1)


@given(st.integers(2, 60), st.integers(0, 2**32 - 1))
def test_any_stroke_is_centred_and_scaled(n, seed) -> None:
    points = RNG(seed).normal(0, 30, (n, 2)).cumsum(0)
    even = strokes._even(points)
    np.testing.assert_allclose(even.mean(0), 0, atol=1e-9)
    assert np.abs(even).max() == pytest.approx(1)
    assert not np.abs(strokes._even(np.zeros((n, 2)))).any()


@pytest.mark.parametrize(("hertz", "axis"), [(7.0, 0), (42.0, 1), (97.0, 2)])
def test_a_tone_is_in_its_band(hertz, axis) -> None:
    accel = np.full((1, 200, 3), 900, np.int16)  # as gravity is: it must not show
    tone = 200 * np.sin(2 * np.pi * hertz * np.arange(200) / 200)
    accel[0, :, axis] += tone.astype(np.int16)
    energies = vibration._energies(accel, 2048.0).reshape(-1)
    assert energies.argmax() == 3 * int((hertz - 1) // 5) + axis


@here
def test_a_few_rounds_lower_the_loss_and_fit_the_presets(name) -> None:
    task = get_task(name)
    options = strategy_options(name, "reptile")
    run = simulate(task, get_strategy("reptile", **options), 30, 4, seed=0)
    losses = [loss for _, loss in run.curve]
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
    assert SHOTS[name] == ADAPTATION[name]["shots"]
