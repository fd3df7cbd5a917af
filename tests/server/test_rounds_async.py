"""Rounds that do not wait for everybody: over-selection, and buffers that late updates fill."""

import dataclasses
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.artifact import Artifact
from edge.broker import LocalBroker, find_mosquitto, has_amqtt
from edge.errors import UsageError
from edge.session import DeviceSession
from edge.topics import SiteTopics
from server.journal import Journal
from server.rounds import Coordinator, Settings
from server.simulate import simulate
from server.strategies import Contribution, get_strategy
from server.tasks import get_task
from server.transports.mqtt import MqttTransport
from server.turns import Turns, offer_id

sys.path.insert(0, str(Path(__file__).parent))
from fleet import LoopbackTransport, a_fleet, a_model, replayed
from test_rounds_mqtt import Agent

NAMES = ["d0", "d1", "d2", "d3"]
BUFF = {"cohort_size": 4, "buffer": 2, "samples": 4, "rate": 0.05}


def coordinate(devices, strategy, journal=None, *, rounds=3, **options):
    return Coordinator(
        LoopbackTransport(devices),
        journal or Journal(":memory:"),
        strategy,
        Settings(rounds=rounds, **{"deadline": 30.0, **options}),
        run="r",
        base=a_model(),
        cohort=NAMES,
    )


def test_more_are_asked_and_the_first_count() -> None:
    strategy, reports = get_strategy("fedavg", cohort_size=2, samples=4), []
    coordinator = coordinate(a_fleet(), strategy, over_select=1.5)
    coordinator.run(reports.append)
    assert [len(report.cohort) for report in reports] == [3, 3, 3]
    assert [len(report.accepted) for report in reports] == [2, 2, 2]


def test_those_asked_beyond_need_make_up_for_the_silent() -> None:
    strategy, reports = get_strategy("fedavg", cohort_size=3, samples=4), []
    coordinator = coordinate(a_fleet(d1=silent), strategy, over_select=1.3, min_updates=3)
    coordinator.run(reports.append)
    assert [report.status for report in reports] == ["closed"] * 3
    assert all([row.device for row in report.accepted] == ["d0", "d2", "d3"] for report in reports)


