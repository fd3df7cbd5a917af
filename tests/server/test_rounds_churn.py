"""Devices that vanish in a round, come back, come late, repeat themselves: in this process."""

import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import UsageError
from server.cohort import NoDevices, RoundsFailed
from server.journal import Journal
from server.rounds import Coordinator, Settings
from server.strategies import get_strategy

sys.path.insert(0, str(Path(__file__).parent))
from fleet import Device, LoopbackTransport, a_fleet, a_model, replayed

NAMES = ["d0", "d1", "d2", "d3"]
BUFF = {"cohort_size": 4, "buffer": 3, "samples": 4, "rate": 0.05}


class Churning(LoopbackTransport):
    """Lets things happen while the server waits: `events` maps the n-th wait to a call."""

    def __init__(self, devices, events):
        super().__init__(devices)
        self.events, self.waits = events, 0

    def receive(self, timeout):
        self.waits += 1
        if event := self.events.get(self.waits):
            event(self)
        return super().receive(timeout)


def coordinate(transport, strategy, journal, **options):
    given = {"rounds": 3, "deadline": 5.0, "grace": 5.0, **options}
    return Coordinator(
        transport, journal, strategy, Settings(**given), run="r", base=a_model(), cohort=NAMES
    )


def vanish(offer, update):
    return None


def returning(name, seed, change=None):
    """The device again, restarted: it remembers nothing."""
    return lambda transport: transport.connect(Device(name, seed, change))


def test_one_that_vanishes_and_comes_back_in_the_round_counts_in_it() -> None:
    transport = Churning(a_fleet(d1=vanish), {6: returning("d1", 101)})
    journal, reports = Journal(":memory:"), []
    strategy = get_strategy("fedavg", cohort_size=4, samples=4)
    coordinate(transport, strategy, journal, min_updates=4, rounds=1).run(reports.append)
    assert [row.device for row in reports[0].accepted] == ["d0", "d2", "d3", "d1"]
    whole = coordinate(LoopbackTransport(a_fleet()), strategy, Journal(":memory:"), rounds=1).run()
    assert journal.current("r") == whole.artifact.sha256


def test_one_that_stays_away_is_not_waited_for_longer_than_the_grace() -> None:
    journal, reports = Journal(":memory:"), []
    transport = LoopbackTransport(a_fleet(d1=vanish))
    strategy = get_strategy("fedavg", cohort_size=4, samples=4)
    coordinate(transport, strategy, journal, grace=0.05).run(reports.append)
    assert [len(report.accepted) for report in reports] == [3, 3, 3]
    assert [report.cohort for report in reports] == [tuple(NAMES), *[("d0", "d2", "d3")] * 2]
    assert [(row.round, row.device, row.reason) for row in journal.rejected("r")] == [
        (1, "d1", "no answer: it went offline")
    ]
    assert reports[0].metrics["missing"] == 1 and reports[0].metrics["rejected"] == 0
    assert all(report.ended - report.started < 2 for report in reports)


def test_one_that_comes_late_is_asked_from_the_next_round_on() -> None:
    fleet = a_fleet()
    transport = Churning(fleet[:2], {2: lambda transport: transport.connect(fleet[2])})
    journal, reports = Journal(":memory:"), []
    coordinator = coordinate(
        transport, get_strategy("fedavg", cohort_size=4, samples=4), journal, rounds=2
    )
    coordinator.cohort = lambda: [name for name, there in transport.presence().items() if there]
    coordinator.run(reports.append)
    assert [report.cohort for report in reports] == [("d0", "d1"), ("d0", "d1", "d2")]
    assert [len(report.accepted) for report in reports] == [2, 3]


def test_one_that_was_asked_again_and_vanished_is_asked_again_when_it_is_back() -> None:
    def once(offer, update):
        return None if offer.turn else [update.encode()]

    fleet = a_fleet(d0=once, d1=lambda o, u: [], d2=lambda o, u: [], d3=lambda o, u: [])
    transport = Churning(fleet, {8: returning("d0", 100)})
    journal = Journal(":memory:")
    coordinate(transport, get_strategy("fedbuff", **BUFF), journal, rounds=1).run()
    assert [(c.device, c.turn) for c in journal.contributions("r", 1)] == [
        ("d0", 0), ("d0", 1), ("d0", 2),
    ]  # fmt: skip


def test_those_asked_beyond_need_answer_too_late_and_say_so_in_the_journal() -> None:
    held = {}

    def slow(offer, update):
        sent = [held.pop("late")] if "late" in held else []
        held["late"] = update.encode()
        return sent

    journal, reports = Journal(":memory:"), []
    strategy = get_strategy("fedavg", cohort_size=2, samples=4)
    transport = LoopbackTransport(a_fleet(d0=slow))
    coordinate(transport, strategy, journal, over_select=2.0).run(reports.append)
    assert [len(report.cohort) for report in reports] == [4, 4, 4]
    assert [len(report.accepted) for report in reports] == [2, 2, 2]
    assert [(row.device, row.round, row.reason) for row in journal.rejected("r")] == [
        ("d0", 1, "late: it answers round 1, round 2 is open"),
        ("d0", 2, "late: it answers round 2, round 3 is open"),
    ]


