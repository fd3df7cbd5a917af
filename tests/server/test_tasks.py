"""Tasks: who owns which data, and episodes that can be drawn again."""

import io
import itertools
import logging
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edge.errors import UsageError
from server.tasks import TASKS, EpisodeSensor, get_task, images
from server.tasks.data import DownloadFailed, find


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise OSError("no network in tests")

    monkeypatch.setattr("urllib.request.urlopen", refuse)


@pytest.fixture
def only_digits(monkeypatch, tmp_path):
    from server.tasks import characters

    monkeypatch.setenv("TINYFLEET_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(characters, "_load", images.load)


def same(a, b):
    return all(
        np.array_equal(getattr(a, k), getattr(b, k))
        for k in ("support_x", "support_y", "query_x", "query_y")
    )


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("split", ["train", "test"])
def test_episodes_fit_the_model_and_repeat(name, split):
    try:
        task = get_task(name)
    except DownloadFailed as missing:
        pytest.skip(str(missing))
    spec = task.spec()
    for index in (0, 3, task.clients(split) + 1):
        client = task.client(index, split)
        one = client.episode(np.random.default_rng(5), shots=4, queries=6)
        assert same(one, client.episode(np.random.default_rng(5), shots=4, queries=6))
        assert not same(one, client.episode(np.random.default_rng(6), shots=4, queries=6))
        assert one.support_x.shape == (4 * task.ways, spec.n_in)
        assert one.query_x.shape == (len(one.query_y), spec.n_in)
        most = 12 if name == "anomaly" else 6 * task.ways  # normal windows, and others
        assert 0 < len(one.query_y) <= most
        assert one.support_y.shape == (4 * task.ways, spec.n_target)
        assert one.support_x.dtype == one.support_y.dtype == np.float32
        assert np.isfinite(one.support_x).all() and np.isfinite(one.query_y).all()


def test_a_support_drawing_is_never_a_query():
    episode = (
        get_task("characters")
        .client(0, "test")
        .episode(np.random.default_rng(0), shots=5, queries=5)
    )
    seen = {row.tobytes() for row in episode.support_x}
    assert not seen & {row.tobytes() for row in episode.query_x}
    assert np.array_equal(np.bincount(episode.support_y[:, 0].astype(int)), [5] * 5)
    assert np.array_equal(np.bincount(episode.query_y[:, 0].astype(int)), [5] * 5)
    assert 0 <= episode.support_x.min() < episode.support_x.max() <= 1


@pytest.mark.skipif(find("omniglot_background.npz") is None, reason="Omniglot is not here")
def test_omniglot_test_classes_are_unseen():
    train, test = images.omniglot("train"), images.omniglot("test")
    assert not set(train.klass.tolist()) & set(test.klass.tolist())
    assert len(set(train.klass.tolist())) == 964
    raw = np.load(find("omniglot_background.npz"))["images"][7].astype(np.float64)
    block = raw[4:6, 6:8].sum() / 4 / 255
    assert images.omniglot("train").pixels[7, 2, 3] == pytest.approx(block, abs=1e-6)


@pytest.mark.parametrize("ways", [None, 3])
def test_digits_stand_in_where_there_is_no_omniglot(only_digits, caplog, ways):
    options = {} if ways is None else {"ways": ways}
    with caplog.at_level(logging.WARNING):
        task = get_task("characters", **options)
    assert "Omniglot is not at hand" in caplog.text
    assert task.spec().n_in == 64
    assert not set(images.digits("train").klass) & set(images.digits("test").klass)
    episode = task.client(0, "test").episode(np.random.default_rng(0), shots=2, queries=3)
    assert set(episode.query_y.ravel()) == set(range(task.ways))


def test_more_ways_than_classes_is_refused(only_digits):
    with pytest.raises(UsageError, match="6 characters"):
        get_task("characters", ways=6)


def test_too_many_shots_are_refused():
    client = get_task("characters").client(0, "test")
    with pytest.raises(UsageError, match="drawings"):
        client.episode(np.random.default_rng(0), shots=500, queries=1)


def test_unknown_names_are_answered_with_the_known_ones():
    with pytest.raises(UsageError) as caught:
        get_task("keyword")
    assert "sine" in str(caught.value) and "characters" in str(caught.value)
    with pytest.raises(UsageError, match="colour"):
        get_task("sine", colour="red")


def test_waves_of_the_splits_differ_and_stay_in_their_range():
    task = get_task("sine")
    pairs = {
        (c.amplitude, c.phase)
        for split in ("train", "test")
        for c in (task.client(i, split) for i in range(50))
    }
    assert len(pairs) == 100
    assert all(0.1 <= a <= 5 and 0 <= p <= np.pi for a, p in pairs)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**31), st.integers(0, 500), st.integers(1, 12))