@given(st.integers(1, 10**6), st.integers(0, 300))
def test_as_many_are_asked_as_a_person_reckons(size, percent) -> None:
    asked = Settings(rounds=1, over_select=float(f"{1 + percent / 100:.2f}")).asked(size)
    assert asked == -(-size * (100 + percent) // 100)


@pytest.mark.parametrize("value", [0.5, -1.0, float("nan"), float("inf")])
def test_fewer_cannot_be_asked(value) -> None:
    with pytest.raises(UsageError, match="over_select"):
        Settings(rounds=1, over_select=value)


@pytest.mark.parametrize("options", [{"deadline": 0.0}, {"deadline": -1.0}, {"min_updates": -1}])
def test_settings_with_which_no_round_could_end_are_refused(options) -> None:
    with pytest.raises(UsageError, match=next(iter(options))):
        Settings(rounds=1, **options)


class Late:
    """Answers each round one round later."""

    def __init__(self):
        self.kept = []

    def __call__(self, offer, update):
        sent, self.kept = self.kept, [update.encode()]
        return sent


def test_those_still_at_work_when_a_round_closes_count_less_in_a_later_one() -> None:
    journal = Journal(":memory:")
    coordinate(a_fleet(), get_strategy("fedbuff", **BUFF), journal).run()
    found = [[(c.device, c.staleness) for c in journal.contributions("r", n)] for n in (1, 2, 3)]
    assert found == [[("d0", 0), ("d1", 0)], [("d2", 1), ("d3", 1)], [("d0", 2), ("d1", 1)]]
    assert not journal.rejected("r")
    for row in journal.rounds("r"):
        updates = journal.contributions("r", row.round)
        before = Artifact(journal.artifact(row.base)).parameters().astype(np.float64)
        weighed = sum(c.delta.astype(np.float64) / np.sqrt(1 + c.staleness) for c in updates)
        after = Artifact(journal.artifact(row.result)).parameters()
        np.testing.assert_allclose(after, before + weighed / len(updates), rtol=0, atol=1e-6)


def test_the_same_fleet_in_this_process_gives_the_same_bits_though_it_is_asynchronous() -> None:
    one, two = (
        coordinate(a_fleet(), get_strategy("fedbuff", **BUFF), rounds=6).run() for _ in range(2)
    )
    assert one.artifact.data == two.artifact.data != a_model().data


def silent(offer, update):
    return []


def test_a_fast_device_is_asked_again_and_fills_a_buffer_alone() -> None:
    journal, reports = Journal(":memory:"), []
    fleet = a_fleet(d1=silent, d2=silent, d3=silent)
    strategy = get_strategy("fedbuff", **{**BUFF, "buffer": 6})
    began = time.monotonic()
    coordinate(fleet, strategy, journal, rounds=1, deadline=30, min_updates=5).run(reports.append)
    assert time.monotonic() - began < 10  # nobody waited for the silent
    assert reports[0].status == "closed" and fleet[0].trained == 6
    there = journal.contributions("r", 1)
    assert [(c.device, c.turn) for c in there] == [("d0", turn) for turn in range(6)]
    assert len({c.delta.tobytes() for c in there}) == 6  # new samples each time
    assert journal.contributors("r") == {"d0": (6, 24)}


def test_how_often_a_device_counts_in_a_round_can_be_limited() -> None:
    journal, reports = Journal(":memory:"), []
    fleet = a_fleet(d2=silent, d3=silent)
    strategy = get_strategy("fedbuff", **{**BUFF, "buffer": 6}, most_turns=2, robust="median")
    coordinate(fleet, strategy, journal, rounds=1, deadline=1.0).run(reports.append)
    there = [(c.device, c.turn) for c in journal.contributions("r", 1)]
    assert there == [("d0", 0), ("d0", 1), ("d1", 0), ("d1", 1)]
    assert fleet[0].trained == 2 and reports[0].status == "closed"  # by the deadline


def test_only_those_strategies_ask_again_that_say_so() -> None:
    fleet = a_fleet(d1=silent, d2=silent, d3=silent)
    strategy = get_strategy("fedavg", cohort_size=4, samples=4)
    coordinate(fleet, strategy, rounds=1, deadline=1.0).run()
    assert fleet[0].trained == 1


@pytest.mark.parametrize(
    ("number", "turn", "reason"), [(1, 2, "wrong round"), (1, 0, "duplicate"), (7, 0, "wrong")]
)
def test_an_answer_that_nobody_asked_for_is_refused(number, turn, reason) -> None:
    """The first answer is asked for; after it turn 1 is, and neither 0 nor 2."""

    def forged(offer, update):
        name = offer_id("r", number, turn)
        return [update.encode(), dataclasses.replace(update, id=name, round=number).encode()]

    journal = Journal(":memory:")
    fleet = a_fleet(d0=forged, d1=silent, d2=silent, d3=silent)
    coordinate(fleet, get_strategy("fedbuff", **{**BUFF, "buffer": 1}), journal, rounds=1).run()
    assert [c.turn for c in journal.contributions("r", 1)] == [0]
    journal = Journal(":memory:")
    fleet = a_fleet(d0=forged, d1=silent, d2=silent, d3=silent)
    coordinate(fleet, get_strategy("fedbuff", **BUFF), journal, rounds=1).run()
    assert [c.turn for c in journal.contributions("r", 1)] == [0, 1]
    assert journal.rejected("r")[0].reason.startswith(reason)


@given(
    st.integers(0, 3),
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 3)), max_size=20),
)
def test_what_is_due_is_what_was_asked_and_not_answered(most, tries) -> None:
    """Against a plain account: rounds 1 to 3 in order, every due answer taken."""
    asked, answered = {}, set()
    kept = []
    for current in (1, 2, 3):
        turns = Turns(current, most=most)
        for device, number, counted in kept:
            turns.note(device, asked=number, counted=counted)
        asked |= {(device, current, 0): True for device in "ab"}
        for device, number in [one for one in tries if one[1] <= current]:
            due = turns.due(device, number)
            open_ones = [t for (d, n, t) in asked if (d, n) == (device, number)
                         and (d, n, t) not in answered]  # fmt: skip
            assert due == (open_ones[0] if open_ones else None)
            if due is None:
                continue
            answered.add((device, number, due))
            turns.note(device, asked=number, counted=current)
            kept.append((device, number, current))
            if number == current and (not most or due + 1 < most):
                asked[device, number, due + 1] = True


