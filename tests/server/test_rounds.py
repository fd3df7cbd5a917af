import sys
from pathlib import Path

import numpy as np
import pytest

from edge.errors import UsageError
from edge.messages import Offer, decode_update
from server.cohort import NoDevices, RoundsFailed, sample
from server.journal import Journal, UpdateRow
from server.reports import report_of, shortage
from server.rounds import Coordinator, Settings
from server.strategies import get_strategy

sys.path.insert(0, str(Path(__file__).parent))
from fleet import LoopbackTransport, a_fleet, a_model, altered, declining

SILENCE = 1.0
"""Seconds that a round waits for who will not answer; where all do, the machine may be slow."""
NAMES = ["d0", "d1", "d2", "d3"]
REPTILE = get_strategy("reptile", cohort_size=4, samples=4, epochs=2, rate=0.05)


def coordinate(devices, journal=None, *, rounds=3, strategy=REPTILE, transport=None, **options):
    settings = Settings(rounds=rounds, **{"deadline": 30.0, **options})
    return Coordinator(
        transport or LoopbackTransport(devices),
        journal or Journal(":memory:"),
        strategy,
        settings,
        run="r",
        base=a_model(),
        cohort=NAMES,
    )


def test_rounds_change_the_model_and_every_update_is_in_the_journal():
    coordinator, reports = coordinate(a_fleet()), []
    result = coordinator.run(reports.append)
    assert result.status == "done" and result.rounds_done == 3
    assert [r.status for r in reports] == ["closed"] * 3
    assert all(len(r.accepted) == 4 and r.cohort == tuple(NAMES) for r in reports)
    assert [r.base for r in reports] == [a_model().sha256, reports[0].result, reports[1].result]
    assert result.artifact.sha256 == reports[-1].result
    journal = coordinator.journal
    assert journal.run("r").status == "done"
    assert journal.contributors("r") == dict.fromkeys(NAMES, (3, 24))
    assert len(journal.curve("r", "loss_mean")) == 3
    by_hand = a_model().parameters().astype(np.float64) + np.mean(
        [c.delta.astype(np.float64) for c in journal.contributions("r", 1)], axis=0
    )
    first = journal.artifact(reports[0].result)
    assert a_model().with_parameters(by_hand.astype(np.float32)).data == first


def test_the_same_run_twice_gives_the_same_bits():
    one, two = coordinate(a_fleet()).run(), coordinate(a_fleet()[::-1]).run()
    assert one.artifact.data == two.artifact.data


def first_round(change):
    """Apply a change in round 1 only."""
    return lambda offer, update: change(offer, update) if offer.round == 1 else [update.encode()]


def one(payloads):
    return lambda offer, update: payloads


