"""The S3N view says what the flat facts say, and comes back as it went out."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ontology.capabilities import capability_triples, import_view, read_view, write_view
from ontology.catalog import Catalog
from ontology.ntriples import line_of
from ontology.published.describe import board_description, import_published
from ontology.published.records import Board
from ontology.published.words import SENSORS
from server.cli.app import main

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("TINYFLEET_DATA", ROOT.parent / "shared" / "data"))
FOLDER = DATA / "tinyml_catalogue"

boards = st.builds(
    Board,
    iri=st.integers(0, 99).map("https://example.org/{}".format),
    title=st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=9),
    description=st.just(""),
    sensors=st.sets(st.sampled_from(sorted(SENSORS.values()))).map(lambda s: tuple(sorted(s))),
    flash=st.integers(1, 1 << 40),
    ram=st.integers(1, 1 << 40),
    properties=st.just(()),
)


@given(boards)
def test_a_board_comes_back(board: Board) -> None:
    with Catalog.open() as catalog:
        catalog.put_thing(board_description(board))
        text = "".join(map(line_of, capability_triples(catalog.store)))
    (back,), models = read_view(text, "view")
    assert models == () and back == board


@pytest.mark.skipif(not FOLDER.is_dir(), reason="the published catalogue is not here")
def test_the_published_catalogue_through_the_view(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Catalog.open(tmp_path / "one") as one:
        import_published(one, FOLDER)
        count = write_view(one.store, tmp_path / "view.ttl")
    store = ["--catalog", str(tmp_path / "one")]
    assert main(["catalog", "export", str(tmp_path / "again.ttl"), *store]) == 0
    assert (tmp_path / "again.ttl").read_text() == (tmp_path / "view.ttl").read_text()
    assert f"{count} triples" in capsys.readouterr().out
    assert (
        main(["catalog", "import", str(tmp_path / "view.ttl"), "--catalog", str(tmp_path / "x")])
        == 0
    )
    assert "23 models and 9 devices" in capsys.readouterr().out
    with Catalog.open(tmp_path / "one", read_only=True) as one, Catalog.open() as two:
        models, devices = import_view(two, tmp_path / "view.ttl")
        assert (len(models), len(devices)) == (23, 9)
        for device in devices:
            assert _rows(one, device) == _rows(two, device)


def _rows(catalog: Catalog, device: str) -> list[tuple[object, ...]]:
    rows = catalog.query("models-for-board", device=device)
    return [(row["name"], row["flash"], row["ram"]) for row in rows]