def test_a_resumed_round_goes_on_with_the_turn_that_is_due(tmp_path) -> None:
    fleet = a_fleet(d1=silent, d2=silent, d3=silent)
    strategy = get_strategy("fedbuff", **{**BUFF, "buffer": 5})
    with Journal(tmp_path / "j.db") as journal:
        coordinator = coordinate(fleet, strategy, journal, rounds=1, deadline=30)
        fleet[0].change = lambda offer, update: (
            coordinator.stop() if offer.turn == 2 else None,
            [update.encode()],
        )[1]
        assert coordinator.run().status == "stopped"
        assert len(journal.contributions("r", 1)) == 3
        again = Coordinator.resume(LoopbackTransport(fleet), journal, "r", cohort=NAMES)
        fleet[0].change = None
        assert again.run().status == "done"
        assert [c.turn for c in journal.contributions("r", 1)] == [0, 1, 2, 3, 4]


def test_too_late_is_refused_with_the_reason_and_the_round_it_answers() -> None:
    journal = Journal(":memory:")
    strategy = get_strategy("fedbuff", **BUFF, max_staleness=1)
    assert coordinate(a_fleet(), strategy, journal, rounds=6).run().status == "done"
    (late,) = [row for row in journal.rejected("r") if row.round == 1]
    assert (late.device, late.reason) == ("d0", "late: it answers round 1, round 3 is open")
    there = [c for n in range(1, 7) for c in journal.contributions("r", n)]
    assert len(there) == 12 and {c.staleness for c in there} == {0, 1}


def test_a_late_update_counts_once_also_after_a_resume(tmp_path) -> None:
    class Twice(Late):
        def __call__(self, offer, update):
            return [sent for sent in super().__call__(offer, update) for _ in range(2)]

    fleet = a_fleet(d0=Twice())
    with Journal(tmp_path / "j.db") as journal:
        coordinator = coordinate(fleet, get_strategy("fedbuff", **BUFF), journal, rounds=4)
        coordinator.run(lambda report: coordinator.stop() if report.round == 2 else None)
        again = Coordinator.resume(LoopbackTransport(fleet), journal, "r", cohort=NAMES)
        again.run()
        pairs = [
            (c.device, n - c.staleness, c.turn)
            for n in range(1, 5)
            for c in journal.contributions("r", n)
        ]
        assert len(pairs) == len(set(pairs)) == 8
        assert any(row.reason.startswith("duplicate") for row in journal.rejected("r"))


@given(st.lists(st.integers(0, 9), min_size=1, max_size=5), st.randoms())
def test_a_buffer_is_the_weighed_sum_over_its_size(behind, chance) -> None:
    rng = np.random.default_rng(len(behind))
    updates = [
        Contribution(f"d{i}", rng.normal(size=3).astype(np.float32), 4, s)
        for i, s in enumerate(behind)
    ]
    expected = sum(u.delta.astype(np.float64) * (1 + u.staleness) ** -0.5 for u in updates)
    strategy, base = get_strategy("fedbuff"), np.float32([1, 2, 3])
    found = strategy.aggregate(base, updates, 0.5)
    np.testing.assert_allclose(found, base + 0.5 * expected / len(updates), rtol=1e-6)
    shuffled = updates[:]
    chance.shuffle(shuffled)
    assert (strategy.aggregate(base, shuffled, 0.5) == found).all()


@pytest.mark.parametrize("options", [{"buffer": 0}, {"max_staleness": -1}, {"most_turns": -1}])
def test_options_that_cannot_be_are_refused(options) -> None:
    with pytest.raises(UsageError):
        get_strategy("fedbuff", **options)


def test_a_simulated_fleet_learns_though_it_is_late_and_repeats() -> None:
    task = get_task("sine")
    strategy = get_strategy("fedbuff", samples=10, epochs=4, rate=0.002, first_outer_rate=0.5)
    one, two = (simulate(task, strategy, 60, seed=1) for _ in range(2))
    assert one.updates == 60 * strategy.buffer
    assert one.artifact.data == two.artifact.data
    fresh = simulate(task, get_strategy("fedbuff", max_staleness=0), 60, seed=1)
    assert fresh.artifact.data != one.artifact.data
    losses = [loss for _, loss in one.curve]
    assert np.mean(losses[-20:]) < np.mean(losses[:20])


