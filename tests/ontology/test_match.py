"""Matching both ways: every condition fails with both values, and ranking follows them."""

from typing import Any

import pytest

from ontology.catalog import Catalog
from ontology.describe.model import Origin, model_triples
from ontology.describe.needs import Cost, Needs, needs_triples
from ontology.match import Match, Wishes, fits

KWS, CAMERA = "6" * 64, "7" * 64


@pytest.fixture
def stocked(catalog: Catalog, make_model: Any) -> Catalog:
    needs = Needs(
        sensors=("microphone",),
        licence="Apache-2.0",
        costs=(Cost("cortex-m4f", inference=640_000, training=6_400_000), Cost("cortex-m0", 9)),
    )
    for sha, name, needed in (
        (KWS, "kws", needs),
        (CAMERA, "faces", Needs(sensors=("camera",), interpreter_bytes=9_000)),
    ):
        runs = ("tinylearn",) if name == "kws" else ("tflite-micro",)
        triples = model_triples(make_model(sha, runtimes=runs), Origin(name=name))
        model = triples[0].subject
        catalog.put(model, [*triples, *needs_triples(model, needed)])
    board = {
        "id": "https://example.org/eye", "title": "eye", "@type": ["tf:Device"],
        "securityDefinitions": {"open": {"scheme": "nosec"}}, "security": "open",
        "tf:site": "lab", "tf:device": "eye", "tf:board": "eye", "tf:executes": "tflite-micro",
        "tf:connectivity": ["wifi", "ble"], "tf:slotBytes": 40_000, "tf:arenaBytes": 10_000,
        "sosa:hosts": [{"@id": "https://example.org/eye:c", "tf:senses": "camera"}],
    }  # fmt: skip
    catalog.put_thing(board)
    return catalog


def only(catalog: Catalog, model: str, device: str, **wishes: Any) -> Match:
    (match,) = fits(catalog, model=model, device=device, wishes=Wishes(**wishes))
    return match


def test_sensors_and_runtime(stocked: Catalog) -> None:
    assert only(stocked, "kws", "nano-1").trains
    assert only(stocked, "faces", "eye").runs
    assert only(stocked, "faces", "eye").reasons == ["tflite-micro does not train"]
    lost = only(stocked, "faces", "nano-1").reasons
    assert "sensors: needs camera, has accelerometer, microphone" in lost
    assert "operators: needs FULLY_CONNECTED, SOFTMAX, has those of tinylearn" in lost


def test_wishes_name_both_values(stocked: Catalog) -> None:
    assert only(stocked, "kws", "nano-1", predict_ms=10.0, train_ms=100.0).trains
    slow = only(stocked, "kws", "nano-1", predict_ms=9.9, train_ms=99.0)
    assert not slow.runs and slow.reasons == [
        "time to predict, ms: needs 9.9, has 10.0",
        "time to train a step, ms: needs 99.0, has 100.0",
    ]
    unknown = only(stocked, "characters", "nano-1", predict_ms=1.0, licences=("MIT",))
    assert "time to predict, ms: needs 1.0, has unknown" in unknown.reasons
    assert "licence: needs MIT, has unknown" in unknown.reasons
    assert only(stocked, "kws", "nano-1", licences=("MIT", "Apache-2.0")).trains
    assert (
        "licence: needs MIT, has Apache-2.0"
        in only(stocked, "kws", "nano-1", licences=("MIT",)).reasons
    )
    assert only(stocked, "faces", "eye", connectivity=("ble",)).runs
    lost = only(stocked, "faces", "eye", connectivity=("ble", "lora")).reasons
    assert "connectivity: needs ble, lora, has ble, wifi" in lost


def test_only_training_fails_by_the_time_of_a_step(stocked: Catalog) -> None:
    match = only(stocked, "kws", "nano-1", train_ms=1.0)
    assert match.runs and not match.trains and match.verdict == "runs"


def test_all_at_once_is_what_one_by_one_is_and_the_best_is_first(stocked: Catalog) -> None:
    models = {m.model for m in fits(stocked, device="nano-1")}
    for device in ("nano-1", "bit", "eye"):
        together = {m.model: m for m in fits(stocked, device=device)}
        assert together == {m: only(stocked, m, device) for m in models}
    ranked = fits(stocked, model="kws")
    keys = [(not m.trains, not m.runs, len(m.reasons)) for m in ranked]
    assert keys == sorted(keys) and ranked[0].trains and not ranked[-1].runs
