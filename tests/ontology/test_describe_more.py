"""Figures with data and confidence, boards read back, peaks of activations, needs that stay."""

import itertools
import math
from pathlib import Path
from typing import Any

import pyshacl
import pytest
import rdflib
from hypothesis import given
from hypothesis import strategies as st

import ontology
from edge.errors import UsageError
from edge.profile import LINUX
from firmware_sim.boards import BOARDS
from ontology.catalog import Catalog
from ontology.describe.board import profile_of
from ontology.describe.liveness import ALIGNMENT, peak_bytes
from ontology.describe.metrics import Measurement
from ontology.describe.needs import Cost, Needs
from ontology.namespaces import TF

ASKED = """SELECT ?value ?data ?split ?low ?high ?level ?count WHERE {
  ?m dct:title "judged" ; tf:metric [ tf:metricName "accuracy" ; tf:metricValue ?value ] .
  ?m tf:metric ?f . ?f tf:metricValue ?value .
  OPTIONAL { ?f tf:dataset ?data } OPTIONAL { ?f tf:split ?split }
  OPTIONAL { ?f tf:confidenceLow ?low } OPTIONAL { ?f tf:confidenceHigh ?high }
  OPTIONAL { ?f tf:confidenceLevel ?level } OPTIONAL { ?f tf:evaluatedCount ?count }
} ORDER BY ?value"""


def test_a_figure_says_on_what_data_and_how_sure(catalog: Catalog, make_model: Any) -> None:
    facts = make_model("c" * 64)
    test = Measurement(
        value=0.9, dataset="digits", split="test", low=0.8, high=math.inf, level=0.95, count=60
    )
    for measured in (test, Measurement(value=0.7, dataset="digits", split="train"), 0.5, math.nan):
        catalog.put_model(facts, name="judged", metrics={"accuracy": measured})
    rows = [tuple(row.values()) for row in catalog.query(ASKED)]
    assert rows == [
        (0.5, None, None, None, None, None, None),
        (0.7, "digits", "train", None, None, None, None),
        (0.9, "digits", "test", 0.8, None, 0.95, 60),
    ]
    shapes = rdflib.Graph()
    for source in (Path(ontology.__file__).parent / "shapes").glob("*.ttl"):
        shapes.parse(source)
    data = rdflib.Graph().parse(data=catalog.dump(), format="nt")
    holds, _, text = pyshacl.validate(data, shacl_graph=shapes)
    assert holds, text


def test_what_a_model_needs_stays_when_its_file_is_described_again(
    catalog: Catalog, make_model: Any
) -> None:
    facts = make_model("c" * 64)
    needs = Needs(sensors=("camera",), licence="MIT", costs=(Cost("cortex-m7", 7),))
    model = catalog.put_model(facts, name="m", needs=needs)
    known = catalog.dump()
    catalog.put_model(facts, name="m")
    assert catalog.dump() == known
    catalog.put_model(facts, name="m", needs=Needs(sensors=("microphone",)))
    assert [v.text for v in catalog.facts(model)[TF + "needsSensor"]] == ["microphone"]  # type: ignore[union-attr]
    assert catalog.ask('ASK { ?m tf:cost [ tf:core "cortex-m7" ; tf:inferenceInstructions 7 ] }')


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_each_board_comes_back_whole(name: str) -> None:
    with Catalog.open() as catalog:
        thing = BOARDS[name].thing_description("x", site="lab", arena=1, slot=2)
        catalog.put_thing(thing)
        back = profile_of(catalog.get_thing("x"))
    assert {**vars(back), "sensors": set(back.sensors)} == {
        **vars(BOARDS[name]), "sensors": set(BOARDS[name].sensors),
    }  # fmt: skip


def test_a_board_of_which_too_little_is_known_is_no_profile() -> None:
    thing = LINUX.thing_description("x", site="lab", arena=1, slot=2)
    for name, value in (("tf:core", "z80"), ("tf:ramBytes", "much"), ("tf:hasFPU", None)):
        with pytest.raises(UsageError, match=f"{name[3:6]}|core"):
            profile_of(thing | {name: value})


@given(st.lists(st.integers(0, 500), min_size=1, max_size=8))
def test_a_chain_keeps_two_neighbours_alive(sizes: list[int]) -> None:
    names = [f"t{n}" for n in range(len(sizes) + 1)]
    known: dict[str, int | None] = dict(zip(names, [16, *sizes], strict=True))
    steps = [([a], [b]) for a, b in itertools.pairwise(names)]
    rounded = [-(-(known[n] or 0) // ALIGNMENT) * ALIGNMENT for n in names]
    expected = max(a + b for a, b in itertools.pairwise(rounded))
    assert peak_bytes(steps, known, names[:1], names[-1:]) == expected
    assert peak_bytes(steps, known | {names[1]: None}, names[:1], names[-1:]) is None


def test_a_branch_keeps_the_other_one() -> None:
    steps = [(["x"], ["a"]), (["x"], ["b"]), (["a", "b", "w"], ["y"])]
    sizes: dict[str, int | None] = {"x": 32, "a": 160, "b": 16, "y": 16}
    assert peak_bytes(steps, sizes, ["x"], ["y"]) == 32 + 160 + 16
