import json
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge.errors import UsageError
from edge.messages import Plan
from edge.record import plain
from server.journal import Journal, RoundRow, UpdateRow
from server.journal_rows import SCHEMA

ROOT = Path(__file__).resolve().parents[2]
PLAN = Plan("reptile", 0.01, 8, epochs=3)


def a_round(number=1, run="r"):
    return RoundRow(run, number, "open", "b" * 64, None, PLAN, ("a", "z"), 0.5, 1.5, None, {})


def begun(path=":memory:"):
    journal = Journal(path)
    journal.begin_run("r", {"seed": 3}, base="b" * 64, artifact=b"base", time=1.0)
    return journal


def test_what_was_entered_is_read_again(tmp_path):
    delta = np.random.default_rng(0).normal(size=9).astype(np.float32)
    with begun(tmp_path / "j.db") as journal:
        journal.open_round(a_round())
        journal.add_update(
            UpdateRow("r", 1, "z", True, "", 8, 2.0, 1.5, 1.0, 99, {"seconds": 0.5}, 2.0), delta
        )
        journal.add_update(UpdateRow("r", 1, "a", False, "not finite"))
        journal.close_round(
            "r", 1, result="c" * 64, artifact=b"next", metrics={"mse": 0.25}, time=3.0
        )
    with Journal(tmp_path / "j.db") as journal:
        (row,) = journal.rounds("r")
        assert (row.status, row.plan, row.cohort) == ("closed", PLAN, ("a", "z"))
        assert journal.run("r").config == {"seed": 3}
        (kept,) = journal.contributions("r", 1)
        assert kept.device == "z" and kept.delta.tobytes() == delta.tobytes()
        assert [u.device for u in journal.updates("r")] == ["z", "a"]
        assert journal.updates("r", 1)[0].meters == {"seconds": 0.5}
        assert [(u.device, u.reason) for u in journal.rejected("r")] == [("a", "not finite")]
        assert journal.contributors("r") == {"z": (1, 8)}
        assert journal.curve("r", "mse") == [(1, 0.25)]
        assert journal.artifact(journal.current("r")) == b"next"


def test_a_device_counts_once_a_round():
    journal = begun()
    journal.open_round(a_round())
    journal.add_update(UpdateRow("r", 1, "a", True, ""), np.zeros(2, np.float32))
    with pytest.raises(sqlite3.IntegrityError):
        journal.add_update(UpdateRow("r", 1, "a", True, ""), np.zeros(2, np.float32))
    journal.add_update(UpdateRow("r", 1, "a", False, "duplicate"))
    assert len(journal.updates("r", 1)) == 2


def test_errors_say_what_is_there(tmp_path):
    with begun() as journal:
        with pytest.raises(UsageError, match="one of: r"):
            journal.run("q")
        with pytest.raises(UsageError, match="already"):
            journal.begin_run("r", {}, base="b" * 64, artifact=b"", time=0.0)
        with pytest.raises(UsageError, match="no checkpoint"):
            journal.artifact("f" * 64)
    (tmp_path / "text.db").write_text("no database, but long enough to be looked at" * 20)
    with pytest.raises(UsageError, match="not a journal"):
        Journal(tmp_path / "text.db")
    other = sqlite3.connect(tmp_path / "v9.db")
    other.execute("PRAGMA user_version=9")
    other.close()
    with pytest.raises(UsageError, match="version 9"):
        Journal(tmp_path / "v9.db")


BEFORE = {
    1: [(" staleness INTEGER NOT NULL DEFAULT 0, turn INTEGER NOT NULL DEFAULT 0,", ""),
        ("device, staleness, turn)", "device)")],
    2: [(" turn INTEGER NOT NULL DEFAULT 0,", ""), ("staleness, turn)", "staleness)")],
}  # fmt: skip


