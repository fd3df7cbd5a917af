"""Backup, restore, and facts of an older vocabulary made today's."""

import gzip
from pathlib import Path

import pytest

from edge.errors import UsageError
from ontology.capacity import CAPACITY
from ontology.catalog import Catalog
from ontology.migration import VERSION, backup, migrate, restore, version_of
from ontology.namespaces import TF
from ontology.terms import Iri, Triple, literal
from server.cli.app import main


@pytest.mark.parametrize("name", ["fleet.nt", "fleet.nt.gz"])
def test_a_backup_comes_back(catalog: Catalog, tmp_path: Path, name: str) -> None:
    migrate(catalog.store)
    count = backup(catalog.store, tmp_path / name)
    assert count == len(catalog.dump().splitlines()) and [*tmp_path.iterdir()] == [tmp_path / name]
    with Catalog.open(tmp_path / "new") as new:
        assert restore(new.store, tmp_path / name) == count and new.dump() == catalog.dump()
        with pytest.raises(UsageError, match="not empty"):
            restore(new.store, tmp_path / name)


def test_a_damaged_backup_leaves_nothing_behind(catalog: Catalog, tmp_path: Path) -> None:
    backup(catalog.store, tmp_path / "whole.nt")
    text = (tmp_path / "whole.nt").read_text()
    (tmp_path / "cut.nt").write_text(text[:-20])
    (tmp_path / "cut.nt.gz").write_bytes(gzip.compress(text.encode())[:-9])
    for name in ("cut.nt", "cut.nt.gz", "none.nt"):
        with Catalog.open() as new:
            with pytest.raises(UsageError, match=r"cannot be read|no line of N-Triples"):
                restore(new.store, tmp_path / name)
            assert new.dump() == ""


def test_an_old_catalogue_is_brought_to_today(catalog: Catalog) -> None:
    today = catalog.query("devices-for-model", model="characters").rows
    old = [t for t in catalog.store.match() if "capacity" in t.predicate + t.subject]
    catalog.store.replace(old, [])
    scheme = "https://www.w3.org/2019/wot/security#NoSecSecurityScheme"
    safe = {"securityDefinitions": {"o": {"scheme": "nosec"}}, "security": "o"}
    open_one = catalog.put_thing({"id": "urn:x", "title": "x", **safe})
    known = catalog.get_thing(open_one)
    wrong = [t for t in catalog.store.match() if str(t.object).endswith("NoSecurityScheme")]
    catalog.store.replace(wrong, [t._replace(object=Iri(scheme)) for t in wrong])
    assert len(wrong) == 1 and catalog.get_thing(open_one) != known
    assert version_of(catalog.store) == 1 and today
    assert not catalog.query("devices-for-model", model="characters").rows
    assert migrate(catalog.store) == [1, 2, VERSION]
    assert version_of(catalog.store) == VERSION and catalog.get_thing(open_one) == known
    assert catalog.query("devices-for-model", model="characters").rows == today
    before = catalog.dump()
    assert migrate(catalog.store) == [VERSION] and catalog.dump() == before
    newer = Triple(Iri("urn:tinyfleet:catalog"), Iri(TF + "schemaVersion"), literal(VERSION + 1))
    catalog.store.replace(list(catalog.store.match(newer.subject)), [newer])
    with pytest.raises(UsageError, match="this program knows"):
        migrate(catalog.store)
    assert any(True for _ in catalog.store.match(None, CAPACITY))


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Catalog.open(tmp_path / "a") as made:
        made.set_status("urn:tinyfleet:lab:d", True)
    file = str(tmp_path / "a.nt.gz")
    for words in (
        ["backup", file, "--catalog", str(tmp_path / "a")],
        ["restore", file, "--catalog", str(tmp_path / "b")],
        ["migrate", "--catalog", str(tmp_path / "b"), "--json"],
        ["migrate", "--catalog", str(tmp_path / "a")],
    ):
        assert main(["catalog", *words]) == 0, capsys.readouterr()
    said = capsys.readouterr().out
    assert "2 triples are in" in said and f"was brought to version {VERSION}" in said
    lost = ["restore", str(tmp_path / "none.nt"), "--catalog", str(tmp_path / "c")]
    assert main(["catalog", *lost]) == 2 and not (tmp_path / "c").exists()
    assert "none.nt cannot be read: No such file" in capsys.readouterr().err
    full = ["restore", file, "--catalog", str(tmp_path / "b")]
    assert main(["catalog", *full]) == 2 and (tmp_path / "b").exists()
    both = ["query", "fleet", "--csv", "--json", "--catalog", str(tmp_path / "b")]
    assert main(["catalog", *both]) == 2 and "--json and --csv" in capsys.readouterr().err
    with Catalog.open(tmp_path / "a") as one, Catalog.open(tmp_path / "b") as two:
        assert one.dump() == two.dump()
