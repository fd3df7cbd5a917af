import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from edge import mqtt
from edge.broker import Kind, LocalBroker, find_mosquitto, has_amqtt
from edge.compression import Compressor
from edge.errors import DoesNotFit
from edge.messages import Command, Plan, Update, decode_update
from edge.profile import LINUX
from edge.rivals import Rivals
from edge.session import DeviceSession
from edge.topics import DeviceTopics
from edge.worker import Outcome, TrainResult
from tests.edge.hub import PLAN, SITE, Hub

KINDS = [
    pytest.param("mosquitto", marks=pytest.mark.skipif(find_mosquitto() is None, reason="none")),
    pytest.param("amqtt", marks=pytest.mark.skipif(not has_amqtt(), reason="none")),
]
DIGEST = "ab" * 32


class Puppet:
    """A worker that records what it is asked, and waits or fails when told to."""

    def __init__(self) -> None:
        self.running: str | None = None
        self.trained: list[bytes] = []
        self.error: Exception | None = None
        self.go = threading.Event()
        self.go.set()
        self.began = threading.Semaphore(0)
        self.delta = np.array([0.5, -1.0, 0.25, 2.0], np.float32)
        self.closed = self.stopped = False
        self.present = True

    def check(self) -> bool:
        return self.present

    waiting = False

    def stop(self) -> None:
        self.stopped = True

    def description(self, topics: DeviceTopics) -> dict[str, Any]:
        return LINUX.thing_description(
            topics.device, site=topics.site, arena=1, slot=2, running=self.running
        )

    def train(self, artefact: bytes, plan: Plan) -> TrainResult:
        self.trained.append(artefact)
        self.began.release()
        assert self.go.wait(20)
        if self.error is not None:
            raise self.error
        return TrainResult(self.delta, plan.samples, 3.0, 2.0, 1.0, {"instructions": 7.0})

    def deploy(self, artefact: bytes) -> Outcome:
        if self.error is not None:
            raise self.error
        self.running = hashlib.sha256(artefact).hexdigest()
        return {"bytes": len(artefact)}

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        return x * np.float32(2)

    def evaluate(self, samples: int) -> Outcome:
        return {"samples": samples, "loss": 0.5}

    def rollback(self) -> Outcome:
        raise ZeroDivisionError("nothing before")

    def close(self) -> None:
        self.closed = True


@pytest.fixture(scope="module", params=KINDS)
def broker(request: pytest.FixtureRequest) -> Iterator[LocalBroker]:
    kind: Kind = request.param
    with LocalBroker(kind=kind) as running:
        yield running


class Stage:
    """A hub, and a device d1 with a puppet."""

    def __init__(self, broker: LocalBroker, stack: ExitStack) -> None:
        self.broker = broker
        self.hub = Hub(broker.options)
        stack.callback(self.hub.close)
        stack.callback(self.hub.close_round)
        self.hub.close_round()
        self.puppet = Puppet()
        self.session = DeviceSession(
            broker.options, DeviceTopics(SITE.site, "d1"), self.puppet, fetch_timeout=2.0
        )
        self.hub.heard.clear()
        self.session.start()
        stack.callback(self.session.stop)
        stack.callback(self.puppet.go.set)
        self.hub.state("online")


@pytest.fixture
def stage(broker: LocalBroker) -> Iterator[Stage]:
    with ExitStack() as stack:
        yield Stage(broker, stack)


def test_a_device_describes_itself_before_it_is_online(stage: Stage) -> None:
    kinds = [leaf for who, leaf, _, retained in stage.hub.heard if who == "d1" and not retained]
    assert kinds[:2] == ["describe", "state"]
    td = json.loads(stage.hub.payloads("describe")[-1])
    assert td["id"] == "urn:tinyfleet:lab:d1"


