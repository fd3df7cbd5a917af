"""A rollout that is cut off is gone on with: the same commands, each device asked once more."""

import json
from pathlib import Path
from typing import Any

import pytest

from edge import mqtt
from edge.broker import LocalBroker, find_mosquitto, has_amqtt
from edge.errors import ExitCode
from edge.messages import Ack, Command, State
from edge.profile import LINUX
from edge.spec import ModelSpec
from edge.topics import SiteTopics, device_of
from ontology.catalog import Catalog
from ontology.outbox import Outbox
from server.cli.app import main
from server.keeper import Keeper
from server.rollout import deploy, resume
from tests.edge.zoo import model
from tests.ontology.conftest import profile

SITE = SiteTopics("lab")


class Cut(BaseException):
    """The process ends here."""


class Transport:
    """Takes the first command, and ends the process at the second."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Command]] = []

    def hold_model(self, sha256: str, data: bytes) -> None:
        """The broker has it."""

    def command(self, device: str, command: Command, timeout: float) -> Ack:
        self.sent.append((device, command))
        if len(self.sent) > 1:
            raise Cut
        return Ack(device, command.id, "deploy", True, "", {})


def cut_off(catalog: Catalog) -> Transport:
    from edge.artifact import Artifact

    for name in ("a", "b", "c"):
        catalog.put_thing(profile().thing_description(name, site="lab", arena=9, slot=9))
    transport: Any = Transport()
    artifact = Artifact(model(ModelSpec.mlp([1, 2, 1])))
    with pytest.raises(Cut), Keeper(catalog, site="lab") as keeper:
        deploy(transport, artifact, ["a", "b", "c"], keeper=keeper)
    return transport


@pytest.mark.skipif(not (find_mosquitto() or has_amqtt()), reason="no broker here")
def test_a_cut_rollout_is_gone_on_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Catalog.open(tmp_path / "c") as catalog:
        transport = cut_off(catalog)
        left = Outbox(catalog).pending()
        assert sorted(order.device[-1] for order in left) == ["b", "c"]
        assert transport.sent[1][1].id in {order.id for order in left}
    assert main(["catalog", "outbox", "--catalog", str(tmp_path / "c")]) == 0
    assert "urn:tinyfleet:lab:b" in capsys.readouterr().out
    asked: list[str] = []

    def answer(message: Any) -> None:
        topics = device_of(message.topic)
        assert topics is not None
        command = Command.decode(message.payload)
        asked.append(command.id)
        ok = topics.device == "b"
        reason = "" if ok else "too large"
        ack = Ack(topics.device, command.id, "deploy", ok, reason, {})
        device.publish(topics.ack, ack.encode(), qos=1)

    def connected(client: Any) -> None:
        client.subscribe(SITE.every("cmd"), 1)
        for name in ("b", "c"):
            state = State(name, "online", None, 0.0).encode()
            client.publish(SITE.device(name).state, state, qos=1, retain=True)

    with LocalBroker() as broker:
        device = mqtt.connect(broker.options, on_connect=connected, on_message=answer)
        with Catalog.open(tmp_path / "c") as catalog:
            done = {d.device: d for d in resume(catalog, broker.options, timeout=10)}
            assert done["b"].ok and done["c"].reason == "too large"
            assert sorted(asked) == sorted(order.id for order in left)
            assert Outbox(catalog).pending() == [] and len(catalog.query("deployments")) == 3
        mqtt.close(device)
    assert main(["catalog", "outbox", "--catalog", str(tmp_path / "c")]) == 0
    assert "nothing is waiting" in capsys.readouterr().out


@pytest.mark.skipif(not (find_mosquitto() or has_amqtt()), reason="no broker here")
def test_no_onnx_is_sent_to_a_board(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnx")
    from server.export import onnx

    spec = ModelSpec.mlp([2, 3, 2])
    path = tmp_path / "net.onnx"
    path.write_bytes(onnx.write(spec, spec.initial(0), name="net"))
    asked: list[str] = []

    def answer(message: Any) -> None:
        topics = device_of(message.topic)
        assert topics is not None
        command = Command.decode(message.payload)
        asked.append(topics.device)
        ack = Ack(topics.device, command.id, "deploy", True, "", {})
        device.publish(topics.ack, ack.encode(), qos=1)

    def connected(client: Any) -> None:
        client.subscribe(SITE.every("cmd"), 1)
        for name, kind in (("mcu", profile()), ("host", LINUX)):
            topics = SITE.device(name)
            thing = kind.thing_description(name, site="lab", arena=9, slot=9)
            client.publish(topics.describe, json.dumps(thing), qos=1, retain=True)
            state = State(name, "online", None, 0.0).encode()
            client.publish(topics.state, state, qos=1, retain=True)

    with LocalBroker() as broker:
        device = mqtt.connect(broker.options, on_connect=connected, on_message=answer)
        line = ["server", "rollout", str(path), "--where", "mcu,host", "--site", "lab"]
        assert main([*line, "--broker", broker.options.url, "--json"]) == ExitCode.FAILED
        mqtt.close(device)
    board, host = json.loads(capsys.readouterr().out)
    assert board["device"] == "mcu" and not board["ok"] and "cortex-m4f" in board["reason"]
    assert f"tinyfleet server import {path} --to tflite" in board["reason"]
    assert host["device"] == "host" and host["ok"], host
    assert asked == ["host"]
