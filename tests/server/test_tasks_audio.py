"""Spoken words: files of clips, originals packed, speakers kept apart, and what trains on them."""

import hashlib
import io
import itertools
import subprocess
import tarfile
import wave
import zipfile
from typing import ClassVar

import numpy as np
import pytest

from edge.artifact import Artifact
from edge.errors import UsageError
from edge.learner import OnlineLearner
from server.evaluate import Adaptation, adapt
from server.models import model
from server.presets import ADAPTATION, SHOTS, strategy_options
from server.simulate import simulate
from server.strategies import get_strategy
from server.tasks import clips, get_task, originals
from server.tasks.data import DownloadFailed, find
from server.tasks.sounds import DigitsTask, KeywordsTask, SpeakerClient

needs_digits = pytest.mark.skipif(find("fsdd_dev.npz") is None, reason="the digits are not here")
needs_keywords = pytest.mark.skipif(
    find("gsc3_speakers_dev.npz") is None, reason="Speech Commands is not here"
)
NEEDS = {"digits": needs_digits, "keywords": needs_keywords}
TASKS = [pytest.param(name, marks=mark) for name, mark in NEEDS.items()]
RNG = np.random.default_rng


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise OSError("no network in tests")

    monkeypatch.setattr("urllib.request.urlopen", refuse)


@pytest.fixture
def empty(monkeypatch, tmp_path):
    monkeypatch.setenv("TINYFLEET_DATA", str(tmp_path / "nothing"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("TINYFLEET_OFFLINE", raising=False)
    return tmp_path / "tinyfleet"


def ragged(words=10, speakers=(7, 9), takes=3, seed=0):
    """A file of short noises, as the digits are laid out."""
    rng = RNG(seed)
    rows = list(itertools.product(range(words), speakers, range(takes)))
    audio = [
        rng.integers(-3000, 3000, 900 + 40 * i % 700).astype(np.int16) for i in range(len(rows))
    ]
    return {
        "audio": np.concatenate(audio),
        "offset": np.cumsum([0, *map(len, audio)]),
        "label": np.array([row[0] for row in rows], np.uint8),
        "speaker": np.array([row[1] for row in rows], np.uint8),
    }, audio


def wav(samples):
    stored = io.BytesIO()
    with wave.open(stored, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(samples.astype("<i2").tobytes())
    return stored.getvalue()


def test_clips_are_read_as_they_were_cut(tmp_path) -> None:
    arrays, audio = ragged()
    np.savez(tmp_path / "ragged.npz", **arrays)
    found = clips.read(tmp_path / "ragged.npz")
    assert all(np.array_equal(a, b) for a, b in zip(found.audio, audio, strict=True))
    assert found.word.dtype == found.speaker.dtype == np.int64
    rows = np.arange(12, dtype=np.int16).reshape(3, 4)
    both = {"audio": rows, "label": np.zeros(3, int), "speaker": np.arange(3)}
    np.savez(tmp_path / "rows.npz", n_valid=np.array([4, 2, 0]), **both)
    assert [c.tolist() for c in clips.read(tmp_path / "rows.npz").audio] == [
        [0, 1, 2, 3],
        [4, 5],
        [],
    ]
    np.savez(tmp_path / "rows.npz", **both)
    assert [len(c) for c in clips.read(tmp_path / "rows.npz").audio] == [4, 4, 4]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"audio": np.zeros(100)}, "audio"),
        ({"audio": np.zeros((2, 3, 4), np.int16)}, "audio"),
        ({"audio": None}, "audio"),
        ({"label": np.zeros(2, int)}, "clips"),
        ({"label": np.zeros(60)}, "label"),
        ({"speaker": np.zeros(3, int)}, "speaker"),
        ({"offset": None}, "offset"),
        ({"offset": np.array([0, 5, 1 << 40])}, "offset"),
        ({"offset": np.array([-1, 5])}, "offset"),
        ({"offset": np.array([5, 0])}, "offset"),
        ({"offset": np.array([0, 5])}, "clips"),
    ],
)
def test_a_file_of_another_layout_is_refused(tmp_path, change, named) -> None:
    arrays = {k: v for k, v in (ragged()[0] | change).items() if v is not None}
    if len(arrays.get("label", ())) == 2:
        arrays["speaker"] = np.zeros(2, int)
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(UsageError, match=named):
        clips.read(tmp_path / "bad.npz")


def test_what_is_no_archive_is_refused(tmp_path) -> None:
    (tmp_path / "bad.npz").write_bytes(b"no archive")
    with pytest.raises(UsageError, match="cannot be read"):
        clips.read(tmp_path / "bad.npz")


