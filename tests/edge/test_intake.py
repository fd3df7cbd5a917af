"""What a device does with samples that its model cannot take, wherever they come from."""

import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.answers import ack_of
from edge.errors import TinyfleetError
from edge.faults import IN_A_ROW, Faults, SourceError
from edge.host import HostWorker
from edge.intake import Intake
from edge.lines import JsonLines
from edge.messages import Command, Plan
from edge.needs import Needs
from edge.sources import Replay
from edge.spec import ModelSpec
from server.transports.loopback import SensorWorker
from tests.edge.models import model, samples
from tests.edge.test_iio import sensor_of

X, Y = samples(12)
GOOD = [json.dumps({"x": x.tolist(), "y": int(y)}) for x, y in zip(X, Y, strict=True)]
SIX = "[1, 2, 3, 4, 5, 6]"
BAD = {
    '{"x": [1, 2, 3, 4, 5], "y": 0}': "it has 5 inputs, the model takes 6",
    f'{{"x": {SIX[:-1]}, 7], "y": 0}}': "it has 7 inputs, the model takes 6",
    '{"x": [1, 2, null, 4, 5, 6], "y": 0}': "x[2] is nan",
    '{"x": [NaN, 2, 3, 4, 5, 6], "y": 0}': "x[0] is nan",
    '{"x": [1, 2, 3, 4, 5, 1e400], "y": 0}': "x[5] is inf",
    '{"x": [1, 2, 3, 4, 5, -1e39], "y": 0}': "x[5] is -inf",
    '{"x": [3.4e38, 2, 3, 4, 5, 6], "y": 0}': "x[0] is 3.4e+38",
    f'{{"x": {SIX}, "y": 3}}': "its class is 3, those of the model are 0 to 2",
    f'{{"x": {SIX}, "y": -1}}': "its class is -1",
    f'{{"x": {SIX}, "y": 0.5}}': "its class is 0.5",
    f'{{"x": {SIX}, "y": 1e400}}': "y[0] is inf",
    f'{{"x": {SIX}, "y": [0, 0.9, 0.1]}}': "it has 3 targets, the model takes the index of a class",
    f'{{"x": {SIX}, "y": [0, 0, 0]}}': "it has 3 targets, the model takes the index of a class",
    f'{{"x": {SIX}, "y": [1, 0, 1]}}': "it has 3 targets, the model takes the index of a class",
    f'{{"x": {SIX}, "y": [1, 0]}}': "it has 2 targets, the model takes the index of a class",
    f'{{"x": {SIX}, "y": [1, null]}}': "some values of y are unknown",
}


def on_stdin(*texts: str | bytes) -> JsonLines:
    return JsonLines(io.BytesIO(b"\n".join(t.encode() if isinstance(t, str) else t for t in texts)))


@pytest.mark.parametrize("bad", list(BAD))
def test_a_bad_sample_costs_nothing_but_itself(bad: str, caplog: pytest.LogCaptureFixture) -> None:
    plan = Plan("s", 0.1, 4, epochs=3)
    worker, clean = HostWorker(on_stdin(*GOOD[:2], bad, *GOOD[2:])), HostWorker(on_stdin(*GOOD))
    for _ in range(3):
        theirs = worker.train(model(), plan)
        ours = clean.train(model(), plan)
        assert theirs.delta.tobytes() == ours.delta.tobytes()
        assert theirs.samples == ours.samples == 12
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(said) == 1
    assert said[0].startswith(f"passed over line 3: {BAD[bad]}")


@pytest.mark.parametrize("bad", list(BAD))
def test_a_stream_of_nothing_else_is_declined_with_the_last_fault(bad: str) -> None:
    worker = HostWorker(on_stdin(*[bad] * IN_A_ROW, *GOOD))
    with pytest.raises(SourceError, match="10 samples in a row") as caught:
        worker.train(model(), Plan("s", 0.1, 4))
    assert f"line 10: {BAD[bad]}" in caught.value.message
    for _ in range(IN_A_ROW if "inputs" in BAD[bad] else 0):
        with pytest.raises(TinyfleetError, match="inputs a sample, this model takes 6"):
            worker.train(model(), Plan("s", 0.1, 4))
    assert worker.train(model(), Plan("s", 0.1, 4)).samples == 4


class Own:
    """A sensor of a user's own."""

    def __init__(self, *given: Any) -> None:
        self.given, self.at = given, 0

    def next_sample(self) -> Any:
        self.at += 1
        return self.given[(self.at - 1) % len(self.given)]

    def rewind(self) -> None:
        self.at = 0