def test_a_round_run_again_sees_the_same_samples(seed, number, n):
    client = get_task("sine").client(1, "train")
    first, again = (EpisodeSensor(client, shots=8, seed=seed) for _ in range(2))
    for _ in range(3):
        again.next_sample()
    first.begin(number)
    again.begin(number)
    for _ in range(n):
        (x, y), (x_again, y_again) = first.next_sample(), again.next_sample()
        assert np.array_equal(x, x_again)
        assert np.array_equal(y, y_again)


def test_rewind_gives_the_same_support_again():
    sensor = EpisodeSensor(get_task("sine").client(0, "train"), shots=5, seed=1)
    before = [sensor.next_sample()[0].item() for _ in range(5)]
    sensor.rewind()
    assert [sensor.next_sample()[0].item() for _ in range(5)] == before
    assert sensor.next_sample()[0].item() not in before


@pytest.mark.parametrize("told", [True, False], ids=["told where passes begin", "not told"])
def test_rewind_goes_to_where_a_pass_began_also_in_the_episode_before(told):
    sensor = EpisodeSensor(get_task("sine").client(0, "train"), shots=5, seed=1)
    for _ in range(3):
        if told:
            sensor.begin_pass()
        passes = []
        for epoch in range(3):
            if epoch:
                sensor.rewind()
            passes.append([sensor.next_sample()[0].item() for _ in range(4)])
        assert passes[0] == passes[1] == passes[2] and len(set(passes[0])) == 4


def test_measures():
    sine, characters = get_task("sine"), get_task("characters")
    ones, twos = np.ones((4, 1), np.float32), np.full((4, 1), 2, np.float32)
    assert sine.measure(ones, twos) == pytest.approx(1.0)
    outputs = np.eye(5, dtype=np.float32)
    targets = np.array([[0], [1], [2], [0], [0]], np.float32)
    assert characters.measure(outputs, targets) == pytest.approx(0.6)


def test_every_digits_client_has_enough_drawings_to_be_evaluated() -> None:
    for split in ("train", "test"):
        found = images.digits(split)
        for owner in np.unique(found.owner):
            counts = np.unique(found.klass[found.owner == owner], return_counts=True)[1]
            assert len(counts) == 5
            assert counts.min() >= 15  # 5 shots and 10 queries


def test_an_original_archive_is_packed_to_what_a_local_copy_holds(tmp_path) -> None:
    archive, expected = tmp_path / "images.zip", []
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(archive, "w") as opened:
        for alphabet, character, drawer in itertools.product("AB", "12", "xy"):
            ink = rng.random((105, 105)) < 0.2
            stored = io.BytesIO()
            Image.fromarray(np.where(ink, 0, 255).astype(np.uint8)).convert("1").save(stored, "png")
            opened.writestr(f"images/{alphabet}/{character}/0_{drawer}.png", stored.getvalue())
            expected.append(ink.mean())
    with np.load(images.pack(archive, tmp_path / "packed.npz")) as packed:
        assert packed["images"].shape == (8, 28, 28)
        means = packed["images"].mean(axis=(1, 2)) / 255
        np.testing.assert_allclose(means, expected, atol=0.01)  # ink is bright
        assert packed["char_id"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
        assert packed["alphabet"].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
