import sys
import threading
import time
from pathlib import Path

import pytest

from edge.broker import LocalBroker, find_mosquitto, has_amqtt
from edge.messages import Command
from edge.session import DeviceSession
from edge.sockets import free_port
from edge.topics import SiteTopics
from server.cli.progress import say_waiting
from server.journal import Journal
from server.rounds import Coordinator, Settings
from server.strategies import get_strategy
from server.transports.loopback import SensorWorker
from server.transports.mqtt import MqttTransport

sys.path.insert(0, str(Path(__file__).parent))
from fleet import LineSensor, LoopbackTransport, a_fleet, a_model

SITE = SiteTopics("lab")
NAMES = ["d0", "d1", "d2"]
STRATEGY = get_strategy("reptile", cohort_size=3, samples=4, epochs=2, rate=0.05)
pytestmark = pytest.mark.skipif(not (find_mosquitto() or has_amqtt()), reason="no broker here")


class Agent(SensorWorker):
    """A worker for a real session that trains, runs `before` first, and describes itself."""

    running, waiting = None, False

    def __init__(self, seed, before=None):
        super().__init__(LineSensor(seed))
        self.before = before

    def train(self, artefact, plan):
        if self.before is not None:
            self.before()
        return super().train(artefact, plan)

    def check(self):
        return True

    def description(self, topics):
        return {"title": topics.device}

    def evaluate(self, samples):
        return {"loss": 0.5, "samples": samples}

    def stop(self):
        pass

    def close(self):
        pass


@pytest.fixture(scope="module")
def broker():
    with LocalBroker() as broker:
        yield broker


def start(broker, **before):
    return {
        name: DeviceSession(
            broker.options, SITE.device(name), Agent(100 + i, before.get(name))
        ).start()
        for i, name in enumerate(NAMES)
    }


def run(transport, journal, rounds, run="r", **options):
    settings = Settings(rounds=rounds, deadline=10, **options)
    return Coordinator(
        transport, journal, STRATEGY, settings, run=run, base=a_model(), cohort=NAMES
    )


def test_waiting_says_who_is_there_whenever_that_changes(broker, capsys):
    with MqttTransport(broker.options, SITE) as transport:
        sessions = []

        def heard(needed, there):
            say(needed, there)
            if not there:
                sessions.append(DeviceSession(broker.options, SITE.device("d0"), Agent(1)).start())

        say = say_waiting()
        assert transport.wait_for(2, 3.0, heard) == ["d0"]
        sessions[0].stop()
    assert capsys.readouterr().err == (
        "waiting for 2 devices, 0 online\nwaiting for 2 devices, 1 online\n"
    )


def test_rounds_over_mqtt_give_the_bits_of_the_loopback(broker):
    sessions = start(broker)
    described = {}
    with MqttTransport(broker.options, SITE, on_describe=described.__setitem__) as transport:
        assert transport.wait_for(3, 10) == NAMES
        with Journal(":memory:") as journal:
            over_mqtt = run(transport, journal, 3).run()
        assert sorted(described) == NAMES
        ack = transport.command("d1", Command("evaluate", "c1", samples=7), 10)
        assert ack.ok and ack.result["samples"] == 7
    for session in sessions.values():
        session.stop()
    loop = run(LoopbackTransport(a_fleet(3)), Journal(":memory:"), 3).run()
    assert over_mqtt.artifact.data == loop.artifact.data


def test_a_device_killed_in_a_round_is_gone_and_the_others_finish(broker):
    sessions, killed = {}, threading.Event()

    def die():
        if not killed.is_set():
            killed.set()
            sessions["d1"].kill()

    sessions.update(start(broker, d1=die))
    reports = []
    with MqttTransport(broker.options, SITE) as transport, Journal(":memory:") as journal:
        transport.wait_for(3, 10)
        result = run(transport, journal, 2, run="k").run(reports.append)
        assert result.status == "done" and killed.is_set()
        assert [len(report.accepted) for report in reports] == [2, 2]
        assert reports[1].cohort == ("d0", "d2")
        assert transport.presence()["d1"] is False
    for name in ("d0", "d2"):
        sessions[name].stop()


def test_close_clears_what_was_retained_but_held_models(broker):
    sessions = start(broker)
    with MqttTransport(broker.options, SITE) as transport, Journal(":memory:") as journal:
        transport.wait_for(3, 10)
        final = run(transport, journal, 2, run="c").run().artifact
        transport.hold_model(final.sha256, final.data)
    for session in sessions.values():
        session.stop()
    retained, heard = {}, threading.Event()
    with MqttTransport(broker.options, SITE) as transport:
        client = transport._client
        client.on_message = lambda c, d, m: retained.__setitem__(m.topic, m.payload)
        client.on_subscribe = lambda *_: heard.set()
        client.subscribe(f"{SITE.root}/models/+")
        client.subscribe(SITE.offers)
        assert heard.wait(10)
        time.sleep(0.3)
    assert {t for t in retained if "/models/" in t or "/rounds/" in t} == {SITE.model(final.sha256)}


def test_a_broker_that_restarts_between_rounds_and_forgets_everything_stops_nothing():
    with LocalBroker(port=free_port()) as broker:
        sessions = start(broker)

        def restart(report):
            if report.round == 1:
                broker.stop()
                broker.start()

        with MqttTransport(broker.options, SITE) as transport, Journal(":memory:") as journal:
            transport.wait_for(3, 10)
            result = run(transport, journal, 3, run="b", grace=8).run(restart)
            assert [len(journal.contributions("b", n)) for n in (1, 2, 3)] == [3, 3, 3]
        for session in sessions.values():
            session.stop()
    assert result.status == "done"


def test_devices_that_come_late_or_come_back_take_part_from_then_on(broker):
    site = SiteTopics("churn")

    def session(name):
        return DeviceSession(broker.options, site.device(name), Agent(int(name[1]))).start()

    sessions = {name: session(name) for name in ("d0", "d1")}

    def churn(report):
        if report.round == 1:
            sessions["d2"] = session("d2")
            sessions["d1"].kill()
            assert transport.wait_for(2, 10) and wait(transport, {"d0", "d2"})
        if report.round == 2:
            sessions["d1"] = session("d1")
            assert wait(transport, {"d0", "d1", "d2"})

    reports = []
    with MqttTransport(broker.options, site) as transport, Journal(":memory:") as journal:
        transport.wait_for(2, 10)
        coordinator = Coordinator(
            transport, journal, STRATEGY, Settings(rounds=3, deadline=10), run="x",
            base=a_model(), cohort=lambda: online(transport),
        )  # fmt: skip
        coordinator.run(lambda report: (reports.append(report), churn(report)))
    for one in sessions.values():
        one.stop()
    assert [r.cohort for r in reports] == [("d0", "d1"), ("d0", "d2"), ("d0", "d1", "d2")]
    assert [len(report.accepted) for report in reports] == [2, 2, 3]


def online(transport):
    return [name for name, there in transport.presence().items() if there]


def wait(transport, names, seconds=10.0):
    end = time.monotonic() + seconds
    while set(online(transport)) != names and time.monotonic() < end:
        time.sleep(0.02)
    return set(online(transport)) == names
