"""What a user asks devices from the command line: an agent, a board, and those that cannot."""

import json
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.broker import LocalBroker, find_mosquitto
from edge.gateway import Gateway
from edge.host import HostWorker
from edge.learner import OnlineLearner
from edge.messages import State
from edge.session import DeviceSession
from ontology.catalog import Catalog
from server.cli.app import main
from server.export.tflite import write_int8
from server.journal import Journal
from server.keeper import Keeper, kept_by_broker
from server.model_facts import knows
from server.reach import reached
from server.transports import mqtt as transport
from tests.edge.hub import SITE, Hub
from tests.edge.models import SPEC, model, samples, sensor, sha

pytestmark = [
    pytest.mark.skipif(find_mosquitto() is None, reason="no Mosquitto here"),
    pytest.mark.skipif(find_spec("unicorn") is None, reason="no unicorn"),
]
FLEET = "pi,board"


@pytest.fixture(scope="module")
def broker() -> Iterator[LocalBroker]:
    with LocalBroker(kind="mosquitto") as running:
        yield running


@pytest.fixture(scope="module")
def fleet(broker: LocalBroker) -> Iterator[dict[str, Any]]:
    """An agent and a board online, one agent that went, and nobody called `ghost`."""
    from firmware_sim.device import SimulatedDevice

    pi = HostWorker(sensor())
    hub = Hub(broker.options)
    with DeviceSession(broker.options, SITE.device("gone"), HostWorker(sensor())):
        hub.state("online", "gone")
    with (
        SimulatedDevice("nano33ble", device_id="board", sensor=sensor()) as device,
        Gateway(broker.options, SITE.site) as gateway,
        DeviceSession(broker.options, SITE.device("pi"), pi),
    ):
        gateway.add("board", device.port, profile=device.profile)
        for name, state in (("pi", "online"), ("board", "online"), ("gone", "offline")):
            hub.state(state, name)
        hub.close()
        yield {"pi": pi, "board": device}


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who are not there are not waited for as long as in a real network."""
    monkeypatch.setattr(transport, "PRESENCE_SECONDS", 0.5)


@pytest.fixture
def say(broker: LocalBroker, fleet: Any, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*line: str) -> tuple[int, str, str]:
        code = main(["server", *map(str, line), "--broker", broker.url, "--site", SITE.site])
        return (code, *capsys.readouterr())

    return run


@pytest.fixture
def deployed(say: Any, tmp_path: Path) -> Any:
    """Put models on the fleet, one after the other."""

    def deploy(*models: bytes, where: str = FLEET) -> None:
        for data in models:
            path = tmp_path / f"{sha(data)[:8]}.tflite"
            path.write_bytes(data)
            code, out, err = say("rollout", path, "--where", where)
            assert code == 0, out + err

    return deploy


def by_name(out: str) -> dict[str, dict[str, Any]]:
    return {one["device"]: one for one in json.loads(out)}


def test_every_device_says_how_good_its_model_is(say: Any, deployed: Any) -> None:
    deployed(model())
    code, out, _ = say("device", "evaluate", "--where", FLEET, "--samples", "16", "--json")
    found = by_name(out)
    assert code == 0 and list(found) == ["pi", "board"]
    host = HostWorker(sensor())
    host.deploy(model())
    expected = host.evaluate(16)
    for one in found.values():
        assert one["ok"] and one["model"] == sha(model())
        assert {name: one[name] for name in expected} == expected
    code, out, _ = say("device", "evaluate", "--where", "board", "--samples", "16")
    header, row = out.splitlines()
    assert code == 0 and header.split() == ["device", "model", "samples", "loss", "right", "reason"]
    assert row.split() == [
        "board", sha(model())[:12], "16", f"{expected['loss']:.4g}", str(expected["correct"])
    ]  # fmt: skip


def test_those_that_are_not_there_are_named_as_such(say: Any, deployed: Any, tmp_path: Any) -> None:
    deployed(model())
    where = "pi,gone,ghost"
    code, out, _ = say("device", "evaluate", "--where", where, "--samples", "4", "--json")
    found = by_name(out)
    assert code == 1 and found["pi"]["ok"]
    assert found["gone"]["reason"] == "gone is offline."
    assert found["ghost"]["reason"] == "ghost has never been online at site lab."
    path = tmp_path / "m.tflite"
    path.write_bytes(model())
    code, out, _ = say("rollout", path, "--where", where)
    assert code == 1
    assert "gone is offline." in out and "ghost has never been online at site lab." in out


def test_a_device_that_refuses_says_why(broker: LocalBroker, say: Any) -> None:
    with DeviceSession(broker.options, SITE.device("bare"), HostWorker(sensor())):
        for line in (["evaluate"], ["watch"], ["rollback"]):
            code, out, _ = say("device", *line, "--where", "bare")
            assert code == 1 and out.count("\n") == 2
            assert "no model is on this device yet" in out or "no artefact to go back to" in out


def test_a_device_that_is_silent_is_not_waited_for_longer_than_asked(
    broker: LocalBroker, say: Any
) -> None:
    asked = threading.Event()

    class Slow(HostWorker):
        def evaluate(self, samples: int) -> Any:
            asked.wait(20)
            return super().evaluate(samples)

    with DeviceSession(broker.options, SITE.device("slow"), Slow(sensor())):
        code, out, _ = say("device", "evaluate", "--where", "slow", "--timeout", "0.1", "--json")
        asked.set()
    assert code == 1
    assert by_name(out)["slow"]["reason"] == "slow did not answer evaluate in 0.1 s."


def test_an_answer_that_lacks_what_was_asked_for_costs_its_own_row_only(
    say: Any, deployed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed(model())
    monkeypatch.setattr(HostWorker, "evaluate", lambda *_: {"samples": 4})
    code, out, _ = say("device", "evaluate", "--where", FLEET, "--samples", "4", "--json")
    rows = by_name(out)
    assert code == 1 and rows["board"]["ok"] and not rows["pi"]["ok"]
    assert rows["pi"]["reason"] == "its answer holds no figure for loss, correct."
    code, out, _ = say("device", "evaluate", "--where", FLEET, "--samples", "4")
    assert code == 1 and "its answer holds no figure" in out


def test_devices_predict_what_the_model_says(say: Any, deployed: Any, tmp_path: Path) -> None:
    deployed(model())
    x, y = samples(5)
    np.savez(tmp_path / "x.npz", x=x)
    np.savetxt(tmp_path / "xy.csv", np.column_stack([x, y]), delimiter=",")
    for file in ("x.npz", "xy.csv"):
        asked = ["device", "predict", "--where", FLEET, "--samples", tmp_path / file]
        code, out, _ = say(*asked, "--count", "3", "--json")
        assert code == 0
        for one in by_name(out).values():
            expected = OnlineLearner(model()).predict_many(x[:3])
            np.testing.assert_allclose(one["y"], expected, rtol=1e-5)
    code, out, _ = say(*asked)
    lines = out.splitlines()
    assert code == 0 and len(lines) == 1 + 2 * 5
    assert lines[0].split() == ["device", "model", "input", "outputs", "largest", "right", "reason"]
    answers = OnlineLearner(model()).predict_many(x)
    for number, line in enumerate(lines[1:6]):
        cells, largest = line.split(), int(answers[number].argmax())
        assert cells[3:6] == [f"{value:.4f}" for value in answers[number]]
        right = ["yes"] if largest == y[number] else ["no,", str(y[number])]
        assert cells[6:] == [str(largest), *right]
    np.savez(tmp_path / "wide.npz", x=np.zeros((2, 9)))
    code, out, _ = say("device", "predict", "--where", FLEET, "--samples", tmp_path / "wide.npz")
    assert code == 1 and len(out.splitlines()) == 3
    code, _, err = say("device", "predict", "--where", FLEET, "--samples", tmp_path / "none.npz")
    assert code == 2 and "none.npz" in err


def test_devices_go_back_one_model_and_no_further(say: Any, deployed: Any) -> None:
    deployed(model(1), model(2))
    code, out, _ = say("device", "rollback", "--where", FLEET, "--json")
    found = by_name(out)
    assert code == 0
    assert all(one["running"] == one["model"] == sha(model(1)) for one in found.values())
    code, out, _ = say("device", "rollback", "--where", FLEET, "--json")
    assert code == 1
    assert all(one["reason"] and one["model"] == sha(model(1)) for one in by_name(out).values())


def test_a_rollback_says_that_no_catalogue_was_told(
    say: Any, deployed: Any, tmp_path: Path
) -> None:
    def told() -> str:
        with Catalog.open(tmp_path / "c", read_only=True) as catalog:
            (row,) = (r for r in catalog.query("who-runs-what") if str(r["device"]).endswith("pi"))
        return str(row["model"])

    deployed(model(1), model(2), where="pi")
    first, second = (f"urn:sha256:{sha(model(seed))}" for seed in (1, 2))
    asked = ["--where", "pi", "--catalog", tmp_path / "c"]
    code, _, err = say("device", "evaluate", *asked, "--samples", "4")
    assert code == 0 and not err and told() == second
    code, _, err = say("device", "rollback", "--where", "pi")
    assert code == 0 and "no catalogue was told" in err and told() == second
    code, _, err = say("device", "evaluate", *asked, "--samples", "4")
    assert code == 0 and told() == first
    deployed(model(2), where="pi")
    code, _, err = say("device", "rollback", *asked)
    assert code == 0 and not err and told() == first


def test_devices_watch_and_learn_while_the_losses_have_drifted(
    broker: LocalBroker, say: Any, fleet: Any, deployed: Any
) -> None:
    deployed(model(3))
    line = ["device", "watch", "--where", FLEET, "--rate", "0.1", "--warm-up", "16", "--json"]
    line += ["--most", "20"]
    code, out, err = say(*line, "--samples", "32", "--threshold", "8")
    assert code == 0, err
    for one in by_name(out).values():
        assert (one["samples"], one["learnt"], one["drifts"]) == (32, 0, 0)
    moved = fleet["pi"]._intake._sensor
    before, moved.x = moved.x, moved.x * 30  # the world changes for one of them
    try:
        code, out, err = say(*line, "--samples", "64", "--threshold", "8")
    finally:
        moved.x = before
    found = by_name(out)
    assert code == 0, err
    assert found["pi"]["drifts"] >= 1 and found["pi"]["learnt"] > 0
    assert found["board"]["learnt"] == 0
    code, _, err = say(*line, "--threshold", "-1")
    assert code == 2 and "threshold is -1.0" in err


def test_a_loss_that_is_no_number_is_null(say: Any, deployed: Any) -> None:
    x, _ = samples(30)
    int8 = write_int8(SPEC, SPEC.initial(1), x, name="small")
    deployed(int8, where="pi")
    code, out, _ = say("device", "evaluate", "--where", "pi", "--samples", "8", "--json")
    assert code == 0
    assert by_name(out)["pi"]["loss"] is None and "NaN" not in out
    code, out, _ = say("device", "evaluate", "--where", "pi", "--samples", "8")
    assert code == 0 and out.splitlines()[1].split()[3] == "-"


@pytest.mark.parametrize(
    ("where", "said"),
    [
        (" , ", "names no device"),
        ("lab/pi", "'lab/pi'"),
        ("models", "'models'"),
        ("fleet", "needs a catalogue"),
        ("no.rq", "needs a catalogue"),
    ],
)
def test_a_wrong_name_is_refused_before_anything_is_sent(say: Any, where: str, said: str) -> None:
    code, out, err = say("device", "rollback", "--where", where)
    assert code == 2 and said in err and not out


def test_a_query_says_who_is_asked(say: Any, deployed: Any, tmp_path: Path) -> None:
    deployed(model())
    query, catalog = tmp_path / "boards.rq", tmp_path / "c"
    query.write_text('SELECT ?device { ?device tf:core "cortex-m4f" ; tf:online true }')
    line = ["device", "evaluate", "--samples", "4", "--json", "--catalog", catalog, "--where"]
    code, out, _ = say(*line, query)
    assert code == 0 and list(by_name(out)) == ["board"]
    query.write_text('SELECT ?device { ?device tf:core "cortex-m9" }')
    code, _, err = say(*line, query)
    assert code == 1 and "finds no device of site lab" in err
    code, _, err = say(*line, "cohort")
    assert code == 2 and "'cohort' needs model" in err
    with Catalog.open(catalog, read_only=True) as opened:
        known = {str(row["device"]) for row in opened.query("fleet")}
    assert known >= {"urn:tinyfleet:lab:pi", "urn:tinyfleet:lab:board"}


def a_run(folder: Path) -> Path:
    """The folder of a run that made one model; gives the model's file."""
    (folder / "models").mkdir(parents=True)
    Journal(folder / "journal.db").close()
    path = folder / "models" / "model.f32.tflite"
    path.write_bytes(model(4))
    with Catalog.open(folder / "catalog") as catalog:
        from edge.artifact import Artifact

        catalog.put_model(Artifact(model(4)), name="mine-20260101", run="20260101", round=3)
    return path