def test_an_offer_is_answered_with_what_was_learnt(stage: Stage) -> None:
    base = stage.hub.publish_model(b"the model")
    offer = stage.hub.offer(base)
    update = stage.hub.update()
    assert stage.puppet.trained == [b"the model"]
    assert update.dense(4).tolist() == stage.puppet.delta.tolist()
    assert (update.device, update.run, update.round) == ("d1", "r1", 1)
    assert (update.base, update.id, update.samples) == (base, offer.id, 4)
    assert (update.loss_first, update.loss_mean, update.loss_last) == (3.0, 2.0, 1.0)
    assert update.meters["instructions"] == 7.0
    assert update.meters["seconds"] >= 0


def test_a_repeated_offer_gets_the_same_bytes_without_training_again(stage: Stage) -> None:
    base = stage.hub.publish_model(b"the model")
    for n in (1, 2, 3):
        stage.hub.offer(base)
        answers = stage.hub.answers(n)
    assert len(set(answers)) == 1
    assert len(stage.puppet.trained) == 1


def test_a_resumed_coordinator_gets_the_same_delta_under_its_new_id(stage: Stage) -> None:
    base = stage.hub.publish_model(b"the model")
    stage.hub.offer(base, id="before")
    first = stage.hub.update()
    stage.hub.offer(base, id="after")
    second = stage.hub.update(2)
    assert (first.id, second.id) == ("before", "after")
    assert second.delta.tobytes() == first.delta.tobytes()
    assert len(stage.puppet.trained) == 1


def test_a_device_that_is_asked_again_trains_again_each_turn_once(stage: Stage) -> None:
    base = stage.hub.publish_model(b"the model")
    first = stage.hub.offer(base)
    stage.hub.update()
    second = replace(first, id="o1/1", turn=1)
    for n in (2, 3):
        stage.hub.client.publish(stage.session.topics.offer, second.encode(), qos=1)
        assert stage.hub.update(n).id == "o1/1"
    assert len(stage.puppet.trained) == 2
    stage.hub.offer(base)  # the round itself again, as after a reconnect
    assert stage.hub.update(4).id == "o1"
    stage.hub.offer(base, 2)
    assert stage.hub.update(5).round == 2
    stage.hub.client.publish(stage.session.topics.offer, second.encode(), qos=1)
    for_others = replace(first, round=3, cohort=("d2",), id="o3/1", turn=1)
    stage.hub.client.publish(stage.session.topics.offer, for_others.encode(), qos=1)
    stage.hub.offer(base, 4)
    assert stage.hub.wait(lambda: 4 in rounds_of(stage.hub) or None)
    assert 3 not in rounds_of(stage.hub) and len(stage.puppet.trained) == 4


def test_an_asynchronous_answer_leaves_though_its_round_is_over(stage: Stage) -> None:
    base = stage.hub.publish_model(b"the model")
    late = replace(PLAN, max_staleness=2)
    stage.puppet.go.clear()
    stage.hub.offer(base, 1, plan=late)
    assert stage.puppet.began.acquire(timeout=10)
    stage.hub.close_round()
    stage.hub.offer(base, 2, plan=late)
    stage.hub.offer(base, 3, plan=late)
    wait_until(lambda: "r1" in (found := stage.session._book._open) and found["r1"].round == 3)
    stage.puppet.go.set()
    assert [decode_update(data).round for data in stage.hub.answers(2)] == [1, 3]


def test_an_offer_repeated_during_training_is_answered_once(stage: Stage) -> None:
    base = stage.hub.publish_model(b"the model")
    stage.puppet.go.clear()
    for _ in range(3):
        stage.hub.offer(base)
    assert stage.puppet.began.acquire(timeout=10)
    stage.puppet.go.set()
    stage.hub.update()
    stage.hub.offer(base, 2)
    stage.hub.wait(lambda: 2 in rounds_of(stage.hub) or None)
    assert len(stage.puppet.trained) == 2
    assert len(set(stage.hub.payloads("update"))) == 2


def rounds_of(hub: Hub) -> list[int]:
    return [decode_update(data).round for data in hub.payloads("update")]


