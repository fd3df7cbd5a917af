"""Orders survive a crash between the catalogue and the broker, and end with their outcome."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edge.errors import UsageError
from ontology.catalog import Catalog
from ontology.outbox import Outbox
from ontology.watch import Watcher

ROOT = Path(__file__).resolve().parents[2]
SHA = "ab" * 32
ORDERING = """
import sys, time
from ontology.catalog import Catalog
from ontology.outbox import Outbox
catalog = Catalog.open(sys.argv[1])
for number in range(10_000):
    Outbox(catalog).order(f"{number:064x}", ["urn:tinyfleet:lab:a", "urn:tinyfleet:lab:b"])
    print(number, flush=True)
"""


def test_an_order_ends_with_its_outcome(catalog: Catalog) -> None:
    outbox = Outbox(catalog)
    one, two = outbox.order(SHA.upper(), ["nano-1", "lab/bit"], at=1.0)
    assert outbox.pending() == sorted([one, two]) and one.model == SHA
    assert outbox.order(SHA, ["nano-1"], at=2.0) == [one], "not ordered twice"
    outbox.settle(one, ok=True, at=3.0)
    outbox.settle(two, ok=False, reason="too large", at=4.0)
    assert outbox.pending() == []
    rows = [r for r in catalog.query("deployments") if r["model"].endswith(SHA)]
    assert [(r["succeeded"], r["reason"]) for r in rows] == [(False, "too large"), (True, None)]
    assert catalog.ask(f"ASK {{ <{one.device}> tf:running <urn:sha256:{SHA}> }}")
    assert not catalog.ask(f"ASK {{ <{two.device}> tf:running <urn:sha256:{SHA}> }}")
    with pytest.raises(UsageError, match="no device"):
        outbox.order(SHA, ["nano-1", "nobody"])
    assert outbox.pending() == [], "all or none"


def test_kill_9_leaves_whole_orders(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ORDERING, str(tmp_path / "c")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment
    ) as writer:
        assert writer.stdout is not None
        said = [int(writer.stdout.readline()) for _ in range(40)][-1]
        writer.send_signal(signal.SIGKILL)
    with Catalog.open(tmp_path / "c") as catalog:
        left = Outbox(catalog).pending()
        assert len(left) % 2 == 0 and {int(order.model, 16) for order in left} >= set(range(said))
        for order in left:
            Outbox(catalog).settle(order, ok=True)
        assert Outbox(catalog).pending() == []


def test_watching_tells_what_happens_once(tmp_path: Path) -> None:
    path = tmp_path / "c"
    with Catalog.open(path) as owner:
        watcher = Watcher(lambda: Catalog.open(path, read_only=True))
        assert watcher.poll() == []
        board = {"id": "urn:tinyfleet:lab:d", "title": "d", "@type": "tf:Device"}
        safe = {"securityDefinitions": {"o": {"scheme": "nosec"}}, "security": "o"}
        owner.put_thing(board | safe)
        owner.set_status("urn:tinyfleet:lab:d", True, SHA)
        (order,) = Outbox(owner).order(SHA, ["urn:tinyfleet:lab:d"])
        seen = [(e.kind, e.text) for e in watcher.poll()]
        short = SHA[:12]
        assert seen == [
            ("added", "lab/d is new"),
            ("online", "lab/d is online"),
            ("runs", f"lab/d runs sha256:{short}"),
            ("ordered", f"lab/d is to run sha256:{short}"),
        ]
        Outbox(owner).settle(order, ok=False, reason="no")
        owner.set_status("urn:tinyfleet:lab:d", False)
        assert [e.kind for e in watcher.poll()] == ["offline", "deployed"]
        owner.store.replace(list(owner.store.match("urn:tinyfleet:lab:d")), [])
        assert [e.kind for e in watcher.poll()] == ["removed"] and watcher.poll() == []
