"""A run that dies anywhere, its devices with it, ends with the bits of one that did not.

Two ways to die: the process is killed with -9 at a moment that chance chooses, over and over; and
the power goes, so that of what was written only a part is on the disk: every part is tried.
"""

import json
import random
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from edge.broker import LocalBroker, find_mosquitto, has_amqtt
from edge.broker_options import BrokerOptions
from edge.messages import Offer
from edge.session import DeviceSession
from edge.topics import SiteTopics
from server.journal import Journal
from server.rounds import Coordinator, Settings
from server.strategies import get_strategy
from server.transports.loopback import LoopbackDevice, SensorWorker
from server.transports.mqtt import MqttTransport

sys.path.insert(0, str(Path(__file__).parent))
from fleet import LineSensor, LoopbackTransport, a_fleet, a_model, replayed
from test_rounds_mqtt import Agent

NAMES = ["d0", "d1", "d2"]
OPTIONS = {"cohort_size": 2, "samples": 2, "rate": 0.05}
OF = {"all": {**OPTIONS, "cohort_size": 3}}
SITE = SiteTopics("crash")
ROUNDS = 3
WAL_HEADER, FRAME_HEADER, PAGE = 32, 24, 4096


class Forgetful(LoopbackDevice):
    """What it learns from depends on nothing but who it is and what it is asked."""

    def answer(self, offer, fetch):
        asked = Offer.decode(offer)
        seeds = [int(self.device[1]), asked.round, asked.turn]
        self.worker = SensorWorker(LineSensor(seeds))
        return super().answer(offer, fetch)


def play(path, name, *, rounds=ROUNDS, check=None, broker=None):
    """Begin a run, or go on with it: with a fleet just switched on, or that of a broker."""
    with ExitStack() as stack:
        transport = LoopbackTransport([Forgetful(device, SensorWorker(None)) for device in NAMES])
        if broker:
            transport = stack.enter_context(MqttTransport(BrokerOptions(url=broker), SITE))
            transport.wait_for(len(NAMES), 20)
        journal = stack.enter_context(Journal(path))
        if journal.runs():
            coordinator = Coordinator.resume(transport, journal, "r", cohort=NAMES)
        else:
            strategy = get_strategy("fedavg" if name in OF else name, **OF.get(name, OPTIONS))
            more = 1.0 if name in OF else 1.5
            settings = Settings(rounds, deadline=20, over_select=more, min_updates=2)
            coordinator = Coordinator(
                transport, journal, strategy, settings, run="r", base=a_model(), cohort=NAMES
            )
        result = coordinator.run()
        assert result.status == "done"
        if check is not None:
            check(journal)
        return result.artifact.sha256


@pytest.mark.parametrize("name", ["fedavg", "fedadam"])
def test_whatever_part_of_the_journal_is_left_the_model_has_the_same_bits(tmp_path, name) -> None:
    whole = tmp_path / "whole.db"
    expected = play(whole, name, check=lambda journal: keep(journal, whole, tmp_path))
    data, log = (tmp_path / "kept.db").read_bytes(), (tmp_path / "kept.db-wal").read_bytes()
    frames = (len(log) - WAL_HEADER) // (FRAME_HEADER + PAGE)
    assert len(log) == WAL_HEADER + frames * (FRAME_HEADER + PAGE) and frames > 40
    chance = random.Random(name)
    ends = [WAL_HEADER + n * (FRAME_HEADER + PAGE) for n in range(frames + 1)]
    torn = [end + chance.randrange(1, FRAME_HEADER + PAGE) for end in ends[:-1:3]]
    states = set()
    for cut in (0, 1, *ends, *torn):
        path = tmp_path / "cut.db"
        path.write_bytes(data)
        Path(f"{path}-wal").write_bytes(log[:cut])
        with Journal(path) as journal:
            rounds = journal.rounds("r") if journal.runs() else []
            states.add((tuple(row.status for row in rounds), len(journal.updates("r"))))
        assert play(path, name) == expected, f"after {cut} of {len(log)} bytes"
        for left in tmp_path.glob("cut.db*"):
            left.unlink()
    wanted = {(("closed",) * n + ("open",), 2 * n + k) for n in range(ROUNDS) for k in range(3)}
    assert wanted <= states  # a round open with none, some and all of its updates