def test_a_rollout_is_noted_in_the_catalogue_of_the_models_run(say: Any, tmp_path: Path) -> None:
    path = a_run(tmp_path / "runs" / "20260101")
    (tmp_path / "runs" / "latest").symlink_to("20260101")
    code, _, err = say("rollout", tmp_path / "runs/latest/models" / path.name, "--where", FLEET)
    assert code == 0 and not err
    with Catalog.open(path.parents[1] / "catalog", read_only=True) as catalog:
        assert {row["succeeded"] for row in catalog.query("deployments")} == {True}
        rows = {str(row["device"]): row for row in catalog.query("who-runs-what")}
        for name in FLEET.split(","):
            row = rows[f"urn:tinyfleet:lab:{name}"]
            assert (row["name"], row["dataType"]) == ("mine-20260101", "float32")


def test_a_catalogue_in_use_does_not_stop_a_rollout_that_did_not_ask_for_it(
    say: Any, tmp_path: Path
) -> None:
    path = a_run(tmp_path / "runs" / "20260101")
    with Catalog.open(path.parents[1] / "catalog"):
        code, out, err = say("rollout", path, "--where", "pi")
        assert code == 0 and "yes" in out
        assert "not noted in the run's catalogue" in err and "is owned by" in err
        code, _, err = say("rollout", path, "--where", "devices-for-model")
        assert code == 1 and "is owned by" in err
        code, _, err = say(
            "rollout", path, "--where", "pi", "--catalog", path.parents[1] / "catalog"
        )
        assert code == 1 and "is owned by" in err