def test_others_offers_and_wrong_topics_are_ignored(stage: Stage) -> None:
    base = stage.hub.publish_model(b"the model")
    stage.hub.offer(base, 1, cohort=("d2", "d3"))
    stray = stage.hub.offer(base, 2, run="other", cohort=("d1",))
    stage.hub.close_round("other")
    stage.hub.client.publish(SITE.offer("r9"), stray.encode(), qos=1)
    stage.hub.offer(base, 3)

    def third() -> Update | None:
        found = [decode_update(data) for data in stage.hub.payloads("update")]
        last = [update for update in found if update.round == 3]
        return last[0] if last and isinstance(last[0], Update) else None

    assert stage.hub.wait(third).run == "r1"
    answered = {(u.run, u.round) for u in map(decode_update, stage.hub.payloads("update"))}
    assert ("r9", 2) not in answered
    assert ("r1", 1) not in answered


def test_a_newer_round_supersedes_an_unfinished_one(stage: Stage) -> None:
    base = stage.hub.publish_model(b"the model")
    stage.puppet.go.clear()
    stage.hub.offer(base, 1)
    assert stage.puppet.began.acquire(timeout=10)
    stage.hub.offer(base, 2)
    ack = threading.Thread(target=lambda: stage.puppet.go.set())
    stage.hub.client.publish(SITE.offer("none"), b"", qos=1).wait_for_publish(10)
    wait_until(lambda: stage.session._book._open["r1"].round == 2)
    ack.start()
    stage.hub.update()
    ack.join()
    stage.hub.offer(base, 1)
    stage.hub.offer(base, 3)
    assert [decode_update(data).round for data in stage.hub.answers(2)] == [2, 3]


def wait_until(ready: Any) -> None:
    for _ in range(1000):
        if ready():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it did not happen")


def test_a_round_that_is_taken_back_is_not_answered(stage: Stage) -> None:
    base = stage.hub.publish_model(b"the model")
    stage.puppet.go.clear()
    stage.hub.offer(base, 1)
    assert stage.puppet.began.acquire(timeout=10)
    stage.hub.close_round()
    wait_until(lambda: not stage.session._book._open)
    stage.puppet.go.set()
    stage.hub.offer(base, 2)
    assert stage.hub.update().round == 2


def test_a_missing_or_damaged_artefact_is_declined_and_the_device_goes_on(stage: Stage) -> None:
    good = b"the whole model"
    sha = hashlib.sha256(good).hexdigest()
    stage.hub.publish_model(good[:7], sha)
    stage.hub.offer(sha, 1)
    decline = stage.hub.decline()
    assert "damaged" in decline.reason
    assert (decline.run, decline.round, decline.base, decline.id) == ("r1", 1, sha, "o1")
    stage.hub.offer("cd" * 32, 2)
    assert "did not come" in stage.hub.decline(2).reason
    assert stage.puppet.trained == []
    stage.hub.publish_model(good)
    stage.hub.offer(sha, 3)
    assert stage.hub.update(3).round == 3


def test_a_declined_round_can_be_offered_again(stage: Stage) -> None:
    sha = hashlib.sha256(b"model 2").hexdigest()
    stage.hub.publish_model(b"mod", sha)
    stage.hub.offer(sha)
    stage.hub.decline()
    stage.hub.publish_model(b"model 2")
    stage.hub.offer(sha)
    assert stage.hub.update(2).round == 1


@pytest.mark.parametrize(
    ("error", "reason", "figures"),
    [
        (DoesNotFit("the arena is short.", needed=900, available=100), "arena", (900, 100)),
        (ZeroDivisionError("oops"), "ZeroDivisionError: oops", (0, 0)),
    ],
)
def test_what_a_worker_raises_is_declined(
    stage: Stage, error: Exception, reason: str, figures: tuple[int, int]
) -> None:
    base = stage.hub.publish_model(b"the model")
    stage.puppet.error = error
    stage.hub.offer(base)
    decline = stage.hub.decline()
    assert reason in decline.reason
    assert (decline.needed, decline.available) == figures
    ack = stage.hub.ask(Command("deploy", "c-fit", base=base))
    assert not ack.ok
    assert (ack.result.get("needed", 0), ack.result.get("available", 0)) == figures
    stage.puppet.error = None
    stage.hub.offer(base, 2)
    stage.hub.update(2)


