"""Whatever is in its folder, an agent starts: with the last whole model, and saying what is not."""

import errno
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import edge.store
from edge.artifact import Artifact
from edge.budget import requirement
from edge.claim import LOCK, claimed
from edge.errors import DoesNotFit, TinyfleetError, UsageError
from edge.host import HostWorker
from edge.learner import OnlineLearner
from edge.messages import Plan
from edge.spec import ModelSpec
from edge.store import ArtefactStore
from tests.edge.models import model, samples, sensor, sha

Live = Callable[[Path], None]
X, _ = samples()
OLD, NEW, NEXT = model(1), model(2), model(3)
LARGE = ModelSpec.mlp([6, 2000, 3], hidden="relu", output="softmax")


def device(folder: Path, **options: int) -> HostWorker:
    return HostWorker(sensor(), store=ArtefactStore(folder), **options)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Live:
    """Makes a folder with two models, and two files of what was learnt on the second."""
    first = tmp_path_factory.mktemp("lived")
    live(first)

    def copy(folder: Path) -> None:
        shutil.copytree(first, folder, dirs_exist_ok=True)

    return copy


def live(folder: Path) -> None:
    with claimed(folder):
        worker = device(folder)
        worker.deploy(OLD)
        worker.deploy(NEW)
        for seed in (4, 5):
            worker.train(model(seed), Plan("s", 0.1, 4))


def whole_models(folder: Path) -> set[str]:
    found = set()
    for path in folder.glob("*.model"):
        if path.is_file() and sha(path.read_bytes()) == path.stem:
            found.add(path.stem)
    return found


def starts(folder: Path) -> HostWorker:
    """Start as an agent does, and see that the device can still be given a model and keep it."""
    with claimed(folder):
        worker = device(folder)
        running = worker.running
        whole = whole_models(folder)
        assert (running in whole) if whole else (running is None)
        worker.deploy(NEXT)
        worker.train(NEXT, Plan("s", 0.1, 4))
    with claimed(folder):
        again = device(folder)
        assert again.running == sha(NEXT)
        assert again.predict(X).tobytes() == worker.predict(X).tobytes()
    return worker


def emptied(path: Path, rng: np.random.Generator) -> None:
    path.write_bytes(b"")


def noise(path: Path, rng: np.random.Generator) -> None:
    path.write_bytes(rng.bytes(int(rng.integers(1, 3000))))


def cut(path: Path, rng: np.random.Generator) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(rng.integers(0, len(data)))])


def flipped(path: Path, rng: np.random.Generator) -> None:
    data = bytearray(path.read_bytes())
    data[int(rng.integers(0, len(data)))] ^= 1 << int(rng.integers(0, 8))
    path.write_bytes(bytes(data))


def nested(path: Path, rng: np.random.Generator) -> None:
    path.write_bytes(b"[" * 200_000)


def missing(path: Path, rng: np.random.Generator) -> None:
    path.unlink()


def a_folder(path: Path, rng: np.random.Generator) -> None:
    path.unlink()
    path.mkdir()
    (path / "file").touch()


def a_broken_link(path: Path, rng: np.random.Generator) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def a_loop(path: Path, rng: np.random.Generator) -> None:
    path.unlink()
    path.symlink_to(path.name)


def a_link_to_a_folder(path: Path, rng: np.random.Generator) -> None:
    path.unlink()
    path.symlink_to(path.parent)


def a_pipe(path: Path, rng: np.random.Generator) -> None:
    path.unlink()
    os.mkfifo(path)


def moved(path: Path, rng: np.random.Generator) -> None:
    """A whole file elsewhere, and a link to it: nothing is wrong."""
    path.rename(path.with_suffix(".elsewhere"))
    path.symlink_to(path.with_suffix(".elsewhere"))


Damage = Callable[[Path, np.random.Generator], None]
DAMAGES: list[Damage] = [
    emptied, noise, cut, flipped, nested, missing, a_folder, a_broken_link, a_loop,
    a_link_to_a_folder, a_pipe, moved,
]  # fmt: skip
SILENT = (missing, moved)


@pytest.mark.parametrize("damage", DAMAGES)
def test_one_damaged_file_is_named_and_the_rest_is_used(
    tmp_path: Path, lived: Live, damage: Damage, caplog: pytest.LogCaptureFixture
) -> None:
    for number, name in enumerate(("index.json", f"{sha(NEW)}.model", f"{sha(OLD)}.model",
                                   "learnt-0", "learnt-1", "*.base", LOCK)):  # fmt: skip
        folder = tmp_path / str(number)
        lived(folder)
        (path,) = folder.glob(name)
        damage(path, np.random.default_rng(number))
        caplog.clear()
        with claimed(folder):
            worker = device(folder)
            lost = path.stem == sha(NEW) and damage is not moved
            assert worker.running == sha(OLD if lost else NEW)
        told = [text for text in caplog.messages if path.name in text]
        if damage not in SILENT and path.name != LOCK:
            assert told, caplog.messages
        assert len(told) == len(set(told))


