"""`catalog serve --broker`: what devices say of themselves is on the pages as it happens."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import numpy as np

from edge.broker import LocalBroker
from tests.ontology.http.conftest import ROOT, serving


def test_a_fleet_is_shown_as_it_comes_and_goes(tmp_path: Path) -> None:
    samples = tmp_path / "samples.npz"
    np.savez(samples, x=np.zeros((4, 2), np.float32), y=np.zeros(4, np.int64))
    with (
        LocalBroker() as broker,
        serving(tmp_path / "catalog", "--broker", broker.options.url, "--site", "hall") as url,
    ):
        command = [sys.executable, "-m", "server.cli", "edge", "run", "--id", "pi-1"]
        command += ["--samples", str(samples), "--state", str(tmp_path / "state")]
        command += ["--site", "hall", "--broker", broker.options.url]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        agent = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        try:
            until(url, "ASK { <urn:tinyfleet:hall:pi-1> a tf:Device ; tf:online true }")
            thing = httpx.get(f"{url}/things/urn:tinyfleet:hall:pi-1").json()
            assert thing["tf:board"] == "linux"
            assert "hall/pi-1" in httpx.get(url).text
        finally:
            agent.send_signal(signal.SIGKILL)
            agent.wait()
        until(url, "ASK { <urn:tinyfleet:hall:pi-1> tf:online false }")


def until(url: str, ask: str, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not httpx.get(f"{url}/sparql", params={"query": ask}).json()["boolean"]:
        assert time.monotonic() < end, ask
        time.sleep(0.2)