def test_a_named_query_may_do_without_the_model(say: Any, tmp_path: Path) -> None:
    path = a_run(tmp_path / "runs" / "20260101")
    code, out, _ = say("rollout", path, "--where", "fleet", "--timeout", "20")
    assert code == 1  # `gone` is in the fleet, too
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert "yes" in lines["board"] and "yes" in lines["pi"] and "is offline" in lines["gone"]


def test_a_catalogue_learns_what_devices_run_from_the_broker(
    broker: LocalBroker, say: Any, deployed: Any, tmp_path: Path
) -> None:
    """A run's catalogue is new; the model of another run was rolled out before."""
    deployed(model(5))
    with Catalog.open(tmp_path / "c") as catalog:
        with kept_by_broker(catalog, options=broker.options, site=SITE.site):
            end = time.monotonic() + 20
            while not knows(catalog, sha(model(5))) and time.monotonic() < end:
                time.sleep(0.01)
        rows = {str(row["device"]): row for row in catalog.query("who-runs-what")}
    for name in FLEET.split(","):
        row = rows[f"urn:tinyfleet:lab:{name}"]
        assert (row["name"], row["dataType"]) == (f"test 5 {sha(model(5))[:12]}", "float32")


def test_what_came_with_another_digest_is_not_believed(caplog: pytest.LogCaptureFixture) -> None:
    with Catalog.open() as catalog, Keeper(catalog, site="lab") as keeper:
        sought: list[str] = []
        keeper.changed("d", State("d", "online", sha(model(1)), 0.0))
        keeper.seek_by(sought.append)
        keeper.changed("d", State("d", "online", sha(model(1)), 1.0))
        keeper.found(sha(model(1)), model(2))
        keeper.found(sha(b"junk"), b"junk")
        keeper.flush()
        assert set(sought) == {sha(model(1))}
        assert not any(knows(catalog, sha(data)) for data in (model(1), model(2), b"junk"))
        keeper.found(sha(model(1)), model(1))
        keeper.flush()
        assert knows(catalog, sha(model(1)))
    assert "came with another digest" in caplog.text


def test_a_query_waits_for_all_that_the_broker_retains(
    broker: LocalBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is heard of first is not everybody."""
    from edge import mqtt
    from edge.topics import SiteTopics

    crowd = SiteTopics("crowd")
    names = [f"d{number}" for number in range(40)]
    client = mqtt.connect(broker.options)
    for name in names:
        topics, worker = crowd.device(name), HostWorker(sensor())
        description = json.dumps(worker.description(topics)).encode()
        client.publish(topics.describe, description, qos=1, retain=True)
        state = State(name, "online", None, 0.0).encode()
        client.publish(topics.state, state, qos=1, retain=True).wait_for_publish(10)
    mqtt.close(client)
    take = transport.MqttTransport._received

    def slowly(self: Any, message: Any) -> None:
        time.sleep(0.005)
        take(self, message)

    monkeypatch.setattr(transport.MqttTransport, "_received", slowly)
    monkeypatch.setattr(transport, "PRESENCE_SECONDS", 20.0)
    query = tmp_path / "online.rq"
    query.write_text("SELECT ?device { ?device tf:online true }")
    with reached(str(query), broker.options, site="crowd", catalog=tmp_path / "c") as reach:
        assert sorted(reach.devices()) == sorted(names)