def test_the_name_of_a_folder_is_git_s(tmp_path) -> None:
    files = {"b_1.wav": b"two", "a_10.wav": b"", "a_1.wav": bytes(range(256))}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    git = ["git", "-C", str(tmp_path), "-c", "core.autocrlf=false"]
    try:
        subprocess.run([*git, "init", "-q"], check=True, capture_output=True)
        subprocess.run([*git, "add", "."], check=True, capture_output=True)
        found = subprocess.run([*git, "write-tree"], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("git is not here")
    assert originals.tree_id(files) == found.stdout.strip()


def test_the_original_digits_are_packed_once_they_are_the_published_ones(
    empty, monkeypatch
) -> None:
    noise = {f"{d}_{s}_{t}.wav": RNG(d + t).integers(-9, 9, 50 + t) for d in (3, 0) for s in "xy"
             for t in (0, 1)}  # fmt: skip
    files = {name: wav(samples) for name, samples in noise.items()}

    def fetched(*_, **__):
        empty.mkdir(exist_ok=True)
        with zipfile.ZipFile(empty / "fsdd.zip", "w") as opened:
            opened.writestr("set-1/README.md", "not a recording")
            for name, data in files.items():
                opened.writestr(f"set-1/recordings/{name}", data)
        return empty / "fsdd.zip"

    monkeypatch.setattr(originals, "download", fetched)
    with pytest.raises(DownloadFailed, match="not the published"):
        clips.digits()
    assert not (empty / "fsdd.zip").exists()
    monkeypatch.setattr(originals, "DIGITS_TREE", originals.tree_id(files))
    found = clips.digits()
    assert len(found.audio) == 8
    assert found.word.tolist() == [0] * 4 + [3] * 4
    assert found.speaker.tolist() == [0, 0, 1, 1] * 2
    assert np.array_equal(found.audio[0], noise["0_x_0.wav"])
    assert np.array_equal(found.audio[-1], noise["3_y_1.wav"])


def test_the_original_commands_are_packed_from_their_archive(empty, monkeypatch) -> None:
    names = ["./cat/ab12_nohash_0.wav", "./cat/ff00_nohash_1.wav", "./dog/ab12_nohash_0.wav",
             "./bed/ff00_nohash_0.wav", "./LICENSE"]  # fmt: skip
    path = empty.parent / "some.tar.gz"
    with tarfile.open(path, "w:gz") as opened:
        for i, name in enumerate(names):
            data = wav(np.full(5 + i, i))
            member = tarfile.TarInfo(name)
            member.size = len(data)
            opened.addfile(member, io.BytesIO(data))
    empty.mkdir(exist_ok=True)
    monkeypatch.setattr(originals, "download", lambda *_, **__: path)
    found = clips.commands()
    clip = zip(found.word, found.speaker, found.audio, strict=True)
    assert [(w, s, len(a)) for w, s, a in clip] == [(1, 0, 5), (1, 1, 6), (0, 1, 8)]


def test_an_archive_with_another_checksum_is_not_kept(empty, monkeypatch) -> None:
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: Response(b"something else"))
    with pytest.raises(DownloadFailed, match="checksum"):
        clips.commands()
    assert not list(empty.iterdir())
    good = hashlib.sha256(b"something else").hexdigest()
    monkeypatch.setattr(originals, "COMMANDS_SHA256", good)
    with pytest.raises(tarfile.ReadError):  # it is believed now, and is no archive
        clips.commands()


class Response(io.BytesIO):
    headers: ClassVar[dict[str, str]] = {}


@needs_digits
def test_a_fold_keeps_its_speakers_apart_and_folds_cover_all() -> None:
    tasks = [DigitsTask(fold=fold) for fold in range(4)]
    for task in tasks:
        assert not set(task.train.speaker) & set(task.test.speaker)
        assert len(task.train.audio) + len(task.test.audio) == 2000
    assert sorted(int(s) for task in tasks for s in set(task.test.speaker)) == [0, 1, 2, 3]
    assert set(DigitsTask(everyone=True).train.speaker) == {0, 1, 2, 3}
    with pytest.raises(UsageError, match="fold"):
        DigitsTask(fold=4)


@needs_keywords
def test_keywords_folds_are_disjoint_fifths() -> None:
    tests = [set(KeywordsTask(fold=fold).test.speaker.tolist()) for fold in range(5)]
    assert set().union(*tests) == set(range(120))
    assert sum(map(len, tests)) == 120


@needs_digits
def test_other_speakers_become_the_test_clients(tmp_path) -> None:
    np.savez(tmp_path / "mine.npz", **ragged()[0])
    task = DigitsTask(data=tmp_path / "mine.npz")
    assert task.clients("test") == 2
    assert task.clients("train") == 4
    episode = task.client(1, "test").episode(RNG(0), shots=1, queries=9)
    assert episode.support_x.shape == (10, 32 * 24)
    assert episode.query_x.shape == (20, 32 * 24)
    np.savez(tmp_path / "mine.npz", **ragged(words=11)[0])
    with pytest.raises(UsageError, match="label 10"):
        DigitsTask(data=tmp_path / "mine.npz")