@pytest.mark.parametrize(
    "plan",
    [
        Plan("s", float("nan"), 4),
        Plan("s", 0.1, 0),
        Plan("s", 0.1, 4, epochs=0),
        Plan("s", 0.1, 4, top_p=0.0),
        Plan("s", 0.1, 4, top_p=1.5),
        Plan("s", 0.1, 4, momentum=1.0),
        Plan("s", 0.1, 4, clip=float("nan")),
    ],
)
def test_a_senseless_plan_is_declined(stage: Stage, plan: Plan) -> None:
    stage.hub.offer(stage.hub.publish_model(b"the model"), plan=plan)
    assert stage.hub.decline().reason
    assert stage.puppet.trained == []


def test_weights_that_are_not_finite_do_not_leave_the_device(stage: Stage) -> None:
    stage.puppet.delta[2] = np.nan
    stage.hub.offer(stage.hub.publish_model(b"the model"))
    assert "finite" in stage.hub.decline().reason


def test_a_sparse_update_sends_the_rest_later(stage: Stage) -> None:
    base = stage.hub.publish_model(b"the model")
    half = Plan("s", 0.1, 4, top_p=0.5)
    stage.hub.offer(base, 1, plan=half)
    first = stage.hub.update(1)
    stage.hub.offer(base, 2, plan=half)
    second = stage.hub.update(2)
    assert first.indices is not None
    assert first.indices.tolist() == [1, 3]
    assert first.dense(4).tolist() == [0.0, -1.0, 0.0, 2.0]
    assert second.dense(4).tolist() == [1.0, 0.0, 0.0, 2.0]


def test_commands_are_done_once_and_answered_again(stage: Stage) -> None:
    base = stage.hub.publish_model(b"the model")
    ack = stage.hub.ask(Command("deploy", "c1", base=base))
    assert ack.ok
    assert ack.result == {"bytes": 9}
    assert stage.hub.state("online").running == base
    td = json.loads(stage.hub.payloads("describe")[-1])
    assert td["tf:running"]["@id"] == f"urn:sha256:{base}"
    stage.puppet.running = None
    stage.hub.ask(Command("deploy", "c1", base=base))
    stage.hub.wait(lambda: len(stage.hub.payloads("ack")) >= 2 or None)
    assert stage.puppet.running is None
    assert len(set(stage.hub.payloads("ack"))) == 1


def test_predict_evaluate_and_a_crash(stage: Stage) -> None:
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    ack = stage.hub.ask(Command("predict", "p1", x=x))
    assert ack.ok
    assert ack.y is not None
    assert ack.y.tolist() == (2 * x).tolist()
    assert not stage.hub.ask(Command("predict", "p2")).ok
    crash = stage.hub.ask(Command("rollback", "b1"))
    assert not crash.ok
    assert "nothing before" in crash.reason
    ack = stage.hub.ask(Command("evaluate", "e1", samples=5))
    assert ack.result == {"samples": 5, "loss": 0.5}
    assert not stage.hub.ask(Command("deploy", "d0")).ok


def test_junk_on_every_topic_is_survived(stage: Stage) -> None:
    for topic in (
        stage.session.topics.cmd,
        stage.session.topics.offer,
        SITE.offer("r1"),
        SITE.offer("r2"),
    ):
        for junk in (b"\xff", b"{}", b"\xa0", bytes(300)):
            stage.hub.client.publish(topic, junk, qos=1)
    assert stage.hub.ask(Command("evaluate", "alive", samples=1)).ok