@pytest.mark.parametrize(
    "bad",
    [
        None, (), 7, "ab", (X[0],), (X[0], Y[0], 1), ({}, 0), (["a"], 0), (X[0, :5], 0),
        (X[0] * np.nan, 0), ([1e300] * 6, 0), (X[0], 3), (X[0], []), ([10**400] * 6, 0),
    ],
)  # fmt: skip
def test_sensors_of_ones_own(bad: Any, caplog: pytest.LogCaptureFixture) -> None:
    good = [(x.tolist(), int(y)) for x, y in zip(X[:3], Y[:3], strict=True)]
    worker = HostWorker(Own(good[0], bad, *good[1:]))
    expected = HostWorker(Replay(X[:3], Y[:3])).train(model(), Plan("s", 0.1, 3, epochs=2))
    found = worker.train(model(), Plan("s", 0.1, 3, epochs=2))
    assert found.delta.tobytes() == expected.delta.tobytes()
    assert "passed over sample 2: it" in caplog.text or "sample 2: x[0] is" in caplog.text
    with pytest.raises(SourceError, match="in a row"):
        HostWorker(Own(bad)).train(model(), Plan("s", 0.1, 3))


def test_shapes_and_unknown_targets_of_ones_own_sensor_are_taken() -> None:
    worker = HostWorker(Own((X[0].reshape(2, 3, 1), [np.nan, np.nan]), (X[1].tolist(), Y[1])))
    assert worker.train(model(), Plan("s", 0.1, 4)).meters == {"unlabelled": 2.0}


def test_stored_samples_of_a_class_that_the_model_lacks(caplog: pytest.LogCaptureFixture) -> None:
    y = np.where(np.arange(12) == 4, 9, Y)
    kept = np.arange(12) != 4
    worker, clean = HostWorker(Replay(X, y)), HostWorker(Replay(X[kept], Y[kept]))
    for _ in range(4):
        plan = Plan("s", 0.1, 11, epochs=2)
        assert worker.train(model(), plan).delta.tobytes() == (
            clean.train(model(), plan).delta.tobytes()
        )
    assert caplog.text.count("sample 5: its class is 9") == 1
    assert worker.evaluate(11)["samples"] == 11


class Spied(Replay):
    """Notes which samples it gives."""

    def __init__(self, size: int) -> None:
        super().__init__(np.arange(size)[:, None], np.zeros(size))
        self.given: list[int] = []

    def next_sample(self) -> tuple[Any, Any]:
        x, y = super().next_sample()
        self.given.append(int(x[0]))
        return x, y


@pytest.mark.parametrize("told", [True, False], ids=["told where passes begin", "not told"])
def test_every_round_with_epochs_goes_on_through_a_file(told: bool) -> None:
    source, rounds = Spied(6), []
    intake, needs = Intake(source), Needs(1, 1, classes=False)
    for _ in range(4):
        source.given.clear()
        if told:
            list(intake.passes(needs, 4, 3))
        else:  # as over the sensor line of a board
            for epoch in range(3):
                if epoch:
                    source.rewind()
                for _ in range(4):
                    source.next_sample()
        rounds.append(source.given.copy())
    assert rounds == [[0, 1, 2, 3] * 3, [4, 5, 0, 1] * 3, [2, 3, 4, 5] * 3, [0, 1, 2, 3] * 3]


def test_a_second_epoch_over_a_file_has_no_samples_from_before_its_round() -> None:
    source, needs = Spied(9), Needs(1, 1, classes=False)
    intake = Intake(source)
    for _ in range(2):
        intake.take(needs)
    broken_off = intake.passes(needs, 3, 2)
    for _ in range(4):
        next(broken_off)
    assert source.given == [0, 1, 2, 3, 4, 2]
    source.given.clear()
    list(intake.passes(needs, 2, 2))
    intake.take(needs)
    assert source.given == [5, 6, 5, 6, 7]


def test_a_pass_may_be_longer_than_the_file_and_hold_bad_samples() -> None:
    source = Replay([[0], [1], [np.nan], [3]], np.zeros(4))
    found = [int(x[0]) for x, _ in Intake(source).passes(Needs(1, 1, classes=False), 5, 2)]
    assert found == [0, 1, 3, 0, 1] * 2