@pytest.mark.parametrize("version", [1, 2])
def test_a_journal_of_an_earlier_version_is_brought_up_to_date(tmp_path, version):
    old, schema = sqlite3.connect(tmp_path / "v1.db"), SCHEMA
    for new, before in BEFORE[version]:
        assert new in schema
        schema = schema.replace(new, before)
    old.executescript(f"{schema}PRAGMA user_version={version};")
    old.execute("INSERT INTO runs VALUES ('r', '{}', 'b', 'running', 0.0, NULL)")
    row = a_round()
    old.execute(
        "INSERT INTO rounds VALUES ('r', 1, 'open', ?, NULL, ?, '[\"a\"]', 1.0, 0.0, NULL, '{}')",
        (row.base, json.dumps(plain(row.plan.to_map()))),
    )
    old.execute(
        "INSERT INTO updates VALUES (NULL,'r',1,'a',1,'',4,0.5,0.4,0.3,9,'{}',?,0.0"
        + ",0" * (version - 1)
        + ")",
        (np.ones(2, "<f4").tobytes(),),
    )
    old.commit()
    old.close()
    for _ in range(2):
        with Journal(tmp_path / "v1.db") as journal:
            (kept,) = journal.contributions("r", 1)
            assert (kept.device, kept.samples, kept.staleness) == ("a", 4, 0)
            assert kept.delta.tolist() == [1, 1]
    with Journal(tmp_path / "v1.db") as journal:
        for staleness, turn in ((1, 0), (0, 1)):
            row = UpdateRow("r", 1, "a", True, "", staleness=staleness, turn=turn)
            journal.add_update(row, np.zeros(2, np.float32))
        found = [(c.staleness, c.turn) for c in journal.contributions("r", 1)]
        assert found == [(0, 0), (0, 1), (1, 0)]


WRITER = """
import sys
import numpy as np
from server.journal import Journal, RoundRow, UpdateRow
from edge.messages import Plan
journal = Journal(sys.argv[1])
if not journal.runs():
    journal.begin_run("r", {}, base="b" * 64, artifact=b"x", time=0.0)
done = len(journal.rounds("r"))
for n in range(done + 1, 100000):
    journal.open_round(RoundRow("r", n, "open", "b" * 64, None, Plan("p", 0.1, 1), ("a",), 1.0,
                                0.0, None, {}))
    print("open", n, flush=True)
    journal.add_update(UpdateRow("r", n, "a", True, ""), np.full(500, n, np.float32))
    print("update", n, flush=True)
    journal.close_round("r", n, result=f"{n:064x}", artifact=b"a" * 3000, metrics={}, time=1.0)
    print("close", n, flush=True)
"""


def test_kill_9_loses_no_acknowledged_row(tmp_path):
    path, acknowledged = tmp_path / "j.db", []
    for lines in (7, 23, 38):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        assert writer.stdout is not None
        acknowledged += [writer.stdout.readline().split() for _ in range(lines)]
        writer.send_signal(signal.SIGKILL)
        acknowledged += [line.split() for line in writer.stdout if line.endswith("\n")]
        writer.wait()
        with Journal(path) as journal:
            rounds = {row.round: row for row in journal.rounds("r")}
            for what, n in acknowledged:
                number = int(n)
                assert number in rounds
                if what == "update":
                    assert journal.contributions("r", number)[0].delta[0] == number
                if what == "close":
                    assert rounds[number].status == "closed"
                    assert journal.artifact(f"{number:064x}") == b"a" * 3000
    assert len(acknowledged) >= 68


def test_the_newest_rounds_and_the_current_model():
    with begun() as journal:
        assert journal.rounds("r", newest=1) == [] and journal.current("r") == "b" * 64
        for number in (1, 2, 3):
            journal.open_round(a_round(number))
            if number < 3:
                journal.close_round(
                    "r", number, result=f"{number}" * 64, artifact=b"", metrics={}, time=2.0
                )
        assert [row.round for row in journal.rounds("r")] == [1, 2, 3]
        assert [row.round for row in journal.rounds("r", newest=2)] == [2, 3]
        assert journal.current("r") == "2" * 64
