"""A coordinator that is killed with -9, again and again, ends with the bits of one that was not."""

import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edge.broker import LocalBroker, find_mosquitto, has_amqtt
from edge.session import DeviceSession
from server.journal import Journal

sys.path.insert(0, str(Path(__file__).parent))
from fleet import LoopbackTransport, a_fleet
from test_rounds_mqtt import NAMES, SITE, Agent, run

ROUNDS = 4
pytestmark = pytest.mark.skipif(not (find_mosquitto() or has_amqtt()), reason="no broker here")

COORDINATOR = """
import sys
sys.path.insert(0, sys.argv[1])
from edge.broker_options import BrokerOptions
from server.journal import Journal
from server.rounds import Coordinator
from server.transports.mqtt import MqttTransport
from test_rounds_mqtt import NAMES, SITE, run
options = BrokerOptions(url=sys.argv[2])
with MqttTransport(options, SITE) as transport, Journal(sys.argv[3]) as journal:
    transport.wait_for(3, 20)
    known = [row.run for row in journal.runs()]
    if known:
        Coordinator.resume(transport, journal, "r", cohort=NAMES).run()
    else:
        run(transport, journal, int(sys.argv[4])).run()
"""


def written(path: Path) -> int:
    """How many answers and ends of rounds the journal holds."""
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
            updates = db.execute("SELECT COUNT(*) FROM updates").fetchone()[0]
            ended = db.execute("SELECT COUNT(*) FROM rounds WHERE ended IS NOT NULL").fetchone()[0]
            return int(updates + ended)
    except sqlite3.Error:
        return 0


@pytest.mark.parametrize("wait", [0.0, 0.002, 0.01])
def test_killed_at_any_point_a_run_ends_with_the_same_bits(tmp_path, wait) -> None:
    path = tmp_path / "j.db"
    with LocalBroker() as broker:
        sessions = [
            DeviceSession(broker.options, SITE.device(name), Agent(100 + i)).start()
            for i, name in enumerate(NAMES)
        ]
        command = [
            sys.executable, "-c", COORDINATOR, str(Path(__file__).parent),
            broker.options.url, str(path), str(ROUNDS),
        ]  # fmt: skip
        kills, ended = 0, False
        for enough in (1, 3, 5, 8, 11, 10**9):
            with subprocess.Popen(command) as child:
                while child.poll() is None and written(path) < enough:
                    time.sleep(0.001)
                time.sleep(wait)
                ended = child.poll() is not None
                kills += not ended
                assert child.returncode in (None, 0)
                child.kill()
            if ended:
                break
        for session in sessions:
            session.stop()
    assert ended and kills >= 3
    alone = run(LoopbackTransport(a_fleet(3)), Journal(":memory:"), ROUNDS).run()
    with Journal(path) as journal:
        assert journal.run("r").status == "done"
        assert [row.status for row in journal.rounds("r")] == ["closed"] * ROUNDS
        assert [len(journal.contributions("r", n + 1)) for n in range(ROUNDS)] == [3] * ROUNDS
        assert journal.artifact(journal.current("r")) == alone.artifact.data