broker_needed = pytest.mark.skipif(not (find_mosquitto() or has_amqtt()), reason="no broker here")


@broker_needed
def test_over_mqtt_the_fast_go_on_and_the_slow_still_count() -> None:
    site, opened = SiteTopics("async"), threading.Event()
    names = ["d0", "d1", "d2"]
    strategy = get_strategy("fedbuff", cohort_size=3, buffer=2, samples=4, rate=0.05)
    with LocalBroker() as broker:
        agents = [Agent(100), *(Agent(101 + i, before=lambda: opened.wait(20)) for i in range(2))]
        sessions = [
            DeviceSession(broker.options, site.device(name), agent).start()
            for name, agent in zip(names, agents, strict=True)
        ]
        with MqttTransport(broker.options, site) as transport, Journal(":memory:") as journal:
            transport.wait_for(3, 10)
            coordinator = Coordinator(
                transport, journal, strategy, Settings(rounds=8, deadline=15),
                run="a", base=a_model(), cohort=names,
            )  # fmt: skip
            coordinator.run(lambda report: opened.set() if report.round == 2 else None)
            assert journal.run("a").status == "done"
            each = {n: journal.contributions("a", n) for n in range(1, 9)}
            model = replayed(journal, strategy, a_model(), run="a")
            assert model.sha256 == journal.current("a")
        opened.set()
        for session in sessions:
            session.stop()
    assert [len(found) for found in each.values()] == [2] * 8
    for n in (1, 2):  # while the others hang, one device fills the buffer
        assert [(c.device, c.staleness, c.turn) for c in each[n]] == [("d0", 0, 0), ("d0", 0, 1)]
    late = [c for found in each.values() for c in found if c.staleness]
    assert {"d1", "d2"} & {c.device for c in late}


@broker_needed
def test_one_asynchronous_device_gives_the_same_bits_over_mqtt_and_in_this_process() -> None:
    site, strategy = SiteTopics("alone"), get_strategy("fedbuff", **{**BUFF, "cohort_size": 1})

    def play(transport):
        return Coordinator(
            transport, Journal(":memory:"), strategy, Settings(rounds=4, deadline=15),
            run="a", base=a_model(), cohort=["d0"],
        ).run()  # fmt: skip

    with (
        LocalBroker() as broker,
        DeviceSession(broker.options, site.device("d0"), Agent(100)),
        MqttTransport(broker.options, site) as transport,
    ):
        transport.wait_for(1, 10)
        over_mqtt = play(transport)
    assert over_mqtt.artifact.data == play(LoopbackTransport(a_fleet(1))).artifact.data
    assert over_mqtt.rounds_done == 4


@broker_needed
@pytest.mark.parametrize("name", ["fedavg", "fedbuff"])
def test_over_mqtt_one_that_vanishes_and_comes_back_counts_in_the_same_round(name) -> None:
    """With fedbuff it vanishes when it was asked again, which nobody retains for it."""
    site, sessions = SiteTopics(f"back-{name}"), []
    asked_again = {"fedavg": 1, "fedbuff": 2}[name]
    options = {"buffer": 3} if name == "fedbuff" else {}
    strategy = get_strategy(name, cohort_size=1, samples=4, rate=0.05, **options)

    class Fragile(Agent):
        works = 0

        def train(self, artefact, plan):
            self.works += 1
            if self.works == asked_again:
                sessions[0].kill()
                back = DeviceSession(broker.options, site.device("d0"), Agent(100))
                threading.Timer(0.3, lambda: sessions.append(back.start())).start()
            return super().train(artefact, plan)

    with LocalBroker() as broker:
        sessions.append(DeviceSession(broker.options, site.device("d0"), Fragile(100)).start())
        with MqttTransport(broker.options, site) as transport, Journal(":memory:") as journal:
            transport.wait_for(1, 10)
            reports = []
            Coordinator(
                transport, journal, strategy,
                Settings(rounds=1, deadline=20, grace=20, min_updates=strategy.buffer),
                run="a", base=a_model(), cohort=["d0"],
            ).run(reports.append)  # fmt: skip
            assert reports[0].status == "closed" and len(sessions) == 2
            turns = [c.turn for c in journal.contributions("a", 1)]
            assert turns == list(range(strategy.buffer))
        sessions[1].stop()
