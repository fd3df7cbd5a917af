import errno
from pathlib import Path

import numpy as np
import pytest

import edge.store
from edge.errors import TinyfleetError, UsageError
from edge.host import HostWorker
from edge.learner import OnlineLearner
from edge.learnt import LearntFiles
from edge.messages import Plan
from edge.sources import Replay
from edge.stepping import Watching
from edge.store import ArtefactStore
from tests.edge.models import model, samples, sensor, sha

X, Y = samples()
PLANS = [
    Plan("s", 0.1, 8),
    Plan("s", 0.1, 8, standardise=True),
    Plan("s", 0.1, 8, train_layers=1),
    Plan("s", 0.1, 8, momentum=0.9, decay=0.01),
]


def device(folder: Path, **options: float) -> HostWorker:
    return HostWorker(sensor(), store=ArtefactStore(folder), **options)


def trained(folder: Path, plan: Plan = PLANS[0], times: int = 2) -> list[bytes]:
    """Deploy and train; gives what the device answers: as deployed, and after each round."""
    worker = device(folder)
    worker.deploy(model())
    answers = [worker.predict(X).tobytes()]
    for _ in range(times):
        worker.train(model(len(answers)), plan)
        answers.append(worker.predict(X).tobytes())
    return answers


@pytest.mark.parametrize("plan", PLANS)
def test_a_restarted_device_goes_on_as_if_nothing_had_been(tmp_path: Path, plan: Plan) -> None:
    trained(tmp_path, plan)
    worker, again = HostWorker(sensor()), device(tmp_path)
    for seed in (1, 2):
        worker.train(model(seed), plan)
    assert again.predict(X).tobytes() == worker.predict(X).tobytes()
    for one in (worker, again):  # statistics go on too
        one._intake._sensor = sensor()
    assert (
        again.train(model(3), plan).delta.tobytes() == worker.train(model(3), plan).delta.tobytes()
    )


def test_watching_and_an_added_class_are_kept(tmp_path: Path) -> None:
    shifted = Replay(X + 5, Y)
    worker = device(tmp_path)
    worker.deploy(model())
    watching = Watching(warm_up=8, threshold=1.0)
    worker.watch(8, PLANS[0], watching)
    assert LearntFiles(tmp_path).number == 0
    worker._intake._sensor = shifted
    assert worker.watch(32, PLANS[0], watching).learnt > 0
    learnt = worker.predict(X).tobytes()
    assert device(tmp_path).predict(X).tobytes() == learnt
    assert learnt != OnlineLearner(model()).predict_many(X).tobytes()
    worker.deploy(model(2))
    worker.add_class(1)
    assert LearntFiles(tmp_path).number > 0
    assert device(tmp_path).predict(X).tobytes() == worker.predict(X).tobytes()


def test_another_artefact_is_another_start(tmp_path: Path) -> None:
    fresh = trained(tmp_path)[0]
    worker = device(tmp_path)
    worker.deploy(model(2))
    assert not list(tmp_path.glob("learnt-*")) and not list(tmp_path.glob("*.base"))
    worker.rollback()
    assert device(tmp_path).predict(X).tobytes() == fresh
    worker.train(model(), PLANS[0])
    worker.deploy(model())  # the same again
    assert device(tmp_path).predict(X).tobytes() == fresh


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "another map", "grown"])
def test_the_last_whole_file_is_taken(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    fresh, first, second = trained(tmp_path)
    assert device(tmp_path).predict(X).tobytes() == second
    for path, expected in ((tmp_path / "learnt-1", first), (tmp_path / "learnt-0", fresh)):
        data = path.read_bytes()
        path.write_bytes(
            {
                "cut": data[:-7],
                "flipped": data[:60] + bytes([data[60] ^ 1]) + data[61:],
                "emptied": b"",
                "another map": data[:8] + bytes.fromhex(sha(b"\xa0")) + b"\xa0",
                "grown": data + b"\0",
            }[damage]
        )
        caplog.clear()
        assert device(tmp_path).predict(X).tobytes() == expected
        assert f"{path} is damaged" in caplog.text
    worker = device(tmp_path)
    worker.train(model(), PLANS[0])
    assert device(tmp_path).predict(X).tobytes() == worker.predict(X).tobytes()


def test_a_damaged_base_is_written_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fresh, *_ = trained(tmp_path)
    (base,) = tmp_path.glob("*.base")
    base.write_bytes(b"x")
    worker = device(tmp_path)
    assert "missing or damaged" in caplog.text
    assert worker.predict(X).tobytes() == fresh
    worker.train(model(), PLANS[0])
    assert device(tmp_path).predict(X).tobytes() == worker.predict(X).tobytes()


def test_what_does_not_fit_any_more_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fresh, *_ = trained(tmp_path)
    worker = device(tmp_path, arena=100)
    assert worker.predict(X).tobytes() == fresh
    assert "what was learnt is not used" in caplog.text
    worker = device(tmp_path, arena=10)
    assert worker.running is None
    assert "a kept artefact is not used" in caplog.text
    with pytest.raises(TinyfleetError, match="no model"):
        worker.predict(X)


def test_a_full_disk_stops_neither_learning_nor_the_old_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    worker = device(tmp_path)
    worker.deploy(model())

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("edge.learnt.replace_file", full)
    monkeypatch.setattr(edge.store, "replace_file", full)
    assert np.abs(worker.train(model(), PLANS[0]).delta).max() > 0
    assert "A restart will lose it" in caplog.text
    learnt = worker.predict(X).tobytes()
    with pytest.raises(TinyfleetError, match="cannot be kept"):
        worker.deploy(model(2))
    assert worker.running == sha(model())
    assert worker.predict(X).tobytes() == learnt


def test_steps_are_written_as_often_as_asked(tmp_path: Path) -> None:
    worker = device(tmp_path / "each", keep_every=0)
    worker.train(model(), PLANS[0])
    assert LearntFiles(tmp_path / "each").number == PLANS[0].samples + 1
    worker = device(tmp_path / "end", keep_every=3600)
    worker.train(model(), PLANS[0])
    assert LearntFiles(tmp_path / "end").number == 1
    for wrong in (-1.0, float("nan")):
        with pytest.raises(UsageError):
            device(tmp_path, keep_every=wrong)