@needs_digits
def test_features_are_those_of_the_front_end() -> None:
    task = DigitsTask()
    audio = task.test.audio[5]
    bands = task.sounds.bands_of(audio)
    assert bands.shape == (1 + (len(audio) - 256) // 80, 24)
    first = task.features(task.test)[5].reshape(32, 24)
    exact = (bands[[0, -1]].astype(float) - bands.mean()) / 512
    np.testing.assert_allclose(first[[0, -1]], exact, atol=0.5)  # the mean is of stretched frames
    assert abs(first.mean()) < 1 / 256


def takes(*counts):
    return tuple(np.arange(n, dtype=np.float32)[:, None] + 100 * w for w, n in enumerate(counts))


@pytest.mark.parametrize("shots", [1, 2, 5])
def test_a_scarce_take_is_never_learnt_and_measured(shots) -> None:
    for seed in range(20):
        client = SpeakerClient("s", takes(1, 2, 5), scarce=True)
        one = client.episode(RNG(seed), shots=shots, queries=4)
        assert np.bincount(one.support_y[:, 0].astype(int)).tolist() == [shots] * 3
        assert not set(one.support_x.ravel()) & set(one.query_x.ravel())
        assert (one.support_x // 100 == one.support_y).all()
        learnt = min(shots, 4)
        assert np.bincount(one.query_y[:, 0].astype(int)).tolist() == [0, 1, min(4, 5 - learnt)]


def test_too_few_takes_are_refused() -> None:
    with pytest.raises(UsageError, match="leave nothing of the 2 takes"):
        SpeakerClient("s", takes(2, 3)).episode(RNG(0), shots=2, queries=1)
    with pytest.raises(UsageError, match="every word once"):
        SpeakerClient("s", takes(1, 1), scarce=True).episode(RNG(0), shots=1, queries=1)


@pytest.mark.parametrize("name", TASKS)
def test_a_fleet_learns_words_and_adapts_to_an_unseen_speaker(name) -> None:
    task = get_task(name)
    options = strategy_options(name, "fedavg")
    found = simulate(task, get_strategy("fedavg", **options), 60, 4, 0).artifact
    how = Adaptation(**ADAPTATION[name])
    assert how.shots == SHOTS[name]
    episodes = [
        task.client(i, "test").episode(RNG(i), shots=how.shots, queries=10) for i in range(5)
    ]
    pairs = np.array([adapt(task, found.data, episode, how) for episode in episodes])
    assert pairs.mean(0).max() > 2 / task.ways


@needs_keywords
def test_the_shipped_keywords_are_heard() -> None:
    task, data = KeywordsTask(), model("keywords")
    assert Artifact(data).spec.n_in == 48 * 32
    heard = OnlineLearner(data, infer_only=True).predict_many(task.features(task.test)).argmax(1)
    assert (heard == task.test.word).mean() > 0.95  # it was trained on them


@needs_keywords
def test_what_torch_learns_is_what_devices_run() -> None:
    torch = pytest.importorskip("torch")
    from server.export import tflite
    from server.meta.convnet import ConvNet
    from server.meta.words import Recipe, train_words

    task, losses = KeywordsTask(), []
    net = ConvNet((48, 32), 3, (4, 6), (2, 4))
    how = Recipe(steps=30, variants=2, batch=32)
    module = train_words(net, task.test, task.sounds, how, lambda step, loss: losses.append(loss))
    again = train_words(net, task.test, task.sounds, how)
    for one, other in zip(module.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
    x = task.features(task.test)[:20]
    with torch.no_grad():
        expected = torch.softmax(module(torch.from_numpy(x).reshape(20, 1, 48, 32)), 1).numpy()
    exact = tflite.write(net.spec(), net.parameters(module), name="words")
    found = OnlineLearner(exact, infer_only=True).predict_many(x)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    hybrid = OnlineLearner(net.hybrid(module, x, "words"), infer_only=True).predict_many(x)
    np.testing.assert_allclose(hybrid, expected, atol=0.1)


@pytest.mark.parametrize("name", TASKS)
def test_augmented_clips_stay_like_features(name) -> None:
    pytest.importorskip("torch")
    from server.meta.augment import Ranges, augmented, voice

    def other(clip, how, seed):
        rng = RNG(seed)
        return augmented(clip, sounds, voice(how, rng), how, rng)

    task = get_task(name)
    sounds, bands = task.sounds, [task.sounds.bands_of(a) for a in task.test.audio[:10]]
    still = Ranges(tract=0, speed=0, shift=0, cut=0, tilt=0, noise=0, floor=0, mask=0)
    for clip, audio in zip(bands, task.test.audio, strict=False):
        plain = sounds.features(audio)
        changed = [other(clip, Ranges(), seed) for seed in (1, 1, 2)]
        assert all(c.shape == plain.shape and np.isfinite(c).all() for c in changed)
        assert np.array_equal(changed[0], changed[1])
        assert not np.array_equal(changed[0], changed[2])
        near = other(clip, still, 0)
        assert np.corrcoef(near.ravel(), plain.ravel())[0, 1] > 0.9
    short = sounds.bands_of(np.zeros(10, np.int16))
    assert np.isfinite(other(short, Ranges(), 0)).all()
