import json
from typing import Any

import pytest

from edge.errors import UsageError
from edge.profile import LINUX, NAMESPACE, DeviceProfile

BOARD = DeviceProfile(
    name="test-board",
    title="Test Board",
    manufacturer="Nobody",
    core="cortex-m4f",
    flash=1024 * 1024,
    ram=256 * 1024,
    clock_hz=64_000_000,
    fpu=True,
    sensors=("accelerometer", "microphone"),
    url="https://example.org/board",
)
DIGEST = "12" * 32
OPERATIONS = {"observeproperty", "invokeaction"}


def described(**options: Any) -> dict[str, Any]:
    td = BOARD.thing_description("d1", site="lab", arena=200_000, slot=128_000, **options)
    back: dict[str, Any] = json.loads(json.dumps(td))
    return back


def test_it_has_what_td_1_1_requires() -> None:
    td = described()
    assert td["@context"][0] == "https://www.w3.org/2022/wot/td/v1.1"
    assert td["@context"][1]["tf"] == NAMESPACE
    assert td["id"] == "urn:tinyfleet:lab:d1"
    assert td["title"]
    assert td["security"]
    assert set(td["security"]) <= td["securityDefinitions"].keys()
    assert all("scheme" in entry for entry in td["securityDefinitions"].values())
    assert {"model", "status"} <= td["properties"].keys()
    assert {"deploy", "predict", "train"} <= td["actions"].keys()
    for part in (*td["properties"].values(), *td["actions"].values()):
        assert part["forms"]
        for form in part["forms"]:
            assert form["href"].startswith("/tinyfleet/v1/lab/")
            assert form["op"] in OPERATIONS


def test_the_figures_are_flat_integers() -> None:
    td = described()
    figures = ("flashBytes", "ramBytes", "clockHz", "arenaBytes", "slotBytes")
    assert [td[f"tf:{name}"] for name in figures] == [
        1024 * 1024,
        256 * 1024,
        64_000_000,
        200_000,
        128_000,
    ]
    assert td["tf:hasFPU"] is True
    assert (td["tf:board"], td["tf:core"]) == ("test-board", "cortex-m4f")
    assert [sensor["tf:senses"] for sensor in td["sosa:hosts"]] == ["accelerometer", "microphone"]


def test_running_and_broker_are_there_only_when_known() -> None:
    assert described().keys().isdisjoint({"tf:running", "base"})
    td = described(running=DIGEST, broker="mqtt://127.0.0.1:1883")
    assert td["tf:running"] == {"@id": f"urn:sha256:{DIGEST}"}
    assert td["base"] == "mqtt://127.0.0.1:1883"


def test_names_are_checked() -> None:
    with pytest.raises(UsageError):
        LINUX.thing_description("a/b", site="lab", arena=0, slot=0)