def test_one_hot_targets_of_a_classifier_are_learnt_as_classes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    plan, hot = Plan("s", 0.1, 6, epochs=2), np.eye(3, dtype=np.float32)[Y]
    stream = on_stdin(
        *(json.dumps({"x": x.tolist(), "y": y.tolist()}) for x, y in zip(X, hot, strict=True))
    )
    clean = HostWorker(Replay(X, Y))
    expected = [clean.train(model(), plan).delta.tobytes() for _ in range(2)]
    for sensor in (Replay(X, hot), stream):
        worker = HostWorker(sensor)
        assert [worker.train(model(), plan).delta.tobytes() for _ in range(2)] == expected
    worker, clean = HostWorker(Replay(X, hot)), HostWorker(Replay(X, Y))
    for one in (worker, clean):
        one.deploy(model())
    assert worker.evaluate(12) == clean.evaluate(12)
    assert not caplog.records


def test_targets_that_are_no_classes_are_told_with_what_to_try() -> None:
    with pytest.raises(SourceError) as caught:
        HostWorker(Replay(X, np.full((12, 3), 0.5))).train(model(), Plan("s", 0.1, 4))
    assert "or 3 of which one is 1 and the others are 0" in caught.value.message
    assert caught.value.hint == "class indices; np.argmax(y, 1)"


def test_one_hot_values_of_a_regression_stay_values() -> None:
    _, y = Intake(Replay([[7]], [[0, 1]])).take(Needs(1, 2, classes=False))
    assert y.tolist() == [0, 1]
    one = Intake(Replay([[7]], [[1]])).take(Needs(1, 1, classes=True, targets=False))
    assert one[1].tolist() == [1]


def test_an_autoencoder_takes_any_target() -> None:
    needs = Needs(6, 6, classes=False, targets=False)
    assert not needs.fault(X[0], np.float32([])) and not needs.fault(X[0], np.float32([np.inf]))
    assert Needs(6, 6, classes=False).fault(X[0], np.float32([]))


def test_a_regression_takes_as_many_targets_as_it_has_outputs() -> None:
    needs = Needs(1, 2, classes=False)
    x = np.float32([1])
    assert not needs.fault(x, np.float32([1, -2.5]))
    assert not needs.fault(x, np.float32([np.nan]))
    assert "it has 1 targets, the model takes 2" in needs.fault(x, np.float32([1]))
    assert "y[1] is 1e+19" in needs.fault(x, np.float32([1, 1e19]))


def test_a_round_that_failed_leaves_nothing_to_the_next() -> None:
    lines = [*GOOD[:3], *["junk"] * IN_A_ROW, *GOOD[3:9]]
    worker, plan = HostWorker(on_stdin(*lines)), Plan("s", 0.1, 6, epochs=2)
    with pytest.raises(SourceError):
        worker.train(model(), plan)
    expected = HostWorker(Replay(X[3:9], Y[3:9])).train(model(), plan)
    assert worker.train(model(), plan).delta.tobytes() == expected.delta.tobytes()


def test_what_was_evaluated_is_not_learnt_in_a_second_epoch() -> None:
    worker, plan = HostWorker(on_stdin(*GOOD)), Plan("s", 0.1, 6, epochs=2)
    worker.deploy(model())
    worker.evaluate(6)
    expected = HostWorker(Replay(X[6:], Y[6:])).train(model(), plan)
    assert worker.train(model(), plan).delta.tobytes() == expected.delta.tobytes()


def wider() -> bytes:
    return model(spec=ModelSpec.mlp([8, 3], output="softmax"))


def deployed(worker: HostWorker, data: bytes) -> str:
    """Why a device refuses to run a model; empty: it does not."""
    return ack_of("d", worker, Command("deploy", "c", base="0" * 64), lambda sha: data).reason


def test_a_model_that_the_sensor_cannot_feed_is_refused(tmp_path: Any) -> None:
    device = sensor_of(tmp_path, {"in_temp_raw": "1", "in_pressure_raw": "2"})
    for sensor, width in ((Replay(X, Y), 6), (device, 2)):
        worker = HostWorker(sensor)
        reason = deployed(worker, wider())
        assert f"the sensor gives {width} inputs a sample, this model takes 8" in reason
        assert worker.running is None
    worker = HostWorker(Replay(X, Y))
    assert not deployed(worker, model())
    before = worker.running
    assert deployed(worker, wider()) and worker.running == before
    assert worker.train(model(), Plan("s", 0.1, 4)).samples == 4


def declined(worker: HostWorker | SensorWorker, data: bytes) -> str:
    """Why a device does not learn a round of a model."""
    with pytest.raises(TinyfleetError) as caught:
        worker.train(data, Plan("s", 0.1, 4))
    return caught.value.message