def keep(journal: Journal, path: Path, folder: Path) -> None:
    """Copy the files of a journal that is open, as a power cut would leave them."""
    assert journal.run("r").status == "done"
    for end in ("", "-wal"):
        shutil.copy(f"{path}{end}", folder / f"kept.db{end}")


DRIVER = """
import json, os, random, signal, sys, time
sys.path.insert(0, sys.argv[1])
import test_rounds_crash as crash
name, path, rounds, broker = sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5]
chance, kills, last = random.Random(name), 0, None
while True:
    child = os.fork()
    if not child:
        os._exit(bool(crash.play(path, name, rounds=rounds, broker=broker)) ^ 1)
    wait = chance.uniform(0, 0.03 + 0.03 * (kills % 4)) if kills < 80 else 60
    end, ended = time.monotonic() + wait, 0
    while not ended and time.monotonic() < end:
        time.sleep(0.001)
        ended, status = os.waitpid(child, os.WNOHANG)
    if not ended:
        os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
    if not os.WIFSIGNALED(status):
        print(json.dumps({"kills": kills, "status": status}))
        break
    kills += 1
"""


def killed_over_and_over(tmp_path, name, rounds, broker=""):
    path = tmp_path / "killed.db"
    given = [str(Path(__file__).parent), name, str(path), str(rounds), broker]
    found = subprocess.run(
        [sys.executable, "-c", DRIVER, *given],
        check=True, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    outcome = json.loads(found.stdout)
    assert outcome["status"] == 0 and outcome["kills"] >= 3, (outcome, found.stderr)
    return path


@pytest.mark.parametrize("name", ["reptile", "fedyogi"])
def test_killed_over_and_over_a_run_ends_with_the_same_bits(tmp_path, name) -> None:
    path = killed_over_and_over(tmp_path, name, rounds=40)
    with Journal(path) as journal:
        assert journal.run("r").status == "done"
        assert [row.status for row in journal.rounds("r")] == ["closed"] * 40
        ended = journal.current("r")
    assert play(tmp_path / "alone.db", name, rounds=40) == ended


@pytest.mark.skipif(not (find_mosquitto() or has_amqtt()), reason="no broker here")
def test_killed_over_and_over_while_the_devices_live_on_and_answer(tmp_path) -> None:
    """All three are asked and needed, so that it does not matter who is first."""
    with LocalBroker() as broker, ExitStack() as stack:
        for i, device in enumerate(NAMES):
            topics = SITE.device(device)
            stack.enter_context(DeviceSession(broker.options, topics, Agent(100 + i)))
        path = killed_over_and_over(tmp_path, "all", 25, broker.options.url)
    with Journal(path) as journal:
        assert [row.status for row in journal.rounds("r")] == ["closed"] * 25
        assert [len(journal.contributions("r", n + 1)) for n in range(25)] == [3] * 25
        ended = journal.current("r")
    alone = Coordinator(
        LoopbackTransport(a_fleet(3)), Journal(":memory:"), get_strategy("fedavg", **OF["all"]),
        Settings(25), run="r", base=a_model(), cohort=NAMES,
    ).run()  # fmt: skip
    assert alone.artifact.sha256 == ended


def test_killed_over_and_over_an_asynchronous_run_ends_as_its_journal_says(tmp_path) -> None:
    """Who was still at work is lost with the devices; what the journal holds counts once."""
    path = killed_over_and_over(tmp_path, "fedbuff", rounds=40)
    with Journal(path) as journal:
        assert journal.run("r").status == "done" and len(journal.rounds("r")) == 40
        model = replayed(journal, get_strategy("fedbuff", **OPTIONS), a_model())
        assert model.sha256 == journal.current("r")
