"""A small fleet with two runs, a conversion, a stale device and a foreign model."""

from collections.abc import Iterator
from typing import Any

import pytest

from edge.profile import DeviceProfile
from ontology.catalog import Catalog
from ontology.describe import DeploymentFacts, RoundFacts
from ontology.describe.model import ModelFacts
from ontology.describe.operators import LayerFacts

SHA = {name: f"{index:x}" * 64 for index, name in enumerate(("v0", "v1", "v2", "int8", "alien"), 1)}


def profile(name: str = "nano", **changes: Any) -> DeviceProfile:
    figures = {
        "title": "Nano 33",
        "manufacturer": "Arduino",
        "core": "cortex-m4f",
        "flash": 1 << 20,
        "ram": 1 << 18,
        "clock_hz": 64_000_000,
        "fpu": True,
        "sensors": ("accelerometer", "microphone"),
        "url": "https://example.org/nano",
    }
    return DeviceProfile(name=name, **(figures | changes))


def model(sha256: str, **changes: Any) -> ModelFacts:
    known = {
        "size": 34_000,
        "data_type": "float32",
        "operators": ("FULLY_CONNECTED", "SOFTMAX"),
        "layers": (LayerFacts(196, 40, "relu"), LayerFacts(40, 5, "softmax")),
        "parameters": 8085,
        "macs": 8040,
        "inference_bytes": 960,
        "training_bytes": 34_200,
        "runtimes": ("tinylearn",),
    }
    return ModelFacts(sha256=sha256, **(known | changes))


def fill(catalog: Catalog) -> None:
    sizes = {"nano-1": (200_000, 400_000), "nano-2": (20_000, 400_000), "bit": (500, 100_000)}
    for name, (arena, slot) in sizes.items():
        thing = profile("nano" if name != "bit" else "microbit")
        catalog.put_thing(thing.thing_description(name, site="lab", arena=arena, slot=slot))
    for name, running in (("nano-1", "v2"), ("nano-2", "v1"), ("bit", "int8")):
        catalog.set_status(name, True, SHA[running])
    catalog.set_status("bit", False)
    catalog.put_model(model(SHA["v0"]), name="characters", task="characters")
    for number in (1, 2):
        base, result = SHA[f"v{number - 1}"], SHA[f"v{number}"]
        catalog.put_model(
            model(result), name="characters", derived_from=base, run="r1", round=number
        )
        facts = RoundFacts(
            run="r1",
            round=number,
            strategy="tinyreptile",
            base=base,
            result=result,
            started=1e9 + number,
            ended=1e9 + number + 0.5,
            contributors=(("nano-1", 40, True, ""), ("ghost", 0, False, "late")),
            metrics={"loss": 0.5 / number, "accuracy": float("nan")},
        )
        catalog.record_round(facts)
    int8 = model(
        SHA["int8"], size=12_000, data_type="int8", training_bytes=None, inference_bytes=400
    )
    catalog.put_model(int8, name="characters-int8", derived_from=SHA["v1"])
    alien = ModelFacts(sha256=SHA["alien"], size=3000, operators=("CONV_2D",))
    catalog.put_model(alien, name="alien", metrics={"accuracy": 0.9})
    for ok, reason in ((True, ""), (False, "digest mismatch")):
        catalog.record_deployment(
            DeploymentFacts(device="nano-1", model=SHA["v2"], time=1e9 + ok, ok=ok, reason=reason)
        )


@pytest.fixture
def catalog() -> Iterator[Catalog]:
    with Catalog.open() as opened:
        fill(opened)
        yield opened


@pytest.fixture
def sha() -> dict[str, str]:
    return SHA


@pytest.fixture
def make_profile() -> Any:
    return profile


@pytest.fixture
def make_model() -> Any:
    return model
