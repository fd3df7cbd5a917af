"""A run that dies anywhere, its devices with it, ends with the bits of one that did not.

Two ways to die: the process is killed with -9 at a moment that chance chooses, over and over; and
the power goes, so that of what was written only a part is on the disk: every part is tried.
"""

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge.messages import Offer
from server.journal import Journal
from server.rounds import Coordinator, Settings
from server.strategies import get_strategy
from server.transports.loopback import LoopbackDevice, SensorWorker

sys.path.insert(0, str(Path(__file__).parent))
from fleet import LineSensor, LoopbackTransport, a_model, replayed

NAMES = ["d0", "d1", "d2"]
OPTIONS = {"cohort_size": 2, "samples": 2, "rate": 0.05}
ROUNDS = 3
WAL_HEADER, FRAME_HEADER, PAGE = 32, 24, 4096


class Forgetful(LoopbackDevice):
    """What it learns from depends on nothing but who it is and what it is asked."""

    def answer(self, offer, fetch):
        asked = Offer.decode(offer)
        seeds = [int(self.device[1]), asked.round, asked.turn]
        self.worker = SensorWorker(LineSensor(seeds))
        return super().answer(offer, fetch)


def play(path, name, *, rounds=ROUNDS, check=None):
    """Begin a run, or go on with it, with a fleet that has just been switched on."""
    transport = LoopbackTransport([Forgetful(device, SensorWorker(None)) for device in NAMES])
    with Journal(path) as journal:
        if journal.runs():
            coordinator = Coordinator.resume(transport, journal, "r", cohort=NAMES)
        else:
            coordinator = Coordinator(
                transport, journal, get_strategy(name, **OPTIONS),
                Settings(rounds, deadline=20, over_select=1.5), run="r", base=a_model(),
                cohort=NAMES,
            )  # fmt: skip
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
name, path, rounds = sys.argv[2], sys.argv[3], int(sys.argv[4])
chance, kills, last = random.Random(name), 0, None
while True:
    child = os.fork()
    if not child:
        os._exit(bool(crash.play(path, name, rounds=rounds)) ^ 1)
    end, ended = time.monotonic() + (chance.uniform(0, 0.1) if kills < 80 else 60), 0
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


def killed_over_and_over(tmp_path, name, rounds):
    path = tmp_path / "killed.db"
    found = subprocess.run(
        [sys.executable, "-c", DRIVER, str(Path(__file__).parent), name, str(path), str(rounds)],
        check=True, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    outcome = json.loads(found.stdout)
    assert outcome["status"] == 0 and outcome["kills"] >= 5, (outcome, found.stderr)
    return path


@pytest.mark.parametrize("name", ["reptile", "fedyogi"])
def test_killed_over_and_over_a_run_ends_with_the_same_bits(tmp_path, name) -> None:
    path = killed_over_and_over(tmp_path, name, rounds=40)
    with Journal(path) as journal:
        assert journal.run("r").status == "done"
        assert [row.status for row in journal.rounds("r")] == ["closed"] * 40
        ended = journal.current("r")
    assert play(tmp_path / "alone.db", name, rounds=40) == ended


def test_killed_over_and_over_an_asynchronous_run_ends_as_its_journal_says(tmp_path) -> None:
    """Who was still at work is lost with the devices; what the journal holds counts once."""
    path = killed_over_and_over(tmp_path, "fedbuff", rounds=40)
    with Journal(path) as journal:
        assert journal.run("r").status == "done" and len(journal.rounds("r")) == 40
        model = replayed(journal, get_strategy("fedbuff", **OPTIONS), a_model())
        assert model.sha256 == journal.current("r")