@pytest.mark.parametrize("kind", [HostWorker, SensorWorker])
def test_a_round_of_a_model_that_the_sensor_cannot_feed_costs_no_sample(
    kind: type[HostWorker | SensorWorker], caplog: pytest.LogCaptureFixture
) -> None:
    for sensor, known in ((Replay(X, Y), True), (on_stdin(*GOOD), False)):
        worker, clean, plan = kind(sensor), kind(Replay(X, Y)), Plan("s", 0.1, 4)
        for _ in range(3):
            assert not known or "gives 6 inputs a sample, this model takes 8" in declined(
                worker, wider()
            )
            mine, theirs = worker.train(model(), plan), clean.train(model(), plan)
            assert mine.delta.tobytes() == theirs.delta.tobytes()
            known = True
    assert not caplog.records


def test_a_round_that_is_declined_for_its_width_leaves_the_model_as_it_was() -> None:
    worker = HostWorker(Replay(X, Y))
    worker.deploy(model())
    worker.train(model(), Plan("s", 0.5, 12))
    before = worker.predict(X)
    declined(worker, wider())
    assert worker.predict(X).tobytes() == before.tobytes()


def test_a_stream_of_other_samples_is_looked_at_again_after_ten_rounds() -> None:
    eight = [json.dumps({"x": [n] * 8, "y": 0}) for n in range(4)]
    worker = HostWorker(on_stdin(*GOOD[:10], *eight))
    worker.train(model(), Plan("s", 0.1, 10))
    for _ in range(10):
        assert "gives 6 inputs" in declined(worker, wider())
    assert worker.train(wider(), Plan("s", 0.1, 4)).samples == 4


def test_a_stream_is_judged_by_what_came_lately() -> None:
    eight = [json.dumps({"x": [n] * 8, "y": 0}) for n in range(12)]
    worker = HostWorker(on_stdin(*GOOD[:4], eight[0], *GOOD[4:], *eight))
    assert not deployed(worker, wider()), "nothing came yet"
    worker.train(model(), Plan("s", 0.1, 4))
    assert "gives 6 inputs" in deployed(worker, wider())
    worker.train(model(), Plan("s", 0.1, 8))
    with pytest.raises(SourceError, match="8 inputs, the model takes 6"):
        worker.train(model(), Plan("s", 0.1, 4))
    assert not deployed(worker, wider())


def drained(source: JsonLines, needs: Needs) -> Iterator[tuple[list[float], list[float]]]:
    """Every sample that a learner of these needs gets, whatever else is in the source."""
    intake = Intake(source)
    while True:
        try:
            x, y = intake.take(needs)
        except SourceError:
            continue
        except TinyfleetError as error:
            assert "no more samples" in error.message
            return
        yield x.tolist(), y.tolist()


SHAPES = st.builds(Needs, st.integers(1, 4), st.integers(1, 4), st.booleans(), st.booleans())
JUNK = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([*(text.encode() for text in BAD), b"\xff", b'{"x":[1],"y":', b"[" * 9000]),
    st.builds(
        lambda x, y: json.dumps({"x": x, "y": y}).encode(),
        st.recursive(st.none() | st.floats() | st.text(max_size=3), st.lists, max_leaves=6),
        st.just("no target"),
    ),
).map(lambda line: line.replace(b"\n", b" "))


@given(SHAPES, st.lists(st.one_of(JUNK, st.integers(0, 9))))
def test_every_good_sample_arrives_in_order_among_any_bytes(
    needs: Needs, script: list[bytes | int]
) -> None:
    texts, good = [], []
    for number, part in enumerate(script):
        if isinstance(part, bytes):
            texts.append(part)
            continue
        x = [float(number)] * needs.n_in
        y = [float(part % needs.n_out)] if needs.classes else [float(part)] * needs.n_out
        good.append((x, y))
        if part % 2:
            texts.append(json.dumps({"x": x, "y": y}).encode())
        else:
            late = {"id": number, "y": y}
            texts += [json.dumps(line).encode() for line in ({"id": number, "x": x}, late)]
    assert list(drained(on_stdin(*texts), needs)) == good


def test_faults_are_told_once_and_ten_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    faults = Faults(lambda: now)
    for number in range(100):
        faults.good()
        faults.add(f"line {number}: wrong")
    assert len(caplog.records) == 10
    now = 61.0
    faults.tell("line 3: wrong")
    faults.add("line 100: wrong")
    faults.good()
    faults.add("line 100: wrong")
    said = [record.getMessage() for record in caplog.records[10:]]
    assert said == ["line 3: wrong (90 more were not told)", "passed over line 100: wrong"]
