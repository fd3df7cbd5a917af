"""What docs/AGENT.md says of feeding an agent, done."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge.broker import LocalBroker, find_mosquitto
from edge.messages import Command, Plan
from server.cli import main
from tests.edge.hub import Hub
from tests.edge.killed import agent, kill, online
from tests.edge.models import model, samples, sha

pytestmark = pytest.mark.skipif(find_mosquitto() is None, reason="no Mosquitto")
TEXT = (Path(__file__).resolve().parents[2] / "docs" / "AGENT.md").read_text()
X, Y = samples(6)


def block(kind: str) -> str:
    found = re.search(rf"^```{kind}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def lines() -> list[str]:
    """Six samples in the forms that the document shows, one of them without a label."""
    shown = [json.loads(line) for line in block("json").splitlines()]
    assert [sorted(line) for line in shown] == [["x", "y"]] * 3 + [["id", "x"], ["id", "y"]]
    found = [{"x": x.tolist(), "y": int(y)} for x, y in zip(X, Y, strict=True)]
    found[2]["y"] = None
    late = {"id": "part-7", "x": found[3].pop("x")}
    found[3]["id"] = "part-7"
    return [json.dumps(line) for line in [late, *found]]


def learnt(hub: Hub, base: str) -> int:
    hub.offer(base, cohort=("k1",), plan=Plan("s", 0.1, 6))
    return hub.update(device="k1").samples


def test_lines_on_stdin(broker: LocalBroker, hub: Hub, tmp_path: Path) -> None:
    with agent(broker, tmp_path / "state", "-") as process:
        online(hub)
        assert process.stdin is not None
        process.stdin.write("\n".join(lines()) + "\n")
        process.stdin.flush()
        assert learnt(hub, hub.publish_model(model())) == 5


def test_messages_of_a_topic(broker: LocalBroker, hub: Hub, tmp_path: Path) -> None:
    with agent(broker, tmp_path / "state", "mqtt:plant/+/vibration"):
        online(hub)
        for line in lines():
            hub.client.publish("plant/line-1/vibration", line, qos=1)
        assert learnt(hub, hub.publish_model(model())) == 5


@pytest.mark.parametrize("name", ["s.csv", "s.npz"])
def test_files(broker: LocalBroker, hub: Hub, tmp_path: Path, name: str) -> None:
    np.savez(tmp_path / "s.npz", x=X, y=Y)
    np.savetxt(tmp_path / "s.csv", np.column_stack([X, Y]), delimiter=",")
    with agent(broker, tmp_path / "state", str(tmp_path / name)):
        online(hub)
        assert learnt(hub, hub.publish_model(model())) == 6


def test_the_python_of_the_document_is_an_agent(
    broker: LocalBroker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "agent.py"
    script.write_text(block("python"))
    root = str(Path(__file__).resolve().parents[2])
    command = ["edge", "status", "--id", "pi-2", "--broker", broker.url]
    assert main(command) == 1
    assert "has never been online" in capsys.readouterr().out
    process = subprocess.Popen(
        [sys.executable, script, broker.url], cwd=tmp_path, env={"PYTHONPATH": root}
    )
    try:
        for _ in range(20):
            if main(command) == 0:
                break
        assert "pi-2 is online" in capsys.readouterr().out
    finally:
        process.kill()
        process.wait()
    for _ in range(20):
        if main(command) == 1:
            break
    assert "pi-2 is offline" in capsys.readouterr().out


def test_what_a_command_changes_is_acknowledged_and_seen(
    broker: LocalBroker, hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["edge", "status", "--id", "k1", "--site", "lab", "--broker", broker.url]
    with agent(broker, tmp_path / "state", "-") as process:
        online(hub)
        base = hub.publish_model(model())
        assert hub.ask(Command("deploy", "g1", base=base), "k1").ok
        hub.state("online", "k1")
        assert main(command) == 0
        assert f"model {sha(model())[:12]}" in capsys.readouterr().out
        kill(process)
    hub.state("offline", "k1")
    assert main(command) == 1
    assert f"is offline at {broker.options.address}, site lab, model {base[:12]}" in (
        capsys.readouterr().out
    )