def test_a_deadline_closes_a_round_with_enough_and_fails_one_with_too_few() -> None:
    sparse = lambda offer, update: [update.encode()] if offer.round != 2 else []  # noqa: E731
    quiet = lambda offer, update: []  # noqa: E731
    journal, reports = Journal(":memory:"), []
    transport = LoopbackTransport(a_fleet(d1=sparse, d2=quiet))
    strategy = get_strategy("fedavg", cohort_size=4, samples=4)
    coordinate(transport, strategy, journal, deadline=1.0, min_updates=3).run(reports.append)
    assert [report.status for report in reports] == ["closed", "failed", "closed"]
    assert [len(report.accepted) for report in reports] == [3, 2, 3]
    assert all(report.ended - report.started >= 1.0 for report in reports)
    assert reports[1].result == reports[1].base == reports[0].result == reports[2].base
    with pytest.raises(RoundsFailed, match="fewer than 4 updates"):
        coordinate(
            LoopbackTransport(a_fleet(d2=quiet)), strategy, Journal(":memory:"), deadline=0.05,
            min_updates=4, rounds=9,
        ).run()  # fmt: skip


def test_fewer_devices_than_a_round_needs_are_waited_for_and_then_said_so() -> None:
    strategy = get_strategy("fedavg", cohort_size=4, samples=4)
    fleet = a_fleet()
    journal = Journal(":memory:")
    short = coordinate(LoopbackTransport(fleet[:1]), strategy, journal, deadline=1.0, min_updates=2)
    short.cohort = ["d0"]
    with pytest.raises(NoDevices, match="only 1 of 2 devices to ask"):
        short.run()
    assert journal.run("r").status == "stopped" and not journal.rounds("r")
    again = Coordinator.resume(LoopbackTransport(fleet), journal, "r", cohort=NAMES)
    assert again.run().status == "done"


def test_more_updates_than_close_a_round_cannot_be_needed() -> None:
    for name, options in (("fedavg", {"cohort_size": 4}), ("fedbuff", {**BUFF, "buffer": 4})):
        with pytest.raises(UsageError, match=r"needs 5 updates, and .* closes it with 4"):
            coordinate(
                LoopbackTransport(()), get_strategy(name, **options), Journal(":memory:"),
                min_updates=5,
            )  # fmt: skip


ACTS = {
    "answers": lambda offer, update: [update.encode()],
    "twice": lambda offer, update: [update.encode()] * 2,
    "silent": lambda offer, update: [],
    "vanishes": lambda offer, update: None,
    "junk": lambda offer, update: [b"\xff"],
}
lives = st.lists(st.sampled_from(["answers", "answers", *sorted(ACTS)]), min_size=1, max_size=8)
comings = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 3), st.booleans()), max_size=6)
plans = st.sampled_from(
    [
        ("fedavg", {"cohort_size": 2}, 1.5),
        ("reptile", {"cohort_size": 4}, 1.0),
        ("fedbuff", BUFF, 1.0),
        ("fedbuff", {**BUFF, "buffer": 5, "max_staleness": 1}, 1.0),
    ]
)


def acting(life):
    """Each answer of a device as its life says, over and over."""
    state = iter(range(10**6))
    return lambda offer, update: ACTS[life[next(state) % len(life)]](offer, update)


@settings(max_examples=60, deadline=None)
@given(
    plan=plans, life=st.tuples(lives, lives, lives, lives), come=comings, least=st.integers(1, 2)
)
def test_whatever_devices_do_a_model_is_what_its_journal_says(plan, life, come, least) -> None:
    name, options, over_select = plan
    strategy = get_strategy(name, **{"samples": 2, **options})
    fleet = [Device(f"d{i}", 100 + i, acting(life[i])) for i in range(4)]

    def back(i, restarted):
        def happen(transport):
            if not transport.presence()[NAMES[i]]:
                again = Device(NAMES[i], 100 + i, acting(life[i])) if restarted else fleet[i]
                transport.connect(again)

        return happen

    transport = Churning(fleet, {wait: back(i, restarted) for wait, i, restarted in come})
    journal = Journal(":memory:")
    coordinator = coordinate(
        transport, strategy, journal, deadline=0.03, grace=0.0, min_updates=least,
        over_select=over_select,
    )  # fmt: skip
    try:
        assert coordinator.run().status == "done"
    except (RoundsFailed, NoDevices) as error:
        assert error.hint
    replayed(journal, strategy, a_model())
    rounds = journal.rounds("r")
    for row in rounds:
        updates = journal.contributions("r", row.round)
        assert len(updates) <= strategy.buffer
        assert row.status == "open" or (row.status == "failed") == (len(updates) < least)
        for one in updates:
            assert one.staleness <= strategy.max_staleness
            assert one.device in rounds[row.round - 1 - one.staleness].cohort
    assert all(row.reason for row in journal.rejected("r"))