nan = np.full(SIZE, np.nan, np.float32) if (SIZE := a_model().parameters().size) else None
FAULTS = {
    "killed": (one(None), "no answer: it went offline"),
    "silent": (one([]), "no answer: the deadline passed"),
    "duplicate": (lambda o, u: [u.encode(), u.encode()], "duplicate"),
    "NaN": (altered(delta=nan), "not finite"),
    "infinite loss": (altered(loss_mean=float("inf")), "not finite"),
    "wrong shape": (altered(delta=np.zeros(SIZE + 1, np.float32)), "wrong shape"),
    "index beyond": (
        altered(delta=np.ones(1, np.float32), indices=np.array([SIZE], np.uint32)),
        "wrong shape",
    ),
    "wrong base": (altered(base="e" * 64), "wrong base"),
    "too far": (altered(delta=np.full(SIZE, 1e6, np.float32)), "too far"),
    "no samples": (altered(samples=0), "wrong count"),
    "undecodable": (one([b"\xff\x00 not CBOR"]), "undecodable"),
    "empty": (one([b""]), "undecodable"),
    "another device": (altered(device="d2"), "wrong device"),
    "another run": (altered(run="other"), "wrong run"),
    "a round to come": (altered(round=9), "wrong round"),
    "declined": (declining, "declined: RAM (900 bytes needed, 20 there)"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_does_not_stop_the_round_and_its_reason_is_kept(fault):
    change, reason = FAULTS[fault]
    coordinator, reports = (
        coordinate(a_fleet(d1=first_round(change)), rounds=1, deadline=SILENCE),
        [],
    )
    assert coordinator.run(reports.append).status == "done"
    journal = coordinator.journal
    good = {"d0", "d2", "d3"} | ({"d1"} if fault == "duplicate" else set())
    assert {c.device for c in journal.contributions("r", 1)} == good
    assert reports[0].status == "closed" and reports[0].result != reports[0].base
    refused = journal.rejected("r")
    assert [row.device for row in refused] == ["d1"]
    assert all(row.reason.startswith(reason) for row in refused)


def test_a_late_update_is_entered_under_its_own_round():
    kept = {}

    def later(offer, update):
        if offer.round == 1:
            kept["late"] = update.encode()
            return []
        return [kept["late"], update.encode()]

    coordinator = coordinate(a_fleet(d1=later), rounds=2, deadline=SILENCE)
    coordinator.run()
    missing, row = coordinator.journal.rejected("r")
    assert (missing.round, missing.device) == (1, "d1")
    assert missing.reason == "no answer: the deadline passed"
    assert row.round == 1 and row.device == "d1" and row.reason.startswith("late: ")
    assert len(coordinator.journal.contributions("r", 1)) == 3
    assert len(coordinator.journal.contributions("r", 2)) == 4


def test_a_stranger_is_refused_and_ends_nothing():
    transport = LoopbackTransport(a_fleet())
    transport.put("stranger", b"\xa0")
    coordinator = coordinate((), transport=transport, rounds=1)
    coordinator.run()
    assert [row.device for row in coordinator.journal.rejected("r")] == ["stranger"]
    assert len(coordinator.journal.contributions("r", 1)) == 4


def test_a_device_without_memory_declines_with_both_figures():
    devices = a_fleet()
    devices[2].worker.memory = 10
    coordinator = coordinate(devices, rounds=1)
    coordinator.run()
    (row,) = coordinator.journal.rejected("r")
    assert row.device == "d2" and "declined" in row.reason and "10 there" in row.reason


def test_a_round_with_too_few_updates_fails_and_keeps_the_base():
    fault = first_round(one([]))
    fleet, reports = a_fleet(d0=fault, d1=fault), []
    coordinator = coordinate(fleet, rounds=2, min_updates=3, deadline=SILENCE)
    coordinator.run(reports.append)
    assert [r.status for r in reports] == ["failed", "closed"]
    assert reports[0].result == reports[0].base == reports[1].base


def test_failure_after_failure_ends_the_run_with_the_last_reason():
    coordinator = coordinate(a_fleet(1, d0=altered(delta=nan)), rounds=9)
    coordinator.cohort = ["d0"]
    with pytest.raises(RoundsFailed, match="not finite") as caught:
        coordinator.run()
    assert "--rate" in caught.value.hint and "--deadline" not in caught.value.hint
    assert coordinator.journal.run("r").status == "failed"
    assert len(coordinator.journal.rounds("r")) == 3


def test_what_is_tried_next_depends_on_why_a_round_failed():
    def silent(offer, update):
        return []

    def other(offer, update):
        return declining(offer, update)

    for fault, said, hint in (
        (other, "declined:", "what the device declines for"),
        (silent, "nobody answered", "--deadline"),
        (altered(delta=nan), "not finite", "--rate"),
    ):
        coordinator = coordinate(a_fleet(1, d0=fault), rounds=1, deadline=SILENCE)
        coordinator.cohort = ["d0"]
        with pytest.raises(RoundsFailed, match=said) as caught:
            coordinator.run()
        assert hint in caught.value.hint
    assert shortage([UpdateRow("r", 1, "d0", True, "")])[0] == "the others did not answer"
    late = UpdateRow("r", 1, "d1", False, "late: it answers round 1, round 2 is open")
    assert "--deadline" in shortage([late])[1]
    silent = UpdateRow("r", 1, "d2", False, "no answer: it went offline")
    assert shortage([silent])[0] == "nobody answered"
    assert shortage([late, silent]) == shortage([late])


def test_no_device_is_said_so():
    coordinator = coordinate(a_fleet(), deadline=SILENCE)
    coordinator.cohort = list
    with pytest.raises(NoDevices, match="no device"):
        coordinator.run()


def test_who_waits_for_devices_hears_how_many_are_missing():
    coordinator = coordinate(a_fleet(), deadline=SILENCE, min_updates=2)
    coordinator.cohort = ["d0"]
    heard = []
    with pytest.raises(NoDevices):
        coordinator.run(on_wait=lambda needed, there: heard.append((needed, there)))
    assert set(heard) == {(2, 1)}


def test_a_round_that_was_left_open_says_that_nobody_is_there():
    journal = Journal(":memory:")
    first = coordinate(a_fleet(), journal, rounds=1, deadline=SILENCE, max_failures=1)
    first._next()
    assert journal.rounds("r")[-1].status == "open"
    again = Coordinator.resume(LoopbackTransport(()), journal, "r", cohort=NAMES)
    heard = []
    with pytest.raises(RoundsFailed):
        again.run(on_wait=lambda needed, there: heard.append((needed, there)))
    assert set(heard) == {(1, 0)}


class Interrupted(Exception):
    pass


class Breaking(LoopbackTransport):
    """Loses the server after so many mails."""

    left = 10**9

    def receive(self, timeout):
        if self.left == 0:
            raise Interrupted
        self.left -= 1
        return super().receive(timeout)


@pytest.mark.parametrize("mails", [0, 1, 3, 4, 5, 7, 11])
@pytest.mark.parametrize("name", ["reptile", "fedavg", "tinyreptile"])
def test_a_resumed_run_ends_with_the_same_bits(tmp_path, mails, name):
    strategy = get_strategy(name, samples=4)
    whole = coordinate(a_fleet(), strategy=strategy).run()
    devices = a_fleet()
    broken = Breaking(devices)
    broken.left = min(mails, 2) if name == "tinyreptile" else mails
    with Journal(tmp_path / "j.db") as journal, pytest.raises(Interrupted):
        coordinate((), journal, transport=broken, strategy=strategy).run()
    with Journal(tmp_path / "j.db") as journal:
        assert journal.run("r").status == "stopped"
        again = Coordinator.resume(LoopbackTransport(devices), journal, "r", cohort=NAMES)
        result = again.run()
        assert result.status == "done" and result.artifact.data == whole.artifact.data
        assert [row.status for row in journal.rounds("r")] == ["closed"] * 3
        assert len([u for u in journal.updates("r") if u.accepted]) == 3 * (
            strategy.cohort_size if name == "tinyreptile" else 4
        )


def test_stop_leaves_the_round_open_and_resume_goes_on(tmp_path):
    devices = a_fleet()
    with Journal(tmp_path / "j.db") as journal:
        coordinator = coordinate(devices, journal)
        stopped = coordinator.run(lambda report: coordinator.stop())
        assert (stopped.status, stopped.rounds_done) == ("stopped", 1)
        transport = LoopbackTransport(devices)
        again = Coordinator.resume(transport, journal, "r", cohort=NAMES)
        assert again.run().artifact.data == coordinate(a_fleet()).run().artifact.data


def test_stop_inside_a_round(tmp_path):
    holder = {}

    def stopping(offer, update):
        holder["c"].stop()
        return [update.encode()]

    with Journal(tmp_path / "j.db") as journal:
        holder["c"] = coordinate(a_fleet(d1=stopping), journal)
        assert holder["c"].run().status == "stopped"
        assert [row.status for row in journal.rounds("r")] == ["open"]
        assert len(journal.contributions("r", 1)) == 2


def test_only_the_last_layer_is_trained_where_the_plan_says_so():
    strategy = get_strategy("fedavg", cohort_size=4, samples=4, train_layers=1, rate=0.05)
    before = a_model().parameters()
    after = coordinate(a_fleet(), strategy=strategy).run().artifact.parameters()
    head = 8 + 1
    assert np.array_equal(before[:-head], after[:-head])
    assert not np.array_equal(before[-head:], after[-head:])


def test_metrics_of_the_caller_reach_the_journal():
    coordinator = coordinate(a_fleet(), rounds=2)
    coordinator.evaluate = lambda round, model: {"mse": round / 10}
    coordinator.run()
    assert coordinator.journal.curve("r", "mse") == [(1, 0.1), (2, 0.2)]


def test_cohorts_are_drawn_by_seed_and_round():
    draws = [sample(NAMES, 2, seed=1, round=n) for n in range(50)]
    assert draws == [sample(NAMES[::-1], 2, seed=1, round=n) for n in range(50)]
    assert {name for draw in draws for name in draw} == set(NAMES)
    assert sample(["a"], 5, seed=0, round=1) == ("a",)


def test_what_travels_is_what_mqtt_carries():
    offers = []

    def keep(offer, update):
        offers.append((offer, update))
        return [update.encode()]

    coordinate(a_fleet(d0=keep), rounds=1).run()
    offer, update = offers[0]
    assert Offer.decode(offer.encode()) == offer and decode_update(update.encode()) == update


def test_reports_can_be_had_again_from_the_journal():
    coordinator, reports = coordinate(a_fleet(d1=first_round(declining))), []
    coordinator.run(reports.append)
    assert [report_of(coordinator.journal, "r", n) for n in (1, 2, 3)] == reports
    with pytest.raises(UsageError, match="not ended"):
        report_of(coordinator.journal, "r", 4)