def test_a_device_that_vanishes_is_marked_offline_for_late_listeners(stage: Stage) -> None:
    stage.session.kill()
    stage.hub.state("offline")
    late = Hub(stage.broker.options)
    assert late.state("offline").device == "d1"
    assert [retained for who, leaf, _, retained in late.heard if leaf == "state"] == [True]
    late.close()


def test_a_device_that_comes_back_pulls_the_open_round(stage: Stage) -> None:
    stage.session.kill()
    stage.hub.state("offline")
    stage.hub.offer(stage.hub.publish_model(b"the model"))
    again = Puppet()
    with DeviceSession(stage.broker.options, stage.session.topics, again):
        assert stage.hub.update().round == 1
    assert again.closed
    stage.hub.state("offline")


def test_a_lost_connection_is_made_again(stage: Stage) -> None:
    base = stage.hub.publish_model(b"the model")
    stage.hub.offer(base)
    stage.hub.update()
    sock = stage.session.client.socket()
    assert sock is not None
    sock.shutdown(2)
    answers = stage.hub.answers(2)
    assert answers[0] == answers[1]
    assert len(stage.puppet.trained) == 1
    stage.hub.state("online")


def test_two_devices_of_one_name_are_told(
    broker: LocalBroker, caplog: pytest.LogCaptureFixture
) -> None:
    if broker.kind == "amqtt":
        pytest.skip("it lets both stay")
    topics = DeviceTopics(SITE.site, "d8")
    with (
        DeviceSession(broker.options, topics, Puppet()),
        DeviceSession(broker.options, topics, Puppet()),
    ):
        wait_until(lambda: "another client is called lab.d8 there" in caplog.text)


def test_who_is_thrown_out_soon_and_again_has_a_rival(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("edge.rivals.time.monotonic", lambda: now)
    rivals, told = Rivals(), []
    for lasted in (100, 1, 100, 1, 1, 1, 70, 1, 1):
        rivals.connected()
        now += lasted
        told.append(rivals.lost(7))
    assert told == [False, False, False, False, True, False, False, False, True]
    rivals.connected()
    now += 100
    assert rivals.lost(142)


def test_a_board_that_went_silent_is_offline_until_it_is_back(broker: LocalBroker) -> None:
    hub, puppet = Hub(broker.options), Puppet()
    topics = DeviceTopics(SITE.site, "d7")
    with DeviceSession(broker.options, topics, puppet, check_every=0.05):
        hub.state("online", "d7")
        puppet.present = False
        hub.state("offline", "d7")
        puppet.present = True
        hub.state("online", "d7")
    hub.close()


def test_a_session_before_start_has_no_client() -> None:
    session = DeviceSession(mqtt.BrokerOptions(), DeviceTopics("lab", "d1"), Puppet())
    with pytest.raises(RuntimeError):
        _ = session.client
    session.stop()


deltas = arrays.arrays(np.float32, 12, elements=st.integers(-50, 50).map(float))


@given(st.lists(deltas, min_size=1, max_size=8), st.floats(0.01, 1.0))
def test_nothing_is_lost_by_sparse_updates(rounds: list[NDArray[np.float32]], share: float) -> None:
    top, total = Compressor(), np.zeros(12, np.float32)
    for delta in rounds:
        found = top.compress(delta, share)
        if found.indices is not None:
            assert len(found.indices) == int(np.ceil(share * 12))
            assert bool((np.diff(found.indices.astype(int)) > 0).all())
        total += found.dense(12)
    last = top.compress(np.zeros(12, np.float32), 1.0).dense(12)
    assert (total + last).tolist() == sum(rounds, np.zeros(12, np.float32)).tolist()


def test_a_device_that_stops_as_soon_as_it_started_stays_offline(broker: LocalBroker) -> None:
    names = [f"brief{number}" for number in range(8)]
    for name in names:
        DeviceSession(broker.options, SITE.device(name), Puppet()).start().stop()
    late = Hub(broker.options)
    try:
        for name in names:
            assert late.state("offline", name).running is None
    finally:
        late.close()
