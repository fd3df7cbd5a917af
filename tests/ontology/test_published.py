"""The published catalogue: its faults, our figures beside its, right answers to its queries."""

import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyshacl
import pytest
import rdflib
from hypothesis import given
from hypothesis import strategies as st

import ontology
from edge.errors import UsageError
from ontology.catalog import Catalog
from ontology.match import fits
from ontology.namespaces import TF
from ontology.published.describe import Imported, import_published
from ontology.published.faults import find_faults, repaired
from ontology.published.read import read
from ontology.published.records import Board, Published, PublishedModel

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("TINYFLEET_DATA", ROOT.parent / "shared" / "data"))
FOLDER = DATA / "tinyml_catalogue"
here = pytest.mark.skipif(not FOLDER.is_dir(), reason="the published catalogue is not here")
TWINS = "Micro_Speech_Yes_No_3"


@pytest.fixture(scope="module")
def published() -> Published:
    return read(FOLDER)


@pytest.fixture(scope="module")
def filled() -> Iterator[tuple[Catalog, Imported]]:
    with Catalog.open() as catalog:
        yield catalog, import_published(catalog, FOLDER)


@here
def test_each_fault_is_reported_with_its_line(filled: tuple[Catalog, Imported]) -> None:
    faults = filled[1].faults
    assert Counter(f.code for f in faults) == {
        "undefined-term": 360, "double-slash": 46, "double-index": 23, "text-for-iri": 22,
        "zero-for-unknown": 12, "no-address": 5, "text-for-unknown": 5, "double-colon": 1,
        "shared-address": 1, "same-file": 1,
    }  # fmt: skip
    words = {
        "double-colon": "sosa_extend::Magnetometer",
        "double-slash": "neuralnetwork//procedureFeature_2",
        "no-address": "<",
        "shared-address": "arduino_nano_ble_33-322-000-000-002/",
        "text-for-unknown": "N.A.",
        "zero-for-unknown": "nnet:hasMetricValue 0",
    }
    for fault in faults:
        if fault.code == "same-file":
            continue
        line = (FOLDER / fault.file).read_text().splitlines()[fault.line - 1]
        assert words.get(fault.code, "") in line, fault
    (twin,) = [f for f in faults if f.code == "same-file"]
    assert TWINS in twin.file and "Forward_Backward" in twin.found


@here
def test_our_figures_of_the_files_are_theirs_or_the_difference_is_explained(
    filled: tuple[Catalog, Imported],
) -> None:
    found = filled[1].comparisons
    assert len(found) == 4 * 20 and not [c for c in found if c.reason is None]
    differ = Counter(c.figure for c in found if c.reason)
    assert differ == {"RAM, bytes": 20, "macs": 1}
    assert all(int(c.ours) < int(c.published) for c in found if c.figure == "RAM, bytes")


@here
def test_what_is_imported_conforms_and_uses_defined_terms(
    filled: tuple[Catalog, Imported],
) -> None:
    data = rdflib.Graph().parse(data=filled[0].dump(), format="nt")
    folder = Path(ontology.__file__).parent
    vocabulary, shapes = rdflib.Graph(), rdflib.Graph()
    for graph, name in ((vocabulary, "vocabulary"), (shapes, "shapes")):
        for source in (folder / name).glob("*.ttl"):
            graph.parse(source)
    used = {t for triple in data for t in triple if str(t).startswith(TF)}
    assert all((term, rdflib.RDFS.label, None) in vocabulary for term in used)
    holds, _, text = pyshacl.validate(data, shacl_graph=shapes)
    assert holds, text
    assert "N.A." not in filled[0].dump() and "no.address" not in filled[0].dump()


@here
def test_importing_again_changes_nothing() -> None:
    with Catalog.open() as catalog:
        first = import_published(catalog, FOLDER)
        before = catalog.dump()
        assert import_published(catalog, FOLDER) == first and catalog.dump() == before


@here
def test_boards_are_things_that_come_back(filled: tuple[Catalog, Imported]) -> None:
    thing = filled[0].get_thing("MS200_1")
    assert {one["tf:senses"] for one in thing["sosa:hosts"]} == {
        "accelerometer", "gyroscope", "magnetometer", "temperature",
    }  # fmt: skip
    assert thing["tf:arenaBytes"] == 31_000 and thing["properties"]["temperature"]["minimum"] == -20


def goes(model: PublishedModel, board: Board) -> bool:
    """The oracle: plain comparisons of the published figures."""
    return (
        set(model.sensors) <= set(board.sensors)
        and (model.flash or 0) <= (board.flash or 0)
        and (model.ram or 0) <= (board.ram or 0)
    )


def quick(catalog: Catalog, name: str, **given: Any) -> list[dict[str, Any]]:
    """The rows; the best of five took less than 50 ms."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        rows = list(catalog.query(name, **given))
        times.append(time.perf_counter() - start)
    assert min(times) < 0.05, (name, times)
    return rows


@here
def test_the_four_queries_answer_as_plain_comparisons_do(
    filled: tuple[Catalog, Imported], published: Published
) -> None:
    catalog, done = filled
    iris = dict(zip([m.name for m in published.models], done.models, strict=True))
    pairs = 0
    for model in published.models:
        rows = quick(catalog, "boards-for-model", model=iris[model.name])
        assert {r["device"] for r in rows} == {b.iri for b in published.boards if goes(model, b)}
        matched = {m.device for m in fits(catalog, model=iris[model.name]) if m.runs}
        assert matched == {r["device"] for r in rows}
        pairs += len(rows)
    assert 0 < pairs < len(published.models) * len(published.boards)
    for board in published.boards:
        rows = quick(catalog, "models-for-board", device=board.title)
        assert {r["name"] for r in rows} == {m.name for m in published.models if goes(m, board)}
    speech = quick(catalog, "benchmark", family="micro_speech")
    known = {m.name: m for m in published.models if m.name.startswith("Micro_Speech")}
    assert {r["name"] for r in speech} == set(known)
    for row in speech:
        model = known[row["name"]]
        assert (row["macs"], row["ram"], row["flash"]) == (model.macs, model.ram, model.flash)
        expected = None if model.accuracy is None else pytest.approx(model.accuracy / 100)
        assert row["accuracy"] == expected
    stock = {r["title"]: r for r in quick(catalog, "inventory", site="published")}
    assert set(stock) == {b.title for b in published.boards}
    for board in published.boards:
        row = stock[board.title]
        assert (row["slotBytes"], row["arenaBytes"]) == (board.flash, board.ram)
        assert sorted(row["sensors"].split()) == list(board.sensors)


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no published catalogue"):
        read(tmp_path)
    (tmp_path / "devices").mkdir()
    (tmp_path / "models.ttl").write_text("<a> <b")
    (tmp_path / "devices" / "one.ttl").write_text("")
    with pytest.raises(UsageError, match=r"models\.ttl is no Turtle"):
        read(tmp_path)


@given(st.text())
def test_any_text_is_scanned_and_repairing_repaired_text_changes_nothing(text: str) -> None:
    list(find_faults("x", text, frozenset()))
    once = repaired(text)
    assert repaired(once) == once