@pytest.mark.parametrize("seed", range(20))
def test_much_damage_at_once(
    tmp_path: Path, lived: Live, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    rng = np.random.default_rng(seed)
    lived(tmp_path)
    for path in sorted(tmp_path.iterdir()):
        if rng.random() < 0.6:
            damage = DAMAGES[int(rng.integers(0, len(DAMAGES)))]
            damage(path, rng)
    for name in ("index.json.new", "learnt-1.new", f"{sha(NEXT)}.model.new", "junk.model",
                 "\udcff.base", "lock.new"):  # fmt: skip
        if rng.random() < 0.5:
            (tmp_path / name).touch()
            damage = DAMAGES[int(rng.integers(4, len(DAMAGES)))]
            damage(tmp_path / name, rng)
    starts(tmp_path)
    caplog.text.encode()  # a name that is no UTF-8 is escaped


def test_without_an_index_the_newest_whole_model_is_taken(
    tmp_path: Path, lived: Live, caplog: pytest.LogCaptureFixture
) -> None:
    lived(tmp_path)
    (tmp_path / "index.json").unlink()
    os.utime(tmp_path / f"{sha(OLD)}.model", (1, 1))
    worker = device(tmp_path)
    assert worker.running == sha(NEW)
    assert "index.json is missing" in caplog.text
    worker.rollback()
    assert device(tmp_path).running == sha(OLD)


def test_a_model_that_no_index_names_is_the_last_resort(
    tmp_path: Path, lived: Live, caplog: pytest.LogCaptureFixture
) -> None:
    lived(tmp_path)
    (tmp_path / f"{sha(NEXT)}.model").write_bytes(NEXT)
    for data in (OLD, NEW):
        (tmp_path / f"{sha(data)}.model").write_bytes(b"x")
    assert device(tmp_path).running == sha(NEXT)
    assert "no artefact that index.json names is whole" in caplog.text


def test_a_fresh_folder_is_nothing_to_warn_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with claimed(tmp_path / "state"):
        assert device(tmp_path / "state").running is None
    assert caplog.messages == []


def test_a_folder_that_is_read_only_is_warned_of(
    tmp_path: Path,
    lived: Live,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    lived(tmp_path)

    def refuse(*_: object, **__: object) -> int:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("edge.claim.os.open", refuse)
    with claimed(tmp_path):
        assert device(tmp_path).running == sha(NEW)
    assert "cannot be locked" in caplog.text


def test_a_folder_is_had_by_one_and_free_afterwards(tmp_path: Path) -> None:
    with claimed(tmp_path), pytest.raises(UsageError, match=f"in use by process {os.getpid()}"):
        claimed(tmp_path).__enter__()
    with claimed(tmp_path):
        pass


def test_a_helper_that_a_sensor_forked_does_not_keep_the_folder(tmp_path: Path) -> None:
    script = f"""
import os, time
from pathlib import Path
from edge.claim import claimed
reading, writing = os.pipe()
with claimed(Path({str(tmp_path)!r})):
    if os.fork() == 0:
        os.write(writing, b"here")
        time.sleep(30)
    os.read(reading, 4)
    os._exit(0)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=20, cwd=Path.cwd())
    with claimed(tmp_path):
        assert (tmp_path / LOCK).read_text() == f"{os.getpid()}\n"


def test_a_signal_that_comes_while_its_event_is_locked_ends_the_wait() -> None:
    script = """
import os, signal, time
from edge.agent import until_signal
with until_signal() as ended:
    with ended._cond:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.1)
    assert ended.wait(10)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=20, cwd=Path.cwd())


def test_a_sensor_that_ends_the_program_fails_what_it_was_asked_for(tmp_path: Path) -> None:
    class Ending:
        def next_sample(self) -> None:
            raise SystemExit(3)

        def rewind(self) -> None:
            pass

    worker = HostWorker(Ending(), store=ArtefactStore(tmp_path))
    worker.deploy(OLD)
    with pytest.raises(TinyfleetError, match="ended itself"):
        worker.evaluate(3)
    assert worker.predict(X).shape == (len(X), 3)


def test_a_rollback_that_is_refused_changes_nothing(tmp_path: Path) -> None:
    big = model(7, LARGE)
    worker = device(tmp_path)
    worker.deploy(big)
    worker.deploy(NEW)
    room = requirement(Artifact(big)).ram_infer - 1
    worker = device(tmp_path, arena=room)
    worker.train(NEW, Plan("s", 0.1, 4, train_layers=1))
    learnt = worker.predict(X).tobytes()
    with pytest.raises(DoesNotFit):
        worker.rollback()
    for now in (worker, device(tmp_path, arena=room)):
        assert now.running == sha(NEW)
        assert now.predict(X).tobytes() == learnt
    assert device(tmp_path).rollback()["running"] == sha(big)


def test_a_full_disk_stops_a_rollback(
    tmp_path: Path, lived: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    lived(tmp_path)
    worker = device(tmp_path)
    learnt = worker.predict(X).tobytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(edge.store, "replace_file", full)
        with pytest.raises(TinyfleetError, match="cannot be kept"):
            worker.rollback()
    for now in (worker, device(tmp_path)):
        assert now.running == sha(NEW)
        assert now.predict(X).tobytes() == learnt
    worker.rollback()
    assert worker.predict(X).tobytes() == OnlineLearner(OLD).predict_many(X).tobytes()


def test_what_cannot_run_here_is_not_what_a_rollback_goes_back_from(tmp_path: Path) -> None:
    worker = device(tmp_path)
    worker.deploy(OLD)
    big = model(7, LARGE)
    worker.deploy(big)
    worker = device(tmp_path, arena=requirement(Artifact(big)).ram_infer - 1)
    assert worker.running == sha(OLD)
    with pytest.raises(TinyfleetError, match="go back"):
        worker.rollback()
    worker.deploy(NEW)
    worker.rollback()
    assert device(tmp_path).running == worker.running == sha(OLD)


def test_how_much_had_been_learnt_is_said(
    tmp_path: Path, lived: Live, caplog: pytest.LogCaptureFixture
) -> None:
    lived(tmp_path)
    caplog.set_level(logging.INFO, "tinyfleet")
    device(tmp_path)
    assert "going on with what was learnt before the restart: 4 steps" in caplog.text
